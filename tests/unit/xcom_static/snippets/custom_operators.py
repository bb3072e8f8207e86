import json

import numpy as np
from airflow.models import BaseOperator
from airflow.sensors.base import BaseSensorOperator, PokeReturnValue


class Compute(BaseOperator):
    def execute(self, context):
        return self._grid()  # XCA001 high

    def _grid(self):
        return np.zeros(3)

    def helper(self):
        return b"never pushed"


class Child(Compute):
    def execute(self, context):
        context["ti"].xcom_push(key="x", value=b"x")  # XCA007 high
        return json.dumps({})  # XCA014 high


class Deferred(BaseOperator):
    def execute(self, context):
        self.defer(trigger=None, method_name="execute_complete")

    def execute_complete(self, context, event):
        return b"x"  # XCA007 high


class Wait(BaseSensorOperator):
    def poke(self, context):
        return PokeReturnValue(True, xcom_value=np.zeros(1))  # XCA001 high


class Flag(BaseSensorOperator):
    def poke(self, context):
        return np.zeros(1)


class NotAnOperator:
    def execute(self, context):
        return np.zeros(1)
