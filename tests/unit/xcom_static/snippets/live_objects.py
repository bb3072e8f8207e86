import logging
import re

import boto3
import psycopg2
import requests
from airflow.decorators import task
from airflow.hooks.base import BaseHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.postgres.hooks.postgres import PostgresHook
from psycopg2.extras import RealDictCursor
from sklearn.linear_model import LinearRegression


@task
def response():
    return requests.get("http://localhost")  # XCA017 high


@task
def content():
    return requests.get("http://localhost").content  # XCA007 high


@task
def body_text():
    return requests.get("http://localhost").text  # XCA014 low


@task
def decoded():
    return requests.get("http://localhost").json()


@task
def status():
    answer = requests.get("http://localhost")
    return {"code": answer.status_code, "ok": answer.ok}


@task
def client():
    return boto3.client("s3")  # XCA017 high


@task
def streaming():
    answer = boto3.client("s3").get_object(Bucket="b", Key="k")
    return answer["Body"]  # XCA017 high


@task
def streamed():
    answer = boto3.client("s3").get_object(Bucket="b", Key="k")
    return answer["Body"].read()  # XCA007 high


@task
def records():
    hook = PostgresHook("db")
    return hook.get_records("select 1")  # XCA008 medium


@task
def first_row():
    return PostgresHook("db").get_first("select 1")


@task
def frame():
    return PostgresHook("db").get_pandas_df("select 1")  # XCA003 high


@task
def connection():
    return BaseHook.get_connection("x")  # XCA017 high


@task
def host():
    return BaseHook.get_connection("x").host


@task
def keys():
    return S3Hook().list_keys("bucket")


@task
def cursor_rows():
    connection = psycopg2.connect("")
    cursor = connection.cursor()
    cursor.execute("select 1")
    return cursor.fetchall()  # XCA008 medium


@task
def model():
    fitted = LinearRegression().fit([[1]], [1])
    return fitted  # XCA017 high


@task
def predictions():
    return LinearRegression().fit([[1]], [1]).predict([[1]])  # XCA001 medium


@task
def match():
    return re.match("a", "a")  # XCA020 high


@task
def group():
    return re.match("a", "a").group(0)


@task
def log():
    return logging.getLogger("x")  # XCA017 high


@task
def rows_of_a_hook():
    with PostgresHook("orders").get_conn() as connection:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
            return cursor.fetchall()  # XCA008 medium


@task
def rows_as_dicts():
    with PostgresHook("orders").get_conn() as connection:
        with connection.cursor(cursor_factory=RealDictCursor) as cursor:
            return cursor.fetchall()


@task
def rows_as_dicts_by_the_connection():
    with PostgresHook("orders").get_conn(cursor_factory=RealDictCursor) as connection:
        return connection.cursor().fetchall()


@task
def rows_as_dicts_by_the_driver():
    with psycopg2.connect("dbname=orders", cursor_factory=RealDictCursor) as connection:
        return connection.cursor().fetchall()


@task
def rows_as_dicts_by_position():
    return psycopg2.connect("dbname=orders").cursor(RealDictCursor).fetchall()
