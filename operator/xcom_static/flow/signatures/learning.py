"""Models and tensors."""

from __future__ import annotations

from xcom_static.flow.signatures.notation import each

# Classes of these packages are live objects: `sklearn.linear_model.LinearRegression()`.
PACKAGES = frozenset(
    {"sklearn", "xgboost", "lightgbm", "catboost", "torch", "tensorflow", "keras", "statsmodels"}
)

CALLS: dict[str, str] = {
    **each("tensor zeros ones rand randn from_numpy load", "tensor", "torch."),
    **each("constant Variable zeros ones", "tensor", "tensorflow."),
    "joblib.load": "~model",
}

METHODS: dict[str, dict[str, str]] = {
    "model": {
        **each("predict predict_proba transform fit_transform decision_function", "~ndarray"),
        "fit": "model",
        "score": "float",
        "get_params": "dict",
    },
    "tensor": {
        "numpy": "ndarray",
        "tolist": "list",
        "item": "float",
        **each("cpu detach reshape view to", "tensor"),
    },
}

ATTRIBUTES: dict[str, dict[str, str]] = {
    "model": {"coef_": "ndarray", "feature_importances_": "ndarray", "classes_": "ndarray"},
}
