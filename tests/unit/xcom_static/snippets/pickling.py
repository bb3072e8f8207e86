from base64 import b64encode

from airflow.configuration import conf
from airflow.models import BaseOperator


class Command(BaseOperator):
    def execute(self, context):
        output = b"x"
        pickling = conf.getboolean("core", "enable_xcom_pickling")
        if not pickling:
            output = b64encode(output).decode("utf-8")
        return output


class Choice(BaseOperator):
    def execute(self, context):
        if conf.getboolean("core", "enable_xcom_pickling"):
            return b"x"
        if conf.getboolean("core", "load_examples"):
            return b"x"  # XCA007 high
        return "x"
