import numpy
import numpy as np
from airflow.decorators import task
from numpy import zeros as empty_grid


@task
def array():
    return np.array([1, 2])  # XCA001 high


@task
def from_alias():
    grid = empty_grid(3)
    return grid  # XCA001 high


@task
def in_a_dict():
    scores = numpy.random.rand(4)
    return {"scores": scores, "n": 4}  # XCA001 high


@task
def after_arithmetic():
    base = np.ones(3)
    shifted = base * 2 + 1
    return shifted  # XCA001 medium


@task
def explicit_scalar():
    return np.float32(1.5)  # XCA002 high


@task
def reduced():
    values = np.arange(10)
    return values.sum()  # XCA002 low


@task
def mean_of_array():
    return np.mean([1, 2])  # XCA002 low


@task
def a_flag():
    values = np.arange(3)
    return values.any()  # XCA002 medium


@task
def moment():
    return np.datetime64("2024-01-01")  # XCA002 high


@task
def as_list():
    return np.array([1, 2]).tolist()


@task
def as_number():
    values = np.arange(10)
    return {"total": int(values.sum()), "mean": float(values.mean()), "n": len(values)}


@task
def item():
    return np.arange(3).sum().item()


@task
def shape_of():
    return list(np.zeros((2, 3)).shape)


@task
def of_something_pulled(ti):
    return ti.xcom_pull(task_ids="features").to_numpy()  # XCA001 medium
