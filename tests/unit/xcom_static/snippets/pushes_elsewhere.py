"""A helper that DAG files import: it has no task of its own."""

import numpy as np
from airflow.models.xcom import XCom


def publish(ti):
    ti.xcom_push(key="grid", value=np.zeros(3))  # XCA001 high


def on_success(context):
    context["task_instance"].xcom_push("when", context["ds_nodash"])  # XCA014 medium


def by_class(**context):
    XCom.set(key="grid", value=np.zeros(3), task_id="t", dag_id="d")  # XCA001 high


def nothing():
    return np.zeros(3)
