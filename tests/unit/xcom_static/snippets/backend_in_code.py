"""Code that sets the backend's options: AIRFLOW__CORE__XCOM_BACKEND in a text like this says nothing."""

import os
from os import environ as env
from unittest.mock import patch

import airflow.models.xcom as xcom_module
from airflow.configuration import conf
from airflow.models import XCom
from airflow.models.xcom import BaseXCom
from airflow.operators.bash import BashOperator
from dotenv import load_dotenv
from kubernetes.client import models as k8s

# AIRFLOW__CORE__XCOM_BACKEND in a comment is nothing.
os.environ["AIRFLOW__CORE__XCOM_BACKEND"] = "x.Y"  # XCA024 high
os.environ["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"] = "s3://a/b"  # XCA024 high
env["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD"] = "0"  # XCA024 high
os.environ.update(AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD="0")  # XCA024 high
os.environ.update({"AIRFLOW__CORE__XCOM_BACKEND": "x.Y"})  # XCA024 high
os.environ.setdefault("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION", "gzip")  # XCA024 high
os.environ |= {"AIRFLOW__CORE__XCOM_BACKEND": "x.Y"}  # XCA024 high
os.environ.pop("AIRFLOW__CORE__XCOM_BACKEND", None)  # XCA024 high
os.putenv("AIRFLOW__CORE__XCOM_BACKEND", "x.Y")  # XCA024 high
del os.environ["AIRFLOW__CORE__XCOM_BACKEND"]  # XCA024 high
conf.set("core", "xcom_backend", "x.Y")  # XCA024 high
conf.set("common.io", "xcom_objectstorage_threshold", "0")  # XCA024 high
conf.remove_option("core", "xcom_backend")  # XCA024 high
BACKEND = "AIRFLOW__CORE__XCOM_BACKEND"  # XCA024 low
os.environ[BACKEND] = "x.Y"  # XCA024 high
variables = {"AIRFLOW__CORE__XCOM_BACKEND": "x.Y"}  # XCA024 medium
call = dict(AIRFLOW__CORE__XCOM_BACKEND="x.Y")  # XCA024 medium
variable = k8s.V1EnvVar(name="AIRFLOW__CORE__XCOM_BACKEND", value="x.Y")  # XCA024 high
BashOperator(
    task_id="a",
    bash_command="export AIRFLOW__CORE__XCOM_BACKEND=x.Y; airflow tasks test d t",  # XCA024 low
)
load_dotenv()  # XCA024 low


class Mine(BaseXCom):
    pass


xcom_module.XCom = Mine  # XCA024 high
setattr(xcom_module, "XCom", Mine)  # XCA024 high
XCom.serialize_value = None  # XCA024 high


def within():
    "AIRFLOW__CORE__XCOM_BACKEND"
    os.environ["AIRFLOW__CORE__XCOM_BACKEND"] = "x.Y"  # XCA024 high
    with patch.dict(os.environ, {"AIRFLOW__CORE__XCOM_BACKEND": "x.Y"}):  # XCA024 high
        pass
    with patch.dict(os.environ, AIRFLOW__CORE__XCOM_BACKEND="x.Y"):  # XCA024 high
        pass


# Reading them, and setting others, changes nothing.
os.environ["AIRFLOW__CORE__EXECUTOR"] = "LocalExecutor"
os.environ["XCOM_BACKEND_OF_MINE"] = "AIRFLOW"
conf.set("core", "parallelism", "8")
conf.get("core", "xcom_backend")
os.getenv("AIRFLOW__CORE__XCOM_BACKEND")
os.environ.get("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", "")
seen = os.environ["AIRFLOW__CORE__XCOM_BACKEND"]
known = "AIRFLOW__CORE__XCOM_BACKEND" in os.environ
other = {}
other.update(A="b")
Mine.serialize_value = None
