import airflow.decorators
import numpy as np
from airflow import decorators as deco
from airflow.decorators import dag, task, task_group
from airflow.decorators import task as step
from airflow.sensors.base import PokeReturnValue

airflow_task = task


@dag(dag_id="forms")
def forms():
    @task(task_id="named", retries=2)
    def with_arguments():
        return np.zeros(1)  # XCA001 high forms.named

    @step
    def alias():
        return np.zeros(1)  # XCA001 high forms.alias

    @deco.task
    def module_alias():
        return np.zeros(1)  # XCA001 high forms.module_alias

    @airflow.decorators.task
    def dotted():
        return np.zeros(1)  # XCA001 high forms.dotted

    @airflow_task
    def assigned():
        return np.zeros(1)  # XCA001 high forms.assigned

    @task.virtualenv(requirements=["numpy"])
    def virtualenv():
        import numpy

        return numpy.zeros(1)  # XCA001 high forms.virtualenv

    @task.branch
    def branch():
        return {"a"}

    @task.snowpark_python
    def snowpark_python():
        return np.zeros(1)  # XCA001 high forms.snowpark_python

    @task.short_circuit()
    def short_circuit():
        return np.zeros(1).any()  # XCA002 medium forms.short_circuit

    @task.bash
    def command():
        return "123"

    @task.sensor(poke_interval=1)
    def waits() -> PokeReturnValue:
        return PokeReturnValue(is_done=True, xcom_value=np.zeros(1))  # XCA001 high forms.waits

    @task.sensor
    def only_waits():
        return np.zeros(1)

    @task(do_xcom_push=False)
    def silent():
        return np.zeros(1)

    @task
    def overridden():
        return np.zeros(1)

    overridden.override(do_xcom_push=False)()

    @task
    def overridden_once():
        return np.zeros(1)  # XCA001 high forms.overridden_once

    overridden_once.override(do_xcom_push=False)()
    overridden_once()

    @task
    def mapped(x):
        return np.full(3, x)  # XCA001 high forms.mapped

    @task_group
    def group():
        @task
        def inner():
            return b"x"  # XCA007 high forms.group.inner

        inner()

    mapped.expand(x=[1, 2])

    @task_group(group_id="other", prefix_group_id=False)
    def second_group():
        @task
        def unprefixed():
            return b"x"  # XCA007 high forms.unprefixed

    def not_a_task():
        return np.zeros(1)


forms()
