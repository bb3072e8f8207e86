"""Which versions there are, and what is known of them. Imports nothing of Airflow."""

from __future__ import annotations

from xcom_probe import runtime

DATABASE = "Database"
OBJECT_STORAGE = "ObjectStorage"
OBJECT_BACKEND = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
# The classes a backend type may be loaded as; the second name of BaseXCom is that of Airflow 3.
BACKEND_CLASSES: dict[str, tuple[str, ...]] = {
    DATABASE: ("airflow.models.xcom.BaseXCom", "airflow.sdk.bases.xcom.BaseXCom"),
    OBJECT_STORAGE: (OBJECT_BACKEND,),
}

FIRST_COMMON_IO = (1, 3, 0)
# (Airflow major.minor, common-io) that cannot be imported together: a circular import. Measured.
BROKEN_PAIRS = frozenset(
    {
        ("2.9", "1.3.0"),
        ("2.10", "1.6.1"),
        ("2.10", "1.6.2"),
        ("2.11", "1.6.1"),
        ("2.11", "1.6.2"),
    }
)
# Later versions decode strings that look like JSON twice on Airflow 2. Measured: 1.5.4 on 2.9.3,
# 1.5.4 to 1.6.5 on 2.10.5, 1.5.4 to 1.11.0 on 2.11.2; 1.5.3 and older do not on any of them.
JSON_STRINGS_REMEDY = (
    "Pin apache-airflow-providers-common-io to 1.5.3 on Airflow 2 (later ones decode twice), or "
    "make sure that no task pushes strings that parse as JSON."
)


def airflow_series() -> tuple[int, int]:
    """Major and minor version of the installed Airflow; (0, 0) if it is not installed."""
    numbers = version_numbers(runtime.airflow_version() or "")
    return (numbers[0], numbers[1]) if len(numbers) > 1 else (0, 0)


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: `2.11.2rc1` is (2, 11, 2)."""
    numbers = []
    for part in version.split("."):
        digits = ""
        for character in part:
            if not character.isdigit():
                break
            digits += character
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
