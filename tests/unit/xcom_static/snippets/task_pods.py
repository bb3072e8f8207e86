"""Code that changes the pod of a task past the template that was proven."""

from airflow.decorators import dag, task
from airflow.operators.python import PythonOperator
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from helpers import made_elsewhere
from kubernetes.client import models as k8s


@task(
    executor_config={  # XCA025 low
        "pod_override": k8s.V1Pod(
            spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base", image="other:1")])
        )
    }
)
def another_image():
    return 1


MOVED = {"pod_override": k8s.V1Pod(metadata=k8s.V1ObjectMeta(namespace="tasks"))}  # XCA025 low


@task(executor_config=MOVED)
def another_namespace():
    return 1


CONTAINER = k8s.V1Container(name="base", env=[k8s.V1EnvVar(name="A", value="b")])
POD = k8s.V1Pod(spec=k8s.V1PodSpec(containers=[CONTAINER], service_account_name="other"))


@dag(default_args={"executor_config": {"pod_override": POD}})  # XCA025 low
def with_defaults():
    PythonOperator(task_id="a", python_callable=print, executor_config=made_elsewhere())  # XCA025 low
    PythonOperator(
        task_id="b",
        python_callable=print,
        executor_config={"KubernetesExecutor": {"image": "other:1"}},  # XCA025 low
    )


def task_policy(task):
    task.executor_config = {"pod_template_file": "/other.yaml"}  # XCA025 low


def pod_mutation_hook(pod):  # XCA025 low
    pod.metadata.namespace = "tasks"


# Room and place of a pod are not what a proof is of.
BIG = {
    "pod_override": k8s.V1Pod(
        spec=k8s.V1PodSpec(
            containers=[
                k8s.V1Container(
                    name="base", resources=k8s.V1ResourceRequirements(limits={"memory": "8Gi"})
                )
            ],
            node_selector={"a": "b"},
            init_containers=[k8s.V1Container(name="wait", image="other:1")],
        )
    )
}


@task(executor_config=BIG)
def large():
    return 1


@task(executor_config={})
def nothing():
    return 1


@task(executor_config=None)
def none():
    return 1


# Pods of the user's own are not Airflow's.
KubernetesPodOperator(task_id="c", image="other:1", namespace="tasks", env_vars={"A": "b"})
