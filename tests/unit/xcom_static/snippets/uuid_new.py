# airflow: 3.2
from uuid import uuid4

from airflow.sdk import task


@task
def identifier():
    return uuid4()
