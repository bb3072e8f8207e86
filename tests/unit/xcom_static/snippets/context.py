from airflow.decorators import task
from airflow.operators.python import get_current_context


@task
def instance(ti=None):
    return ti  # XCA017 high


@task
def from_context(**context):
    return context["dag_run"]  # XCA017 medium


@task
def whole(**context):
    return context  # XCA017 high


@task
def current():
    context = get_current_context()
    return context["ds_nodash"]  # XCA014 medium


@task
def day(**context):
    return {"day": context["ds"], "at": context["logical_date"], "run": context["run_id"]}


@task
def pulled(ti=None):
    return ti.xcom_pull(task_ids="x")


@task
def configuration(dag_run=None):
    return dag_run.conf
