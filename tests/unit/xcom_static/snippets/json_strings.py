import json
from datetime import datetime

from airflow.decorators import dag, task
from airflow.models import Variable


@dag
def texts():
    @task
    def dumped():
        return json.dumps({"a": 1})  # XCA014 high

    @task
    def by_name():
        payload = json.dumps([1, 2])
        return payload  # XCA014 high

    @task
    def constant():
        return "123"  # XCA014 high

    @task
    def word():
        return "branch_a"

    @task
    def number_text():
        return str(len([1, 2]))  # XCA014 high

    @task
    def formatted():
        n = 5
        return f"{n}"  # XCA014 high

    @task
    def formatted_object(name):
        return f'{{"name": {name}}}'  # XCA014 medium

    @task
    def sentence():
        n = 5
        return f"{n} rows"

    @task
    def partition():
        return datetime.now().strftime("%Y%m%d")  # XCA014 high

    @task
    def day():
        return datetime.now().strftime("%Y-%m-%d")

    @task
    def from_parameter(ds_nodash=None):
        return ds_nodash  # XCA014 high

    @task
    def nested_is_safe():
        return {"payload": json.dumps({"a": 1}), "n": "5"}

    @task(multiple_outputs=True)
    def each_by_itself():
        return {"payload": json.dumps({"a": 1}), "word": "x"}  # XCA014 high

    @task
    def variable():
        return Variable.get("x", deserialize_json=True)

    @task
    def parsed(text):
        return json.loads(text)

    @task
    def list_text():
        return str([1, 2])  # XCA014 medium

    @task
    def dict_text():
        return str({"a": 1})
