# airflow: 3.1
import math

import numpy as np
from airflow.sdk import task


@task
def constant():
    return float("nan")  # XCA012 high


@task
def infinite():
    return {"limit": math.inf}  # XCA012 high


@task
def numpy_nan():
    return [np.nan]  # XCA012 high


@task
def number():
    return 1.5


@task
def json_text_is_safe_on_3():
    return "123"


@task
def float32_is_safe_on_3_1():
    return np.float32(1.0)


@task
def nested_tuple_when_offloaded():
    return [(1, 2)]  # XCA008 high
