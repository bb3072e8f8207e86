"""The ways in which a value can come back changed: a closed list, which people can accept."""

from __future__ import annotations

JSON_STRINGS = "json-strings"
TUPLE_TO_LIST = "tuple-to-list"
SET_TYPE = "set-type"
KEY_TO_STR = "key-to-str"
KEY_ORDER = "key-order"
KEYS_REFUSED = "keys-refused"
NUMBER_TYPE = "number-type"
PRECISION = "precision"
NUMPY_TO_PYTHON = "numpy-to-python"
DTYPE = "dtype"
ENUM_TO_VALUE = "enum-to-value"
OBJECT_TO_PLAIN = "object-to-plain"
TIME_ZONE = "tz"
TIME_TYPE = "time-type"
TYPE = "type"
VALUE = "value"

CLASSES = {
    JSON_STRINGS: "a string that parses as JSON comes back as the parsed value",
    TUPLE_TO_LIST: "a tuple comes back as a list",
    SET_TYPE: "a set or frozenset comes back as another collection",
    KEY_TO_STR: "keys of a dict come back as strings",
    KEYS_REFUSED: "a dict whose keys are tuples or similar can no longer be pushed, an error; "
    "Airflow's own class converts such keys to strings",
    KEY_ORDER: "keys of a dict come back in another order",
    NUMBER_TYPE: "a number comes back equal, as another type of number (2.0 as 2)",
    PRECISION: "a decimal number comes back equal, with other digits (1.10 as 1.1)",
    NUMPY_TO_PYTHON: "a numpy value comes back as a Python value",
    DTYPE: "an array, series or frame comes back with another dtype or index",
    ENUM_TO_VALUE: "a member of an enum comes back as its value",
    OBJECT_TO_PLAIN: "an object (dataclass, model, named tuple) comes back as a dict or tuple",
    TIME_ZONE: "a date and time comes back with another time zone, or without one",
    TIME_TYPE: "a date, time or duration comes back as another type",
    TYPE: "another type comes back, in some other way",
    VALUE: "another value of the same type comes back",
}
