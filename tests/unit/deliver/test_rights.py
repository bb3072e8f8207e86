"""Which rights are asked for, and what is said of those that are missing."""

from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xcom_rollout.clients.errors import Forbidden, KubeError
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.clients.memo import Memo
from xcom_rollout.deliver.rights import GIVEN_BY_CHART, MissingRight, beyond_chart, missing

KINDS = {
    "api/v1": [("ConfigMap", "configmaps", True), ("Secret", "secrets", True)],
    "apis/apps/v1": [
        ("Deployment", "deployments", True),
        ("Deployment", "deployments/scale", True),
    ],
    "apis/batch/v1": [("Job", "jobs", True)],
    "apis/rbac.authorization.k8s.io/v1": [("ClusterRole", "clusterroles", False)],
}
MANIFEST = """---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
# nothing here
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: b, namespace: other}
---
apiVersion: example.org/v1
kind: Unknown
metadata: {name: c}
---
apiVersion: v1
kind: List
items:
  - {apiVersion: batch/v1, kind: Job, metadata: {name: d}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: e}
"""
ASKED = {
    ("", "configmaps", "ns", "get"),
    ("", "configmaps", "ns", "patch"),
    ("apps", "deployments", "other", "get"),
    ("apps", "deployments", "other", "patch"),
    ("batch", "jobs", "ns", "get"),
    ("batch", "jobs", "ns", "patch"),
    ("batch", "jobs", "ns", "create"),
    ("rbac.authorization.k8s.io", "clusterroles", "", "get"),
    ("rbac.authorization.k8s.io", "clusterroles", "", "patch"),
    *(("", "secrets", "ns", verb) for verb in ("get", "list", "create", "update", "delete")),
}
Right = tuple[str, str, str, str]


class Authorizer:
    """Discovery and reviews of an API server that refuses some rights."""

    def __init__(self, refused: set[Right], rules: Json | None = None) -> None:
        self.refused = refused
        self.rules = rules or {}
        """What is answered to a review of rules."""
        self.asked: set[Right] = set()
        self.places: list[str] = []

    def find(self, path: str) -> Json | None:
        if path not in KINDS:
            return None
        keys = ("kind", "name", "namespaced")
        return {"resources": [dict(zip(keys, entry, strict=True)) for entry in KINDS[path]]}

    def review(self, _path: str, body: Json) -> Json:
        if body["kind"] == "SelfSubjectRulesReview":
            self.places.append(body["spec"]["namespace"])
            if "error" in self.rules:
                raise self.rules["error"]
            return {"status": self.rules}
        of: dict[str, Any] = body["spec"]["resourceAttributes"]
        right = (of["group"], of["resource"], of.get("namespace", ""), of["verb"])
        self.asked.add(right)
        return {"status": {"allowed": right not in self.refused}}


def found(*refused: Right, manifest: str = MANIFEST) -> tuple[MissingRight, ...]:
    api = Authorizer(set(refused))
    return missing(cast("KubeApi", api), Memo(), manifest, "ns")


def test_each_kind_of_the_manifest_is_asked_about_where_its_objects_are() -> None:
    api = Authorizer(set())
    assert missing(cast("KubeApi", api), Memo(), MANIFEST, "ns") == ()
    assert api.asked == ASKED


@given(st.sets(st.sampled_from(sorted(ASKED)), min_size=1))
def test_what_is_refused_is_named_and_nothing_else(refused: set[Right]) -> None:
    named = {
        (right.resource.group, right.resource.plural, right.namespace, verb)
        for right in found(*refused)
        for verb in right.verbs
    }
    assert named == refused


@pytest.mark.parametrize(
    ("right", "says"),
    [
        (("", "configmaps", "ns", "get"), "add to rbac.helmDelivery.extraRules"),
        (
            ("rbac.authorization.k8s.io", "clusterroles", "", "patch"),
            "add to rbac.helmDelivery.clusterRules",
        ),
        (
            ("apps", "deployments", "other", "get"),
            "bind its ServiceAccount to a Role with "
            '{apiGroups: ["apps"], resources: [deployments], verbs: [get]} in the namespace other',
        ),
        (("", "secrets", "ns", "create"), "the records of its releases"),
        (("batch", "jobs", "ns", "create"), "create jobs.batch in the namespace ns, as helm"),
    ],
)
def test_the_words_say_where_the_rule_goes(right: Right, says: str) -> None:
    (one,) = found(right)
    assert says in str(one)


def test_a_document_that_cannot_be_read_hides_no_other() -> None:
    (one,) = found(("", "configmaps", "ns", "get"), manifest=f"a: [b\n{MANIFEST}")
    assert one.objects == ("ConfigMap a",)


