"""What the cache keeps of an object: what is read of it here, and in little memory."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_rollout.cache.kept import AS_OBJECTS, COMPRESSED, Form

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)

forms = pytest.mark.parametrize("form", [AS_OBJECTS, COMPRESSED])


def item(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n"}, **more}


def kept(form: Form, given: dict[str, Any]) -> dict[str, Any]:
    """What a reader gets; what was given is not changed by it."""
    before = copy.deepcopy(given)
    found = form.unpack(form.pack(given))
    assert given == before
    return found


@forms
def test_what_kubectl_leaves_on_a_secret_is_not_kept(form: Form) -> None:
    secret = item("s")
    secret["metadata"] |= {
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "s3cr3t", "a": "b"},
        "managedFields": [{"manager": "helm", "time": "t", "fieldsV1": {"f:data": {}}}],
    }
    assert kept(form, secret) == {
        "metadata": {
            "name": "s",
            "namespace": "n",
            "annotations": {"a": "b"},
            "managedFields": [{"manager": "helm", "time": "t"}],
        }
    }


@forms
def test_of_a_pod_only_what_a_look_reads_is_kept(form: Form) -> None:
    containers = [{"name": "base", "image": "airflow:2", "env": [{"name": "A"}]}]
    pod = item("p", spec={"nodeName": "node", "containers": containers, "volumes": []})
    pod["metadata"]["managedFields"] = [{}]
    assert kept(form, pod | {"status": {"phase": "Running"}}) == {
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"nodeName": "node", "containers": [{"name": "base", "image": "airflow:2"}]},
        "status": {"phase": "Running"},
    }


@forms
def test_a_job_is_kept_without_the_template_of_its_pods(form: Form) -> None:
    job = item("a", spec={"backoffLimit": 0, "template": {"spec": {}}}, status={"failed": 1})
    assert kept(form, job) == item("a", spec={"backoffLimit": 0}, status={"failed": 1})


@forms
@given(spec=st.dictionaries(st.text(), JSON), status=JSON)
def test_of_other_objects_everything_is_kept(form: Form, spec: Any, status: Any) -> None:
    spec = {key: value for key, value in spec.items() if key not in ("containers", "backoffLimit")}
    whole = item("d", spec=spec, status=status)
    assert kept(form, whole) == whole


def test_objects_share_the_texts_that_they_have_in_common() -> None:
    labels = []
    for name in ("a", "b"):
        text = json.dumps({"metadata": {"name": name, "labels": {"component": "scheduler"}}})
        labels.append(kept(AS_OBJECTS, json.loads(text))["metadata"]["labels"])
    first, second = labels
    assert first == second
    for one, other in zip(*(next(iter(each.items())) for each in labels), strict=True):
        assert one is other


def test_compressed_a_deployment_takes_a_fraction_of_its_json() -> None:
    environment = [{"name": f"AIRFLOW__{n}", "value": f"value {n}"} for n in range(20)]
    containers = [{"name": f"c{n}", "image": "airflow:2", "env": environment} for n in range(4)]
    deployment = item("scheduler", spec={"template": {"spec": {"containers": containers}}})
    assert len(COMPRESSED.pack(deployment)) < len(json.dumps(deployment)) / 4
