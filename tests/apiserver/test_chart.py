"""The operator's chart: what it renders, refuses, and the rights that it gives."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import tools
from harness.apiserver import ApiServer
from harness.shell import CommandError, run
from xcom_rollout.cache.collections import WATCHED, Collection

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/xcom-rollout"


def helm(*words: str) -> str:
    tools.ensure(("helm",))
    return run(tools.tool("helm"), *words, timeout=60)


def render(*words: str) -> list[dict[str, Any]]:
    text = helm("template", "xr", str(CHART), "--kube-version", "1.34.0", "-n", "ops", *words)
    return [document for document in yaml.safe_load_all(text) if document]


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [found for found in objects if found["kind"] == kind]


def test_helm_finds_no_fault() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


def test_by_default_all_rights_are_in_one_namespace() -> None:
    objects = render()
    assert {found["metadata"]["namespace"] for found in objects} == {"ops"}
    assert not of_kind(objects, "ClusterRole")
    assert not of_kind(objects, "ClusterRoleBinding")


def test_each_watched_namespace_gets_its_own_rights() -> None:
    objects = render("--set", "watchNamespaces={a,b}")
    for kind in ("Role", "RoleBinding"):
        places = [found["metadata"]["namespace"] for found in of_kind(objects, kind)]
        # In its own namespace it looks whether the pod is there that holds a Lease.
        assert sorted(places) == ["a", "a", "b", "b", "ops"]
    (deployment,) = of_kind(objects, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert environment["XBR_NAMESPACES"] == "a,b"


def test_no_right_is_a_wildcard() -> None:
    for role in of_kind(render("--set", "rbac.aggregateToDefaultRoles=true"), "Role"):
        assert "*" not in json.dumps(role["rules"]), role["metadata"]["name"]


def test_without_helm_delivery_no_secret_can_be_written() -> None:
    roles = of_kind(render("--set", "rbac.helmDelivery.enabled=false"), "Role")
    rules = [rule for role in roles for rule in role["rules"]]
    secrets = [rule for rule in rules if "secrets" in rule["resources"]]
    assert [sorted(rule["verbs"]) for rule in secrets] == [["get", "list", "watch"]]


def test_alerts_are_rendered_where_they_are_wanted_as_they_stand_in_the_rule_files() -> None:
    assert not of_kind(render(), "PrometheusRule")
    words = ("--set", "prometheusRule.enabled=true", "--set", "prometheusRule.labels.release=kps")
    rendered = of_kind(render(*words), "PrometheusRule")
    files = sorted((CHART / "rules").glob("*.yaml"))
    assert [rule["metadata"]["name"] for rule in rendered] == [
        f"xr-xcom-rollout-{file.stem}" for file in files
    ]
    for rule, file in zip(rendered, files, strict=True):
        assert rule["metadata"]["labels"]["release"] == "kps"
        assert rule["spec"] == yaml.safe_load(file.read_text())


def test_alerts_link_their_runbook_where_people_read_it() -> None:
    words = ("--set", "prometheusRule.enabled=true")
    (rule, *_) = of_kind(
        render(*words, "--set", "prometheusRule.docsUrl=https://wiki.example/xr/"), "PrometheusRule"
    )
    for alert in rule["spec"]["groups"][0]["rules"]:
        assert "runbook" not in alert["annotations"]
        link = alert["annotations"]["runbook_url"]
        assert link.startswith("https://wiki.example/xr/runbooks/blobs.md#")


def test_the_pod_fits_the_restricted_standard(server: ApiServer) -> None:
    server.kubectl("create", "namespace", "restricted-ops")
    server.kubectl(
        *("label", "namespace", "restricted-ops", "pod-security.kubernetes.io/enforce=restricted")
    )
    (deployment,) = of_kind(render(), "Deployment")
    template = deployment["spec"]["template"]
    metadata = {"name": "operator", "namespace": "restricted-ops"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    server.apply(json.dumps(pod))
    (container,) = template["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert template["spec"]["terminationGracePeriodSeconds"] >= 120, "a helm run may go on"
    assert deployment["spec"]["strategy"]["type"] == "Recreate"


def group_of(collection: Collection) -> str:
    """Return the API group; empty for the core."""
    return collection.api_version.rpartition("/")[0]


def test_the_api_server_takes_all_of_it(server: ApiServer) -> None:
    server.kubectl("create", "namespace", "ops")
    for found in render("--set", "rbac.aggregateToDefaultRoles=true"):
        server.kubectl(
            *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"),
            stdin=json.dumps(found),
        )


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("workers=0", "/workers"),
        ("watchNamespaces={Bad_Name}", "/watchNamespaces/0"),
        ("logLevel=loud", "/logLevel"),
        ("imagee.tag=x", "imagee"),
        ("prometheusRule.docsUrl=wiki", "/prometheusRule/docsUrl"),
    ],
)
def test_bad_values_are_refused_by_name(value: str, says: str) -> None:
    with pytest.raises(CommandError, match=says):
        render("--set", value)


def test_the_rights_of_the_operator_are_enough_to_look(server: ApiServer, namespace: str) -> None:
    """Each request of a pass over a rollout is allowed to the chart's ServiceAccount."""
    for found in render("--set", f"watchNamespaces={{{namespace}}}"):
        if found["kind"] in ("Role", "RoleBinding"):
            server.apply(json.dumps(found))
    user = "system:serviceaccount:ops:xr-xcom-rollout"

    def may(verb: str, resource: str, place: str = namespace) -> bool:
        kind, _, sub = resource.partition("/")
        words = ["auth", "can-i", verb, kind, "-n", place, "--as", user]
        words += [f"--subresource={sub}"] if sub else []
        return server.kubectl(*words, check=False).split()[-1] == "yes"

    for verb, resource in (
        ("list", "xcombackendrollouts.xcomrollout.dev"),
        ("patch", "xcombackendrollouts.xcomrollout.dev"),
        ("update", "xcombackendrollouts.xcomrollout.dev/status"),
        ("list", "secrets"),
        ("create", "secrets"),
        ("update", "secrets"),
        ("delete", "secrets"),
        *(("watch", f"{each.plural}.{group_of(each)}".rstrip(".")) for each in WATCHED),
        ("create", "jobs.batch"),
        ("create", "pods/exec"),
        ("get", "pods/log"),
        ("delete", "pods"),
        ("update", "configmaps"),
        ("create", "events"),
        ("patch", "deployments.apps"),
    ):
        assert may(verb, resource), f"{verb} {resource}"
    for verb, resource in (
        ("update", "xcombackendrollouts.xcomrollout.dev"),
        ("create", "pods"),
        ("escalate", "roles.rbac.authorization.k8s.io"),
    ):
        assert not may(verb, resource), f"{verb} {resource}"
    assert not may("list", "secrets", "default")
    # `can-i` asks for a kind without a namespace in every namespace, which a Role never grants.
    server.kubectl("get", "namespace", namespace, "--as", user)
