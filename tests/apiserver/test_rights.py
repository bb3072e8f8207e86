"""Rights over what a release holds: a real API server is asked before a real Helm misses one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import tools
from harness.paths import REPO
from harness.shell import run
from standin.bench import CONFIG, VALUES, Bench, write_chart
from xcom_rollout.act.let_go import let_go
from xcom_rollout.api.names import FINALIZER
from xcom_rollout.clients.errors import ActionFailed, ExternalError, Forbidden
from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.kubeconfig import from_kubeconfig
from xcom_rollout.controller.events import ClusterRecorder
from xcom_rollout.controller.reconcile import Key, Reconciler
from xcom_rollout.decide.settings import BackendSettings, object_storage
from xcom_rollout.observe import observe
from xcom_rollout.stored.rollouts import ClusterRollouts, rollout_path
from xcom_rollout.wiring import open_clients

TARGET = object_storage("s3://c@b/p", "1048576", "gzip")
OTHERS = """
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: {{ .Release.Name }}-quota}
spec: {hard: {pods: "50"}}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: {{ .Release.Namespace }}-high}
value: 7
"""
QUOTAS = {"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["get", "patch"]}
CLASSES = {
    "apiGroups": ["scheduling.k8s.io"],
    "resources": ["priorityclasses"],
    "verbs": ["get", "patch"],
}


def install(bench: Bench, folder: Path) -> None:
    """Install, as an administrator, a release with a ResourceQuota and a PriorityClass."""
    chart = folder / "small"
    metadata = {"apiVersion": "v2", "name": "small", "version": "1.0.0"}
    write_chart(chart, metadata, VALUES, CONFIG + OTHERS)
    (chart / "file.txt").write_text("a file\n")
    bench.helm("install", "rel", str(chart))


def as_operator(bench: Bench, folder: Path, *words: str) -> Bench:
    """Return a bench that works with the rights that the operator's chart gives, and no others."""
    user = f"operator-{bench.namespace}"
    chart = str(REPO / "charts/xcom-rollout")
    where = ("--kube-version", "1.34.0", "-n", bench.namespace)
    rendered = run(tools.tool("helm"), "template", "xr", chart, *where, *words, timeout=60)
    for found in yaml.safe_load_all(rendered):
        if found and found["kind"] in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"):
            if "subjects" in found:
                group = "rbac.authorization.k8s.io"
                found["subjects"] = [{"apiGroup": group, "kind": "User", "name": user}]
            bench.server.apply(json.dumps(found))
    kubeconfig = bench.server.user_kubeconfig(user)
    kube = from_kubeconfig(str(kubeconfig))
    world = open_clients(kube, helm=str(tools.tool("helm")), work=folder / "of-operator")
    return replace(bench, world=world)


def reconciler_of(bench: Bench) -> Reconciler:
    """Return what makes passes with the rights of the bench, and does nothing but let go."""
    world = bench.world
    return Reconciler(
        ClusterRollouts(world.api),
        ClusterRecorder(world.api),
        lambda rollout: observe(world, rollout),
        lambda *_: pytest.fail("nothing else is done"),
        let_go=lambda key: let_go(world, key.namespace, key.name),
    )


def declare_kept(bench: Bench) -> str:
    """Make a rollout that is kept for a kill; return its path."""
    rollout = yaml.safe_load((REPO / "docs/examples/demo.yaml").read_text())
    rollout["metadata"] |= {"namespace": bench.namespace, "finalizers": [FINALIZER]}
    bench.server.apply(json.dumps(rollout))
    return rollout_path(bench.namespace, rollout["metadata"]["name"])


def delete_namespace(bench: Bench) -> None:
    """Do as the namespace controller does, whose order is any: Roles first, then rollouts."""
    for kind in ("namespace", "role", "rolebinding", "xbr"):
        words = ("-n", bench.namespace, "delete", kind, "--wait=false")
        which = (bench.namespace,) if kind == "namespace" else ("--all",)
        bench.server.kubectl(*words, *which)


