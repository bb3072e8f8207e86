import numpy as np
from airflow.decorators import task

LIMITS = np.array([1, 2])


def helper():
    return np.zeros(3)


def unknown_helper(x):
    return x


def recursive(n):
    return recursive(n - 1) if n else np.zeros(1)


@task
def one_branch(flag):
    if flag:
        result = {"ok": True}
    else:
        result = np.zeros(3)
    return result  # XCA001 high


@task
def both_returned(flag):
    if flag:
        return None
    return np.zeros(3)  # XCA001 high


@task
def rebound():
    result = np.zeros(3)
    result = result.tolist()
    return result


@task
def through_a_helper():
    return helper()  # XCA001 high


@task
def through_an_unknown_one():
    return unknown_helper(np.zeros(3))


@task
def through_recursion():
    return recursive(3)  # XCA001 high


@task
def of_the_module():
    return LIMITS  # XCA001 high


@task
def unpacked():
    first, second = np.zeros(2), [1]
    return {"a": second, "b": first}  # XCA001 high


@task
def only_one_is_used():
    first, second = np.zeros(2), [1]
    return second


@task
def loop():
    found = None
    for _ in range(3):
        found = np.zeros(3)
    return found  # XCA001 high


@task
def conditional(flag):
    return np.zeros(3) if flag else None  # XCA001 high


@task
def tried():
    try:
        result = np.zeros(3)
    except ValueError:
        return None
    else:
        return result  # XCA001 high


@task
def narrowed(values: np.ndarray):
    if isinstance(values, np.ndarray):
        values = values.tolist()
    return values


@task
def narrowed_in_an_expression(values: "np.ndarray | list"):
    return values if isinstance(values, list) else list(values)  # XCA002 low


@task
def added():
    parts = [1]
    parts.append(np.zeros(3))
    return parts  # XCA001 high


@task
def put_into_a_dict():
    found = {"n": 1}
    found["grid"] = np.zeros(3)
    return found  # XCA001 high


@task
def taken_out_of_a_dict():
    found = {"n": 1, "grid": np.zeros(3)}
    return found["n"]


@task
def local_import():
    import numpy

    return numpy.ones(2)  # XCA001 high


@task
def nested_function():
    def inner():
        return np.zeros(1)

    return inner()  # XCA001 high


@task
def shadowed(np):
    return np.array([1])


@task
def walrus():
    if (grid := np.zeros(3)) is not None:
        return grid  # XCA001 high
    return None


@task
async def awaited():
    async with something() as found:
        return np.zeros(3)  # XCA001 high
