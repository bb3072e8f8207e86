import json
from functools import partial

import numpy as np
import pandas as pd
from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.python import BranchPythonOperator, PythonOperator
from airflow.providers.amazon.aws.operators.lambda_function import LambdaInvokeFunctionOperator
from airflow.providers.amazon.aws.operators.rds import RdsStartExportTaskOperator
from airflow.providers.amazon.aws.operators.s3 import S3ListOperator
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.providers.google.cloud.operators.bigquery import BigQueryGetDataOperator
from airflow.providers.http.operators.http import HttpOperator
from airflow.sensors.python import PythonSensor
from airflow.utils.task_group import TaskGroup

NAME = "classic"
default_args = {"retries": 1}


def extract(**context):
    df = pd.DataFrame({"a": [1]})
    context["ti"].xcom_push(key="frame", value=df)  # XCA003 high classic.extract+classic.mapped
    context["ti"].xcom_push("rows", len(df))
    return df.to_json()  # XCA014 high classic.extract+classic.mapped, XCA022 medium classic.extract+classic.mapped


def transform(ti):
    ti.xcom_push(key="blob", value=b"x")  # XCA007 high classic.load.transform
    ti.xcom_push(key="text", value=json.dumps({}))  # XCA014 high classic.load.transform


def silent():
    return np.zeros(1)


def poke():
    return np.zeros(1)


def renamed():
    return json.dumps({"a": 1})  # XCA014 high classic.renamed


with DAG(NAME, default_args=default_args) as dag:
    PythonOperator(task_id="extract", python_callable=extract)
    with TaskGroup("load"):
        PythonOperator(task_id="transform", python_callable=partial(transform, x=1))
    PythonOperator(task_id="silent", python_callable=silent, do_xcom_push=False)
    PythonOperator(task_id="one", python_callable=lambda: np.ones(1))  # XCA001 high classic.one
    BranchPythonOperator(task_id="branch", python_callable=lambda: "silent")
    PythonSensor(task_id="wait", python_callable=poke)
    BashOperator(task_id="count", bash_command="wc -l < a.csv")  # XCA014 medium classic.count
    BashOperator(task_id="echo", bash_command="echo 1")  # XCA014 medium classic.echo
    BashOperator(task_id="word", bash_command="echo done")
    BashOperator(task_id="quiet", bash_command="echo 1", do_xcom_push=False)
    BashOperator(task_id="first_line", bash_command="echo 1; echo done")
    BashOperator(task_id="templated", bash_command="echo {{ ds }}")
    SQLExecuteQueryOperator(task_id="rows", sql="SELECT a, b FROM t")  # XCA008 medium classic.rows
    SQLExecuteQueryOperator(task_id="insert", sql="INSERT INTO t VALUES (1)")
    SQLExecuteQueryOperator(task_id="file", sql="query.sql")
    SQLExecuteQueryOperator(task_id="unread", sql="SELECT 1", do_xcom_push=False)
    HttpOperator(task_id="get", endpoint="/")  # XCA014 medium classic.get
    HttpOperator(task_id="json", endpoint="/", response_filter=lambda answer: answer.json())
    HttpOperator(  # XCA014 high classic.dumped
        task_id="dumped", endpoint="/", response_filter=lambda answer: json.dumps(answer.json())
    )
    KubernetesPodOperator(task_id="pod", do_xcom_push=True)
    S3ListOperator(task_id="keys", bucket="b")
    LambdaInvokeFunctionOperator(task_id="call", function_name="f")  # XCA014 medium classic.call
    BigQueryGetDataOperator(task_id="table", table_id="t")  # XCA008 medium classic.table
    BigQueryGetDataOperator(task_id="dicts", table_id="t", as_dict=True)
    RdsStartExportTaskOperator(task_id="export")  # XCA014 high classic.export
    PythonOperator.partial(task_id="mapped", python_callable=extract).expand(op_args=[[1]])
    renamed = PythonOperator(task_id="renamed", python_callable=renamed)
