"""`xbr check` of real Helm releases, with the rights of real users."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from harness.apiserver import ApiServer
from standin.bench import CONFIG, VALUES, Bench, write_chart
from standin.kube import Json
from standin.place import RELEASE, Place
from standin.xbr import Answer, Xbr
from xcom_rollout.api.parse import parse_spec

pytestmark = pytest.mark.timeout(300)
READS = {
    "secrets": ("", "get", "list"),
    "configmaps": ("", "get", "list"),
    "pods": ("", "list"),
    "services": ("", "list"),
    "deployments": ("apps", "list"),
    "statefulsets": ("apps", "list"),
    "networkpolicies": ("networking.k8s.io", "list"),
    "xcombackendrollouts": ("xcomrollout.dev", "list"),
}
"""API group and verbs of what a check reads, by resource."""


def reader(server: ApiServer, namespace: str, user: str, *without: str) -> Xbr:
    """Return the `xbr` of a user who may read all but these, and write nothing."""
    metadata = {"name": user, "namespace": namespace}
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": verbs}
        for resource, (group, *verbs) in READS.items()
        if resource not in without
    ]
    group = "rbac.authorization.k8s.io"
    kind = {"apiVersion": f"{group}/v1", "metadata": metadata}
    binding = {
        "roleRef": {"apiGroup": group, "kind": "Role", "name": user},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
    items = [{**kind, "kind": "Role", "rules": rules}, {**kind, "kind": "RoleBinding", **binding}]
    server.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return Xbr(server.user_kubeconfig(user), namespace)


def rows(answer: Answer) -> dict[str, Json]:
    """Return the rows by subject."""
    return {row["subject"]: row for row in json.loads(answer.out)["rows"]}


def objects(server: ApiServer, namespace: str) -> str:
    kinds = "secrets,configmaps,jobs,xbr,deployments,statefulsets,leases"
    return server.kubectl("-n", namespace, "get", kinds, "-o", "name")


def test_a_supported_release_is_told_in_one_page_and_a_rollout_to_start_from_is_valid(
    server: ApiServer, place: Place, tmp_path: Path
) -> None:
    xbr = reader(server, place.namespace, f"ana-{place.namespace}")
    before = objects(server, place.namespace)
    answer = xbr("check", RELEASE)
    print(answer)
    assert answer.code == 0, answer
    for part in ("Supported", "Checked later by the proof", "KubernetesExecutor", "triggerer 1"):
        assert part in answer.out
    for part in ("Change first", "Unknown", "unknown: requires"):
        assert part not in answer.out
    file = tmp_path / "rollout.yaml"
    found = rows(xbr("check", RELEASE, "-o", "json", "--write", str(file)))
    assert "airflow-webserver, port 8080" in found["REST API"]["found"]
    assert found["Airflow version"]["found"].startswith("2.11.2")

    written = yaml.safe_load(file.read_text())
    assert parse_spec(written["spec"]).airflow.release == RELEASE
    assert objects(server, place.namespace) == before, "nothing is written"

    admin = Xbr(server.kubeconfig, place.namespace)
    plan = admin("plan", "-f", str(file))
    assert plan.code == 0, plan
    assert "recording what a kill restores" in " ".join(plan.out.split())

    alone = xbr("check", RELEASE, "--write", "-")
    assert alone.out == file.read_text()


def test_what_must_change_first_is_named_with_the_reason_and_the_remedy(
    server: ApiServer, place: Place
) -> None:
    path = f"/apis/apps/v1/namespaces/{place.namespace}/deployments"
    place.kube.merge(f"{path}/airflow-webserver", {"spec": {"paused": True}})
    env = [
        {"name": "AIRFLOW__CORE__XCOM_BACKEND", "value": "my.Backend"},
        {"name": "AIRFLOW__CORE__EXECUTOR", "value": "LocalExecutor"},
        {"name": "AIRFLOW__WEBSERVER__BASE_URL", "value": "https://example.org/airflow"},
    ]
    place.helm(
        *("upgrade", RELEASE, str(place.site.chart), "--reuse-values", "--no-hooks"),
        *("--set-json", f"env={json.dumps(env)}"),
    )
    answer = Xbr(server.kubeconfig, place.namespace)("check", RELEASE, "-o", "json")
    print(answer)
    assert answer.code == 1, answer
    assert json.loads(answer.out)["verdict"] == "change-first"
    found = rows(answer)
    assert found["executor"]["reason"] == "ExecutorNotSupported"
    assert found["readers: replacement"]["reason"] == "PodsWouldNotRoll"
    assert found["REST API: path"]["found"].startswith("/airflow,")
    assert "AIRFLOW__CORE__XCOM_BACKEND" in found["XCom backend: environment"]["found"]


def test_a_right_that_is_missing_is_named_and_nothing_is_taken_for_granted(
    server: ApiServer, place: Place
) -> None:
    for number, told in enumerate(
        (
            {"secrets": "Helm release"},
            {"deployments": "task pods"},
            {
                "configmaps": "executor",
                "pods": "readers: pods",
                "services": "REST API",
                "networkpolicies": "network policies",
                "xcombackendrollouts": "rollout",
            },
        )
    ):
        user = f"no-{number}-{place.namespace}"
        answer = reader(server, place.namespace, user, *told)("check", RELEASE, "-o", "json")
        assert answer.code == 4, answer
        for missing, subject in told.items():
            row = rows(answer)[subject]
            assert row["group"] == "Unknown", answer
            assert missing in row["found"]


def test_who_may_read_nothing_gets_rows_and_no_file(
    server: ApiServer, place: Place, tmp_path: Path
) -> None:
    nobody = Xbr(server.user_kubeconfig("nobody"), place.namespace)
    answer = nobody("check", RELEASE)
    assert answer.code == 4, answer
    assert "Unknown" in answer.out
    file = tmp_path / "rollout.yaml"
    refused = nobody("check", RELEASE, "--write", str(file))
    assert refused.code == 4
    assert refused.out == answer.out, "the rows come first"
    assert "no rollout can be written" in refused.err
    assert not file.exists()


def test_a_release_that_is_not_there_is_told_so(server: ApiServer, namespace: str) -> None:
    answer = Xbr(server.kubeconfig, namespace)("check", "nothing")
    assert answer.code == 4
    assert "there is no Helm release 'nothing'" in answer.err
    blind = reader(server, namespace, f"blind-{namespace}", "configmaps")("check", "nothing")
    assert blind.code == 4
    assert "you are not allowed to list ConfigMaps" in blind.err


def test_shapes_of_charts(server: ApiServer, bench: Bench) -> None:
    """An umbrella, what it depends on, and kinds that the operator's chart has no rule for."""
    bench.install(chart="platform")
    xbr = Xbr(server.kubeconfig, bench.namespace)
    answer = xbr("check", "rel", "-o", "json")
    print(answer)
    found = rows(answer)
    assert "below base.airflow" in found["chart"]["found"]
    assert found["chart dependencies"]["group"] == "Checked later by the proof"
    assert "base.airflow.config.core.xcom_backend" in found["what a flip writes"]["found"]


