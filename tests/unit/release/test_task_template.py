"""The template of the pods that run tasks, as KubernetesExecutor reads it."""

import pytest

from xcom_rollout.clients.errors import ActionFailed
from xcom_rollout.clients.kube import Json
from xcom_rollout.release.objects import POD_TEMPLATE_KEY, task_template


def config_map(**data: str) -> Json:
    return {"metadata": {"name": "airflow-config"}, "data": data}


def test_the_template_is_read() -> None:
    text = "metadata: {labels: {tier: airflow}}\nspec: {containers: [{name: base, image: a}]}"
    found = task_template(config_map(**{POD_TEMPLATE_KEY: text}))
    assert found is not None
    assert (found.component, found.main["image"]) == ("worker", "a")
    assert found.metadata == {"labels": {"tier": "airflow"}}


def test_another_config_map_has_none() -> None:
    assert task_template(config_map(other="x")) is None


@pytest.mark.parametrize("text", ["", "[]", "kind: Pod", "a: ["])
def test_what_is_no_template_is_named(text: str) -> None:
    with pytest.raises(ActionFailed, match=r"airflow-config, key pod_template_file\.yaml"):
        task_template(config_map(**{POD_TEMPLATE_KEY: text}))
