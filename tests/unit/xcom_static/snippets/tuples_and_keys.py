import collections
from datetime import date
from uuid import uuid4

from airflow.decorators import task


@task
def pairs():
    return [("a", 1), ("b", 2)]  # XCA008 high


@task
def in_a_dict():
    return {"size": (1, 2)}  # XCA008 high


@task
def zipped():
    return list(zip(["a"], [1]))  # XCA008 high


@task
def items():
    counts = {"a": 1}
    return sorted(counts.items())  # XCA008 high


@task
def appended():
    found = []
    for name in ["a", "b"]:
        found.append((name, 1))
    return found  # XCA008 high


@task
def at_the_top():
    return 1, "two"


@task
def tuples_in_a_set():
    return {(1, 2), (3, 4)}


@task
def tuple_of_tuples():
    return (1, 2), (3, 4)


@task
def numbers_as_keys():
    return {1: "a", 2: "b"}  # XCA009 high


@task
def by_comprehension():
    return {number: number * 2 for number in [1, 2]}  # XCA009 high


@task
def assigned():
    found = {}
    found[1] = "a"
    return found  # XCA009 high


@task
def tuple_keys():
    return {("a", 1): 2}  # XCA010 high


@task
def date_keys():
    return {date.today(): 1}  # XCA010 high


@task
def text_keys():
    return {str(number): number for number in [1, 2]}


@task
def lists():
    return [[1, 2], [3, 4]]


@task
def identifier():
    run = uuid4()
    return run  # XCA011 high


@task
def identifier_text():
    return str(uuid4())


@task
def queue():
    return collections.deque([1])  # XCA020 high


@task
def counted():
    return collections.Counter(["a"])


@task
def a_set():
    return {1, 2}
