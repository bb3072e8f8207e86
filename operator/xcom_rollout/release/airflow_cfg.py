"""The file airflow.cfg: its options, and those that a flip owns."""

import configparser
from collections.abc import Mapping
from typing import Final

OWNED_OPTIONS: Final = (
    ("core", "xcom_backend"),
    ("common.io", "xcom_objectstorage_path"),
    ("common.io", "xcom_objectstorage_threshold"),
    ("common.io", "xcom_objectstorage_compression"),
)


def variable(section: str, option: str) -> str:
    """Return the environment variable that sets an option."""
    return f"AIRFLOW__{section.replace('.', '_').upper()}__{option.upper()}"


OWNED_VARIABLES: Final = frozenset(variable(*option) for option in OWNED_OPTIONS)
"""The environment variables that set the same options."""

Sections = Mapping[str, Mapping[str, str | None]]


def parsed_options(text: str) -> dict[str, dict[str, str | None]] | str:
    """Return the options of an airflow.cfg by section; the text where it cannot be parsed."""
    parser = configparser.RawConfigParser(
        strict=False, allow_no_value=True, default_section="\0none"
    )
    # Option names keep their case, as they do in Airflow's own parser.
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except configparser.Error:
        return text
    return {name: dict(parser.items(name)) for name in parser.sections()}


def without_owned_options(text: str) -> Sections | str:
    """Return the sections of an airflow.cfg without the options that a flip owns.

    A section that is empty without them is left out, because the flip may have created it. A file
    that cannot be parsed is returned unchanged.
    """
    sections = parsed_options(text)
    if isinstance(sections, str):
        return sections
    for section, option in OWNED_OPTIONS:
        sections.get(section, {}).pop(option, None)
    return {name: options for name, options in sections.items() if options}
