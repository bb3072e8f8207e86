"""XCL003: the list of DAGs shows each one's build."""

import ast
from collections.abc import Iterator

from xcom_lint.config import Settings
from xcom_lint.dagfile import DagFile
from xcom_lint.model import Level, Problem, Rule
from xcom_static.source.modules import Scope, single


def check(file: DagFile, settings: Settings) -> Iterator[Problem]:
    """Find DAGs without a tag `build=...`."""
    for dag in file.dags:
        given = dag.given("tags")
        if given is None or not _has_build(file, given, dag.scope, settings.tag_helpers):
            yield Problem(dag.node, f"tags of DAG {dag.dag_id or '?'} have no build=")


def _has_build(
    file: DagFile, given: ast.expr, scope: Scope, helpers: tuple[str, ...], depth: int = 0
) -> bool:
    for node in ast.walk(given):
        if isinstance(node, ast.Call) and file.is_helper(node.func, scope, helpers):
            return any(keyword.arg in ("build", None) for keyword in node.keywords)
        if isinstance(node, ast.Constant) and str(node.value).startswith("build="):
            return True
        if isinstance(node, ast.Name) and depth < 4:
            bound = single(node.id, scope)
            if bound is not None and _has_build(file, bound, scope, helpers, depth + 1):
                return True
    return False


RULE = Rule(
    code="XCL003",
    name="build-tag",
    level=Level.WARN,
    why="The build is shown only on the page of each DAG, not in the list.",
    fix='Set tags=make_tags(..., build=dag_build_info()["champollion_sha_short"]).',
    bad="""\
from airflow.decorators import dag


@dag(tags=["orders"])
def orders(): ...
""",
    good="""\
from airflow.decorators import dag
from xcom_dags.provenance import dag_build_info, make_tags


@dag(tags=make_tags("orders", build=dag_build_info()["champollion_sha_short"]))
def orders(): ...
""",
    check=check,
)
