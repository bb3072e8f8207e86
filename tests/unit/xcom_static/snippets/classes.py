import enum
from dataclasses import asdict, dataclass
from typing import NamedTuple

import attrs
from airflow.decorators import task
from pydantic import BaseModel


@dataclass
class Order:
    n: int


@attrs.define
class Customer:
    n: int


class Model(BaseModel):
    n: int


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = 1


class Level(str, enum.Enum):
    LOW = "low"


class Plain:
    pass


class Custom:
    def serialize(self):
        return {}


class Unknown(SomethingElse):
    pass


@task
def dataclass_instance():
    return Order(1)  # XCA015 high


@task
def attrs_instance():
    return Customer(1)  # XCA015 high


@task
def model():
    return Model(n=1)  # XCA015 high


@task
def dumped():
    return [Model(n=1).model_dump(), asdict(Order(1))]


@task
def model_text():
    return Model(n=1).model_dump_json()  # XCA014 high


@task
def named_tuple():
    return Point(1, 2)  # XCA021 high


@task
def member():
    return Colour.RED  # XCA020 high


@task
def member_value():
    return Colour.RED.value


@task
def text_member():
    return Level.LOW


@task
def plain():
    return Plain()  # XCA019 high


@task
def custom():
    return Custom()


@task
def unknown():
    return Unknown()


@task
def the_class():
    return Plain  # XCA018 high


@task
def error():
    try:
        return 1
    except ValueError as problem:
        return problem  # XCA020 high


@task
def error_text():
    try:
        return 1
    except ValueError as problem:
        return str(problem)
