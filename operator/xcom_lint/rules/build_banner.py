"""XCL001: the page of a DAG shows its build."""

import ast
from collections.abc import Iterator

from xcom_lint.config import Settings
from xcom_lint.dagfile import DagFile, bound_to
from xcom_lint.model import Level, Problem, Rule
from xcom_static.source.tasks import Dag


def check(file: DagFile, settings: Settings) -> Iterator[Problem]:
    """Find DAGs whose `doc_md` does not hold the banner."""
    for dag in file.dags:
        if not any(
            file.calls_helper(value, dag.scope, settings.banner_helpers)
            for value in _doc_md(file, dag)
        ):
            helper = settings.banner_helpers[0] if settings.banner_helpers else "the banner"
            yield Problem(dag.node, f"doc_md of DAG {dag.dag_id or '?'} does not call {helper}()")


def _doc_md(file: DagFile, dag: Dag) -> Iterator[ast.expr]:
    """The argument, and what is assigned to the attribute later."""
    given = dag.given("doc_md")
    if given is not None:
        yield given
    variable = bound_to(dag)
    for node in file.all_nodes if variable else ():
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if (
                    isinstance(target, ast.Attribute)
                    and target.attr == "doc_md"
                    and isinstance(target.value, ast.Name)
                    and target.value.id == variable
                ):
                    yield node.value


RULE = Rule(
    code="XCL001",
    name="build-banner",
    level=Level.BLOCK,
    why="Before a trigger it is not visible which build of the DAG Airflow has loaded.",
    fix='Set doc_md=dag_version_banner("...") with xcom_dags.provenance.',
    bad="""\
from airflow.decorators import dag


@dag(doc_md="Loads orders.")
def orders(): ...
""",
    good="""\
from airflow.decorators import dag
from xcom_dags.provenance import dag_version_banner


@dag(doc_md=dag_version_banner("Loads orders."))
def orders(): ...
""",
    check=check,
)