@pytest.mark.parametrize("may", [True, False])
def test_a_namespace_that_goes_in_the_middle_of_a_kill_goes_where_the_operator_may_let_it(
    bench: Bench, tmp_path: Path, may: bool
) -> None:
    operator = as_operator(
        bench, tmp_path, *(("--set", "rbac.letNamespacesGo=true") if may else ())
    )
    path = declare_kept(bench)
    delete_namespace(bench)
    make_passes, key = reconciler_of(operator), Key(bench.namespace, "demo")
    if may:
        assert make_passes(key) is None
        assert bench.world.api.find(path) is None
        return
    with pytest.raises(Forbidden, match="forbidden"):
        make_passes(key)
    left = bench.world.api.find(path)
    assert left is not None
    assert left["metadata"]["finalizers"] == [FINALIZER], "docs/kill-switch.md says what to do"


def test_one_that_is_deleted_alone_is_kept_for_its_kill(bench: Bench, tmp_path: Path) -> None:
    operator = as_operator(bench, tmp_path, "--set", "rbac.letNamespacesGo=true")
    path = declare_kept(bench)
    bench.server.kubectl("-n", bench.namespace, "delete", "xbr", "demo", "--wait=false")
    assert not let_go(operator.world, bench.namespace, "demo")
    left = bench.world.api.find(path)
    assert left is not None
    assert left["metadata"]["finalizers"] == [FINALIZER]


def rules(**given: Sequence[Json]) -> tuple[str, ...]:
    return tuple(
        word
        for name, rules in given.items()
        for word in ("--set-json", f"rbac.helmDelivery.{name}={json.dumps(rules)}")
    )


def test_a_right_that_helm_would_miss_half_way_is_named_before_the_first_delivery(
    bench: Bench, tmp_path: Path
) -> None:
    install(bench, tmp_path)
    before, operator = bench.data(), as_operator(bench, tmp_path)
    priority, quota = sorted(operator.delivery().forecast(TARGET))
    assert quota == (
        "the operator is not allowed to get or patch resourcequotas in the namespace "
        f"{bench.namespace}, "
        "as helm upgrade does for ResourceQuota rel-quota: add to rbac.helmDelivery.extraRules "
        'of the operator\'s chart: {apiGroups: [""], resources: [resourcequotas], verbs: [get, '
        "patch]}"
    )
    assert "priorityclasses.scheduling.k8s.io in the cluster" in priority
    assert "rbac.helmDelivery.clusterRules" in priority
    with pytest.raises(ActionFailed, match=r"not changed.*resourcequotas"):
        operator.delivery().apply(TARGET, 1)
    assert (bench.data(), bench.revisions()) == (before, {1: "deployed"})


def test_the_way_back_is_tried_all_the_same_and_says_which_right_it_missed(
    bench: Bench, tmp_path: Path
) -> None:
    install(bench, tmp_path)
    operator = as_operator(bench, tmp_path, *rules(clusterRules=[CLASSES]))
    with pytest.raises(ExternalError, match=r"resourcequotas.*Missing permissions: .*extraRules"):
        operator.delivery().apply(TARGET, 1, way_back=True)
    assert 2 in bench.revisions(), "Helm was asked"


def test_what_the_message_says_to_add_is_enough_for_a_flip_and_its_way_back(
    bench: Bench, tmp_path: Path
) -> None:
    install(bench, tmp_path)
    operator = as_operator(bench, tmp_path, *rules(extraRules=[QUOTAS], clusterRules=[CLASSES]))
    before, delivery = bench.data(), operator.delivery()
    assert delivery.forecast(TARGET) == ()
    delivery.apply(TARGET, 1)
    delivery.apply(BackendSettings(), 2, way_back=True)
    assert bench.data() == before


def test_a_rule_for_the_one_object_of_the_release_is_enough(bench: Bench, tmp_path: Path) -> None:
    install(bench, tmp_path)
    named = {**CLASSES, "resourceNames": [f"{bench.namespace}-high"]}
    of_another: dict[str, Any] = {**QUOTAS, "resourceNames": ["another"]}
    operator = as_operator(bench, tmp_path, *rules(extraRules=[of_another], clusterRules=[named]))
    (said,) = operator.delivery().forecast(TARGET)
    assert "ResourceQuota rel-quota" in said


def test_without_the_rights_of_a_delivery_the_records_are_named_too(
    bench: Bench, tmp_path: Path
) -> None:
    bench.install()
    operator = as_operator(bench, tmp_path, "--set", "rbac.helmDelivery.enabled=false")
    # The chart is kept already, or keeping it would be refused first.
    bench.delivery().keep_chart()
    said = "; ".join(operator.delivery().forecast(TARGET))
    assert "not allowed to patch or create or update or delete secrets in the namespace" in said
    assert "the records of its releases" in said
