"""The CustomResourceDefinition and its reference page, rendered from the models.

`python -m xcom_rollout.api.crd` writes the files; with `--check` it compares them and exits 1,
naming each file that differs.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel

from xcom_rollout.api import names
from xcom_rollout.api.status import RolloutStatus
from xcom_rollout.api.v1alpha1 import RolloutSpec

MAX_NAME_LENGTH: Final = 40
"""Longest name of a rollout: names of Jobs and values of labels are derived from it, and those have
at most 63 characters."""

DEFAULT_MAX_LENGTH: Final = 1024
"""Maximum length of a string that has a rule and no maximum of its own: the API server estimates
the cost of a rule by the longest possible value, and refuses strings without a maximum."""

CRD_FILE: Final = f"{names.PLURAL}.yaml"
_COMMAND: Final = "python -m xcom_rollout.api.crd"
_DESCRIPTION: Final = (
    "An XComBackendRollout changes the XCom backend of one Airflow release in proven steps, and "
    "reverts it on request."
)
_DROPPED: Final = frozenset({"title", "additionalProperties", "$defs"})
_SCALARS: Final = frozenset({"string", "integer", "number", "boolean"})


class UnsupportedSchemaError(TypeError):
    """A model contains something that a structural schema cannot express."""


def structural(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON schema from pydantic as a structural schema for Kubernetes.

    References are resolved, titles are left out, an optional value becomes a property that may be
    absent, and a default value that is an object becomes `{}`, which the API server fills from
    the defaults within.

    Raises:
        UnsupportedSchemaError: the schema uses a construct that has no structural form.
    """
    merged = dict(schema)
    if (reference := merged.pop("$ref", None)) is not None:
        merged = {**definitions[str(reference).rpartition("/")[2]], **merged}
    if (branches := merged.pop("anyOf", None)) is not None:
        kept = [branch for branch in branches if branch.get("type") != "null"]
        if len(kept) != 1:
            raise UnsupportedSchemaError(f"a union of {len(kept)} types: {branches}")
        merged = {**structural(kept[0], definitions), **merged}
    if (constant := merged.pop("const", None)) is not None:
        merged["enum"] = [constant]
    if merged.get("default", ...) is None:
        del merged["default"]
    if unknown := {key for key in merged if key in ("allOf", "oneOf", "prefixItems", "not")}:
        raise UnsupportedSchemaError(f"{', '.join(sorted(unknown))} in {merged}")

    values = merged.get("additionalProperties")
    result = {key: value for key, value in merged.items() if key not in _DROPPED}
    if isinstance(values, Mapping):
        result["additionalProperties"] = structural(values, definitions)
    if "properties" in result:
        result["properties"] = {
            name: structural(property_, definitions)
            for name, property_ in result["properties"].items()
        }
    if isinstance(result.get("default"), Mapping):
        result["default"] = {}
    if result.get("x-kubernetes-int-or-string"):
        # A number is passed to the rule, whose message says what to write instead.
        result.pop("type", None)
    if result.get("type") == "string" and "x-kubernetes-validations" in result:
        result.setdefault("maxLength", DEFAULT_MAX_LENGTH)
    if "items" in result:
        result["items"] = structural(result["items"], definitions)
        scalar = result["items"].get("type") in _SCALARS
        result.setdefault("x-kubernetes-list-type", "set" if scalar else "atomic")
    return _ordered(result)


