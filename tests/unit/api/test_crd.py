"""The CRD is structural, complete and the one that is checked in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from xcom_rollout.api import crd
from xcom_rollout.api.names import Condition
from xcom_rollout.api.status import RolloutStatus
from xcom_rollout.api.v1alpha1 import RolloutSpec

ROOT = Path(__file__).resolve().parents[3]
VERSION = crd.custom_resource_definition()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]


def schemas(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from schemas(child, f"{path}.{name}")
    if "items" in schema:
        yield from schemas(schema["items"], f"{path}[]")


def test_the_files_are_those_of_the_models() -> None:
    differing = [
        str(path.relative_to(ROOT))
        for path, text in crd.outputs(ROOT).items()
        if not path.is_file() or path.read_text() != text
    ]
    assert not differing, "run: python -m xcom_rollout.api.crd"


def test_the_check_names_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert crd.main(["--check"]) == 1
    assert "crds/xcombackendrollouts.yaml differs" in capsys.readouterr().out
    assert crd.main([]) == 0
    assert crd.main(["--check"]) == 0
    (tmp_path / "crds" / crd.CRD_FILE).write_text("changed")
    assert crd.main(["--check"]) == 1


def test_only_the_root_of_the_project_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert crd.main([]) == 2
    assert "is not the root of the project" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "schema"), [pytest.param(*entry, id=entry[0] or "root") for entry in schemas(SCHEMA)]
)
def test_each_part_is_structural(path: str, schema: dict[str, Any]) -> None:
    forbidden = {"$ref", "title", "anyOf", "oneOf", "allOf", "const", "$defs", "prefixItems"}
    assert not forbidden & schema.keys()
    assert "type" in schema or schema.get("x-kubernetes-int-or-string")
    assert not ("properties" in schema and "additionalProperties" in schema)
    assert schema.get("default", "") is not None
    if schema.get("type") == "array":
        assert "x-kubernetes-list-type" in schema, "server-side apply would replace it as a whole"
    if "x-kubernetes-validations" in schema and schema.get("type") == "string":
        assert "maxLength" in schema, "the API server bounds a rule's cost by it"
    if path.startswith(".spec") and not path.endswith("[]"):
        assert schema.get("description"), f"{path} has no description for kubectl explain"
    if path.startswith(".status"):
        assert "default" not in schema, "a status holds what was written and nothing else"


def properties(model: type[BaseModel]) -> set[str]:
    return {str(field.alias or name) for name, field in model.model_fields.items()}


def test_no_field_is_lost() -> None:
    assert set(SCHEMA["properties"]["spec"]["properties"]) == properties(RolloutSpec)
    assert set(SCHEMA["properties"]["status"]["properties"]) == properties(RolloutStatus)


def test_defaults_are_kept_so_that_a_stored_spec_is_whole() -> None:
    gates = SCHEMA["properties"]["spec"]["properties"]["gates"]
    assert gates["default"] == {}
    assert gates["properties"]["maxAge"]["default"] == "24h"
    assert gates["properties"]["preflight"]["properties"]["functionalS3"]["default"] is True


def test_conditions_are_a_map_by_type() -> None:
    conditions = SCHEMA["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_the_columns_show_what_a_person_asks_first() -> None:
    columns = {column["name"]: column for column in VERSION["additionalPrinterColumns"]}
    assert list(columns) == [
        *("Phase", "Backend", "Threshold", "Offloaded", "Ready", "Reason", "Audit"),
        *("Message", "Age"),
    ]
    assert columns["Message"]["priority"] == columns["Audit"]["priority"] == 1
    assert Condition.READY in columns["Ready"]["jsonPath"]


def test_a_union_has_no_structural_form() -> None:
    class Either(BaseModel):
        value: int | str

    with pytest.raises(crd.UnsupportedSchemaError, match="a union of 2 types"):
        crd.model_schema(Either)


def test_the_reference_page_names_every_field() -> None:
    page = crd.render_reference()
    for field in ("spec.threshold.bytes", "spec.killSwitch.stopTasksAfter", "status.proofs[].job"):
        assert f"`{field}`" in page
    assert "**`spec.airflow.release`**" in page, "required fields are bold"
