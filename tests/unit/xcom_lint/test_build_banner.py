"""XCL001."""

from __future__ import annotations

import pytest

from lint_cases import lines

SILENT = {
    "called in the decorator": """
        @dag(doc_md=dag_version_banner("x"))
        def d(): ...
        """,
    "in an f-string": """
        @dag(doc_md=f"{dag_version_banner()} more")
        def d(): ...
        """,
    "joined with the docstring": """
        @dag(doc_md=dag_version_banner() + (__doc__ or ""))
        def d(): ...
        """,
    "by a variable": """
        DOC = dag_version_banner("x")
        @dag(doc_md=DOC)
        def d(): ...
        """,
    "by an alias of the import": """
        from _common import dag_version_banner as banner
        @dag(doc_md=banner("x"))
        def d(): ...
        """,
    "by a module": """
        import _common
        @dag(doc_md=_common.dag_version_banner("x"))
        def d(): ...
        """,
    "by a wrapper in the file": """
        def doc(text):
            return dag_version_banner(text) + "footer"
        @dag(doc_md=doc("x"))
        def d(): ...
        """,
    "class, assigned later": """
        from airflow import DAG
        with DAG("d") as flow:
            pass
        flow.doc_md = dag_version_banner("x")
        """,
    "no DAG in the file": """
        def helper(): ...
        """,
}
FOUND = {
    "no doc_md": """
        @dag()
        def d(): ...
        """,
    "bare decorator": """
        @dag
        def d(): ...
        """,
    "another text": """
        @dag(doc_md="dag_version_banner()")
        def d(): ...
        """,
    "called, but not for doc_md": """
        @dag(doc_md="x", description=dag_version_banner())
        def d(): ...
        """,
    "a function of this name that is something else": """
        def banner(): return "x"
        @dag(doc_md=banner())
        def d(): ...
        """,
    "class without it": """
        from airflow.sdk import DAG
        flow = DAG("d", doc_md="x")
        """,
    "named in a comment only": """
        @dag(doc_md="x")  # dag_version_banner()
        def d(): ...
        """,
}


@pytest.mark.parametrize("name", SILENT)
def test_a_dag_with_the_banner_is_not_found(name: str) -> None:
    assert lines("XCL001", SILENT[name]) == []


@pytest.mark.parametrize("name", FOUND)
def test_a_dag_without_the_banner_is_found(name: str) -> None:
    assert len(lines("XCL001", FOUND[name])) == 1


def test_each_dag_of_a_file_is_looked_at() -> None:
    source = """
        @dag(doc_md=dag_version_banner("x"))
        def one(): ...

        @dag(doc_md="x")
        def two(): ...
        """
    assert lines("XCL001", source) == [5]


def test_other_helpers_can_be_named() -> None:
    source = """
        from ours import our_banner
        @dag(doc_md=our_banner())
        def d(): ...
        """
    assert lines("XCL001", source) != []
    assert lines("XCL001", source, banner_helpers=["our_banner"]) == []
