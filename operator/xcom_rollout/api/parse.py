"""Converts a spec from the API server to the typed one, or to a list of its problems.

The API server checks specs by the installed CRD, which may be older than the operator. What passes
it and is still wrong is reported in the same way: field, value and remedy.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import ValidationError

from xcom_rollout.api.names import MANAGER
from xcom_rollout.api.v1alpha1 import Model, RolloutSpec

_REMEDIES: Final[Mapping[str, str]] = {
    "missing": "is required: add it",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "model_type": "must be an object",
    "int_parsing": "must be a whole number",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "tuple_type": "must be a list",
}
_PASSWORD: Final = re.compile(r"(://[^@/:\s\"]*:)[^@\s\"]+@")
"""A password in an address: a message with the value would end up in logs."""
_PREFIXED: Final = re.compile(r"([A-Za-z0-9.]+): (.*)", re.DOTALL)
"""A validator of a whole object puts the field within it in front of its message."""


@dataclass(frozen=True)
class Problem:
    """A problem of one field.

    `field` is its path in the resource, `value` its value as JSON, empty where there is none, and
    `remedy` says what to write instead.
    """

    field: str
    value: str
    remedy: str

    def __str__(self) -> str:
        if not self.value:
            return f"{self.field} {self.remedy}"
        joint = " " if self.remedy.startswith(("is ", "must ")) else ": "
        return f"{self.field}: {self.value}{joint}{self.remedy}"


class SpecInvalidError(ValueError):
    """The spec of a resource is not valid."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


def parse_spec(raw: object) -> RolloutSpec:
    """Return the spec that `raw` (plain JSON data) holds.

    Raises:
        SpecInvalidError: with one problem for each field that is wrong.
    """
    try:
        return RolloutSpec.model_validate(raw)
    except ValidationError as error:
        raise SpecInvalidError([_problem(raw, dict(detail)) for detail in error.errors()]) from None


def _problem(raw: object, detail: Mapping[str, Any]) -> Problem:
    location = tuple(detail["loc"])
    kind = str(detail["type"])
    if kind == "value_error":
        message = str(detail["ctx"]["error"])
        if (match := _PREFIXED.match(message)) is not None:
            within = tuple(match[1].split("."))
            value = _lookup(raw, (*location, *within))
            return Problem(_path((*location, *within)), _json(value), _after_value(match[2], value))
        value = _lookup(raw, location)
        return Problem(_path(location), _json(value), _after_value(message, value))
    value = None if kind == "missing" else _lookup(raw, location)
    return Problem(
        _path(location),
        "" if kind == "missing" else _json(value),
        _remedy(kind, location, detail, value),
    )


def _remedy(
    kind: str, location: tuple[int | str, ...], detail: Mapping[str, Any], value: object
) -> str:
    if kind == "extra_forbidden":
        return _unknown_field(location)
    if kind == "literal_error":
        return f"use {str(detail['ctx']['expected']).replace(chr(39), chr(34))}"
    if kind == "string_type":
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return f'must be a string: write it in quotes, "{value}"'
        return "must be a string"
    return _REMEDIES.get(kind, str(detail["msg"])).format_map(detail.get("ctx", {}))


def _unknown_field(location: tuple[int | str, ...]) -> str:
    model = _model_at(location[:-1])
    known = sorted(
        str(field.alias or name) for name, field in (model.model_fields if model else {}).items()
    )
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"is not a field of {MANAGER}: {hint}the fields here are {', '.join(known)}"


def _model_at(location: Sequence[int | str]) -> type[Model] | None:
    model: type[Model] = RolloutSpec
    for part in location:
        if isinstance(part, int):
            continue  # an index: its list has already led to the model of its items
        found = next(
            (
                _model_within(field.annotation)
                for name, field in model.model_fields.items()
                if (field.alias or name) == part
            ),
            None,
        )
        if found is None:
            return None
        model = found
    return model


def _model_within(annotation: Any) -> type[Model] | None:
    """Return the model of a field that contains one, is optional, or is a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    inner = (_model_within(argument) for argument in get_args(annotation))
    return next((model for model in inner if model is not None), None)


def _after_value(message: object, value: object) -> str:
    """The message without the value in front: a problem shows the value separately."""
    return str(message).removeprefix(f"{value!r} ")


def _lookup(raw: object, location: Sequence[int | str]) -> object:
    for part in location:
        if isinstance(raw, Mapping):
            raw = raw.get(part)
        elif isinstance(raw, list) and isinstance(part, int) and part < len(raw):
            raw = raw[part]
        else:
            return None
    return raw


def _path(location: Sequence[int | str]) -> str:
    path = "spec"
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path


def _json(value: object) -> str:
    return _PASSWORD.sub(r"\1***@", json.dumps(value, ensure_ascii=False, default=str))