def test_a_verb_that_is_needed_twice_is_named_once() -> None:
    secret = "kind: Secret\napiVersion: v1\nmetadata: {name: s}\n"
    (one,) = found(("", "secrets", "ns", "get"), manifest=secret)
    assert one.verbs == ("get",)
    assert one.objects == ("Secret s", "the records of its releases")


def test_what_the_operators_chart_gives_by_default_is_what_is_taken_for_given() -> None:
    root = Path(__file__).resolve().parents[3]
    values = yaml.safe_load((root / "charts/xcom-rollout/values.yaml").read_text())
    given = {
        f"{resource}.{group}" if group else resource
        for rule in values["rbac"]["helmDelivery"]["rules"]
        if {"get", "patch"} <= set(rule["verbs"])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert given == GIVEN_BY_CHART


def test_kinds_that_the_operators_chart_has_no_rule_for_are_named_with_the_value() -> None:
    api = Authorizer(set())
    beyond = beyond_chart(cast("KubeApi", api), Memo(), MANIFEST, "ns")
    assert api.asked == set(), "whose rights they are does not count"
    assert {right.named: right.remedy for right in beyond} == {
        "Deployment b": 'bind its ServiceAccount to a Role with {apiGroups: ["apps"], resources: '
        "[deployments], verbs: [get, patch]} in the namespace other",
        "ClusterRole e": "add to rbac.helmDelivery.clusterRules of the operator's chart: "
        '{apiGroups: ["rbac.authorization.k8s.io"], resources: [clusterroles], '
        "verbs: [get, patch]}",
    }


EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
OF_THE_CLUSTER = {right for right in ASKED if not right[2]}


def by_rules(*rules: Json, **status: Any) -> Authorizer:
    """Return what was asked of an API server with these rules."""
    api = Authorizer(set(), {"resourceRules": list(rules), **status})
    assert missing(cast("KubeApi", api), Memo(), MANIFEST, "ns", by_rules=True) == ()
    return api


def test_rules_that_grant_it_save_the_questions_of_their_namespaces() -> None:
    api = by_rules(EVERYTHING)
    assert sorted(api.places) == ["ns", "other"], "one request for each"
    assert api.asked == OF_THE_CLUSTER, "no rule of a namespace counts for these"


def test_what_no_rule_grants_is_asked_for() -> None:
    api = by_rules(
        {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get", "list"]},
        {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": ["batch"], "resources": ["jobs/status"], "verbs": ["*"]},
    )
    granted = {
        *(("", "configmaps", "ns", "get"), ("", "secrets", "ns", "get")),
        *(("", "secrets", "ns", "list"), ("apps", "deployments", "other", "get")),
        ("apps", "deployments", "other", "patch"),
    }
    assert api.asked == ASKED - granted


@pytest.mark.parametrize("unsure", [{"incomplete": True}, {"evaluationError": "webhook"}])
def test_rules_that_may_not_be_all_there_is_are_not_believed(unsure: Json) -> None:
    assert by_rules(EVERYTHING, **unsure).asked == ASKED


@pytest.mark.parametrize("error", [Forbidden("no rules for you"), KubeError("404, by a proxy")])
def test_rules_that_cannot_be_asked_for_are_none(error: KubeError) -> None:
    assert by_rules(EVERYTHING, error=error).asked == ASKED


def test_a_rule_for_objects_by_name_grants_nothing_for_all() -> None:
    assert by_rules({**EVERYTHING, "resourceNames": ["a"]}).asked == ASKED


def test_a_delivery_believes_no_rules() -> None:
    api = Authorizer(set(), {"resourceRules": [EVERYTHING]})
    assert missing(cast("KubeApi", api), Memo(), MANIFEST, "ns") == ()
    assert (api.places, api.asked) == ([], ASKED)


@given(st.sets(st.sampled_from(sorted(OF_THE_CLUSTER | ASKED)), min_size=1))
def test_what_is_refused_is_named_by_rules_too(refused: set[Right]) -> None:
    rules = [
        {"apiGroups": [group], "resources": [plural], "verbs": [verb]}
        for group, plural, where, verb in ASKED - refused
        if where == "ns"
    ]
    api = Authorizer(refused, {"resourceRules": rules})
    named = {
        (right.resource.group, right.resource.plural, right.namespace, verb)
        for right in missing(cast("KubeApi", api), Memo(), MANIFEST, "ns", by_rules=True)
        for verb in right.verbs
    }
    assert named == refused