def model_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the structural schema of `model`."""
    schema = model.model_json_schema(by_alias=True)
    return structural(schema, schema.get("$defs", {}))


def custom_resource_definition() -> dict[str, Any]:
    """Return the CustomResourceDefinition as plain data."""
    status = _without_defaults(model_schema(RolloutStatus))
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{names.PLURAL}.{names.GROUP}",
            "labels": {"app.kubernetes.io/part-of": names.MANAGER},
        },
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.SINGULAR,
                "shortNames": [names.SHORT_NAME],
                "categories": ["airflow"],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _printer_columns(),
                    "schema": {
                        "openAPIV3Schema": {
                            "description": _DESCRIPTION,
                            "type": "object",
                            "required": ["spec"],
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": model_schema(RolloutSpec),
                                "status": status,
                            },
                            "x-kubernetes-validations": [
                                {
                                    "rule": f"size(self.metadata.name) <= {MAX_NAME_LENGTH}",
                                    "message": "metadata.name: must have at most "
                                    f"{MAX_NAME_LENGTH} characters: names of Jobs are "
                                    "derived from it",
                                }
                            ],
                        }
                    },
                }
            ],
        },
    }


def render_crd() -> str:
    """Return the CustomResourceDefinition as a YAML document."""
    text = yaml.safe_dump(
        custom_resource_definition(), sort_keys=False, width=98, allow_unicode=True
    )
    return f"# Generated by {_COMMAND}: change the models and run it again.\n{text}"


def render_reference() -> str:
    """Return the reference page of the resource as Markdown."""
    version = custom_resource_definition()["spec"]["versions"][0]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    lines = [
        f"<!-- Generated by {_COMMAND}: change the models and run it again. -->",
        "",
        f"# {names.KIND}",
        "",
        f"`{names.API_VERSION}`, namespaced, short name `{names.SHORT_NAME}`. {_DESCRIPTION} It "
        "lives in the namespace of the release. Its name has at most "
        f"{MAX_NAME_LENGTH} characters.",
        "",
        "A bold field is required.",
        "",
    ]
    for part in ("spec", "status"):
        lines += [f"## {part}", "", properties[part]["description"], ""]
        lines += ["| Field | Type | Default | Meaning |", "|---|---|---|---|"]
        lines += [_row(*field) for field in _fields(properties[part], part)]
        lines.append("")
    lines += ["## Columns of kubectl get", "", "| Column | From |", "|---|---|"]
    lines += [
        f"| {column['name']}{' (with `-o wide`)' if column.get('priority') else ''} | "
        f"`{_cell(column['jsonPath'])}` |"
        for column in version["additionalPrinterColumns"]
    ]
    return "\n".join(lines) + "\n"


def _printer_columns() -> list[dict[str, Any]]:
    def condition(field: str, type_: str) -> str:
        return f'.status.conditions[?(@.type=="{type_}")].{field}'

    return [
        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
        {"name": "Backend", "type": "string", "jsonPath": ".spec.backend.type"},
        {"name": "Threshold", "type": "string", "jsonPath": ".status.threshold"},
        {"name": "Offloaded", "type": "integer", "jsonPath": ".status.offloadedRuns.count"},
        {"name": "Ready", "type": "string", "jsonPath": condition("status", names.Condition.READY)},
        {
            "name": "Reason",
            "type": "string",
            "jsonPath": condition("reason", names.Condition.READY),
        },
        {
            "name": "Audit",
            "type": "string",
            "priority": 1,
            "jsonPath": condition("reason", names.Condition.AUDITED),
        },
        {
            "name": "Message",
            "type": "string",
            "priority": 1,
            "jsonPath": condition("message", names.Condition.READY),
        },
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]


def _without_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a status, to which the API server must add nothing."""
    result = {key: value for key, value in schema.items() if key != "default"}
    for name, child in result.get("properties", {}).items():
        result["properties"][name] = _without_defaults(child)
    if "items" in result:
        result["items"] = _without_defaults(result["items"])
    return result


def _ordered(schema: dict[str, Any]) -> dict[str, Any]:
    first = ("description", "type", "format", "enum", "default", "required")
    head = {key: schema[key] for key in first if key in schema}
    return head | {key: value for key, value in schema.items() if key not in head}


def _fields(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    required = schema.get("required", ())
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child, name in required
        array = child.get("type") == "array"
        yield from _fields(
            child["items"] if array else child, f"{path}.{name}{'[]' if array else ''}"
        )


def _row(path: str, schema: Mapping[str, Any], required: bool) -> str:
    field = f"**`{path}`**" if required else f"`{path}`"
    default = ""
    if schema.get("type") != "object" and "default" in schema:
        default = f"`{yaml.safe_dump(schema['default'], default_flow_style=True).split('...')[0]}`"
    rules = [
        rule["message"]
        for rule in schema.get("x-kubernetes-validations", ())
        if rule["message"] not in schema.get("description", "")
    ]
    text = " ".join([schema.get("description", ""), *(f"{_sentence(rule)}" for rule in rules)])
    cells = (field, _type(schema), "".join(default.split("\n")), text)
    return f"| {' | '.join(map(_cell, cells))} |"


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"map of {_type(schema['additionalProperties'])}"
    if schema.get("format") == "date-time":
        return "time"
    return str(schema.get("type", ""))


def _sentence(rule: str) -> str:
    return f"{rule[0].upper()}{rule[1:].rstrip('.')}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def outputs(root: Path) -> dict[Path, str]:
    """Return the files that are generated, by path, with their contents."""
    crd = render_crd()
    return {
        root / "crds" / CRD_FILE: crd,
        root / "charts" / "xcom-rollout" / "crds" / CRD_FILE: crd,
        root / "docs" / "reference" / "crd.md": render_reference(),
    }


def main(arguments: Sequence[str]) -> int:
    """Write or, with `--check`, compare the generated files below the current folder."""
    if arguments not in ([], ["--check"]):
        print(f"usage: {_COMMAND} [--check]", file=sys.stderr)
        return 2
    root = Path.cwd()
    if not (root / "pyproject.toml").is_file():
        print(
            f"{root} is not the root of the project: it contains no pyproject.toml", file=sys.stderr
        )
        return 2
    differing = [
        (path, text)
        for path, text in outputs(root).items()
        if not path.is_file() or path.read_text() != text
    ]
    for path, text in differing:
        if arguments:
            print(f"{path.relative_to(root)} differs from the models: run {_COMMAND}")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(root)}")
    return 1 if arguments and differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
