"""Names that look like Airflow's and are not; xcom_push in a text."""

import numpy as np
from celery import task


@task
def work():
    return np.zeros(3)


class PythonOperator:
    def __init__(self, **kwargs):
        pass


PythonOperator(task_id="x", python_callable=lambda: np.zeros(3))