def test_a_chart_of_another_layout_is_refused(server: ApiServer, bench: Bench) -> None:
    bench.install({"airflow": {"config": {"AIRFLOW__CORE__EXECUTOR": "x"}}}, chart="community")
    answer = Xbr(server.kubeconfig, bench.namespace)("check", "rel", "-o", "json")
    assert answer.code == 1, answer
    assert rows(answer)["chart"]["reason"] == "AirflowConfigNotFound"


def test_airflow_3_with_what_a_company_adds(server: ApiServer, place: Place) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "pgbouncer", "namespace": place.namespace},
        "spec": {"podSelector": {}},
    }
    server.apply(json.dumps(policy))
    place.helm(
        *("upgrade", RELEASE, str(place.site.chart), "--reuse-values", "--no-hooks"),
        *("--set", "airflowVersion=3.3.2", "--set-string", "config.api.base_url=https://x/air"),
        *("--set", "config.kubernetes_executor.namespace=tasks"),
    )
    answer = Xbr(server.kubeconfig, place.namespace)("check", RELEASE, "-o", "json")
    print(answer)
    found = rows(answer)
    assert found["Airflow version"]["found"].startswith("3.3.2")
    assert "Service airflow-api-server" in found["REST API"]["found"]
    assert found["REST API: path"]["found"].startswith("/air,")
    assert found["REST API: login"]["found"].startswith("Token")
    assert "tasks" in found["task pods: namespaces"]["remedy"]
    assert "pgbouncer" in found["network policies"]["found"]
    keys = found["Airflow 3 keys"]
    assert (keys["group"], "jwtSecret" in keys["found"]) == ("Change first", True)
    assert found["readers"]["found"].count("api-server") == 1


def test_a_kind_that_the_operators_chart_gives_no_right_over_is_named_with_the_rule(
    server: ApiServer, bench: Bench, tmp_path: Path
) -> None:
    chart = tmp_path / "small"
    metadata: Json = {"apiVersion": "v2", "name": "small", "version": "1.0.0"}
    quota = (
        "\n---\napiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q}\nspec: {hard: {pods: 5}}\n"
    )
    write_chart(chart, metadata, VALUES, CONFIG + quota)
    (chart / "file.txt").write_text("a file\n")
    bench.helm("install", "rel", str(chart), values={"jwtSecret": None})
    found = rows(Xbr(server.kubeconfig, bench.namespace)("check", "rel", "-o", "json"))
    keys = found["Airflow 3 keys"]
    assert (keys["group"], keys["reason"]) == ("Change first", "NotArmed")
    assert "set jwtSecret" in keys["remedy"]
    row = found["operator's permissions"]
    assert "ResourceQuota q" in row["found"]
    assert "rbac.helmDelivery.extraRules" in row["remedy"]
    assert "resourcequotas" in row["remedy"]
