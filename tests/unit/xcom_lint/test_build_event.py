"""XCL002."""

from __future__ import annotations

import pytest

from lint_cases import lines

SILENT = {
    "in the only task": """
        @dag()
        def d():
            @task
            def a():
                dag_loaded_event(logging.getLogger(), "d")
            a()
        """,
    "by a wrapper": """
        def begin():
            dag_loaded_event(logging.getLogger(), "d")
        @dag()
        def d():
            @task
            def a():
                begin()
            a()
        """,
    "in the first by arguments, written last": """
        @dag()
        def d():
            @task
            def b(x): ...
            @task
            def a():
                dag_loaded_event(logging.getLogger(), "d")
            b(a())
        """,
    "in the first by a variable": """
        @dag()
        def d():
            @task
            def b(x): ...
            @task
            def a():
                dag_loaded_event(logging.getLogger(), "d")
            first = a()
            b(first)
        """,
    "in the first by >>": """
        @dag()
        def d():
            @task
            def b(): ...
            @task
            def c(): ...
            @task
            def a():
                dag_loaded_event(logging.getLogger(), "d")
            a() >> [b(), c()]
        """,
    "in the first by chain": """
        from airflow.models.baseoperator import chain
        @dag()
        def d():
            @task
            def b(): ...
            @task
            def a():
                dag_loaded_event(logging.getLogger(), "d")
            chain(a(), b())
        """,
    "in one of several first tasks": """
        @dag()
        def d():
            @task
            def a():
                dag_loaded_event(logging.getLogger(), "d")
            @task
            def b(): ...
            [a(), b()]
        """,
    "in the function of a PythonOperator": """
        from airflow.operators.python import PythonOperator
        def run():
            dag_loaded_event(logging.getLogger(), "d")
        @dag()
        def d():
            PythonOperator(task_id="run", python_callable=run)
        """,
    "pods only": """
        from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
        @dag()
        def d():
            KubernetesPodOperator(task_id="p", image="x")
        """,
    "mapped": """
        @dag()
        def d():
            @task
            def b(x): ...
            @task
            def a():
                dag_loaded_event(logging.getLogger(), "d")
                return [1]
            b.expand(x=a())
        """,
}
FOUND = {
    "nowhere": """
        @dag()
        def d():
            @task
            def a(): ...
            a()
        """,
    "in the second task only": """
        @dag()
        def d():
            @task
            def a(): ...
            @task
            def b(x):
                dag_loaded_event(logging.getLogger(), "d")
            b(a())
        """,
    "in a function within the task that nobody calls": """
        @dag()
        def d():
            @task
            def a():
                return 1
            @task
            def z(x): ...
            z(a())
        """,
    "when the file is read, not in a task": """
        dag_loaded_event(logging.getLogger(), "d")
        @dag()
        def d():
            @task
            def a(): ...
            a()
        """,
    "by << the other way round": """
        @dag()
        def d():
            @task
            def a():
                dag_loaded_event(logging.getLogger(), "d")
            @task
            def b(): ...
            a() << b()
        """,
}


@pytest.mark.parametrize("name", SILENT)
def test_a_dag_whose_first_task_logs_its_build_is_not_found(name: str) -> None:
    assert lines("XCL002", SILENT[name]) == []


@pytest.mark.parametrize("name", FOUND)
def test_a_dag_whose_first_task_does_not_is_found(name: str) -> None:
    assert len(lines("XCL002", FOUND[name])) == 1


def test_the_first_task_is_named_where_it_stands() -> None:
    source = """
        @dag()
        def d():
            @task
            def later(x): ...
            @task
            def first(): ...
            later(first())
        """
    assert lines("XCL002", source) == [6]
