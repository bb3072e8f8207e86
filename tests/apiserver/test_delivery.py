"""Delivery by a real Helm, to a release in a real API server."""

from __future__ import annotations

import base64
import gzip
import json
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import tools
from standin.bench import CHILD, CONFIG, VALUES, Bench, after_a_restart, write_chart
from xcom_rollout.clients.errors import ActionFailed, Conflict, HelmError, SecretRotated
from xcom_rollout.clients.helm import HelmRunner
from xcom_rollout.clients.kube import Json, KubeApi
from xcom_rollout.decide.observed import Maker
from xcom_rollout.decide.settings import BackendSettings, object_storage
from xcom_rollout.deliver.earlier import Revisions
from xcom_rollout.deliver.helm import HelmDelivery
from xcom_rollout.deliver.release import decode_record

TARGET = object_storage("s3://c@b/p", "1048576", "gzip")
DATABASE = BackendSettings()
BASE_XCOM = "airflow.models.xcom.BaseXCom"
CFG = """[common.io]
xcom_objectstorage_compression = gzip
xcom_objectstorage_path = s3://c@b/p
xcom_objectstorage_threshold = 1048576
"""


@pytest.mark.parametrize(
    "values",
    [
        None,
        {},
        {"config": {"core": {"parallelism": "7"}}},
        {"size": 7, "names": ["1e6", "on"]},
        {"config": {"core": None}},
        {"config": {"core": {}, "common.io": None, "api": None}},
        {"config": None},
        {"config": {"core": {"dags_folder": None, "xcom_backend": ""}}},
        {"config": {"core": {"xcom_backend": "{{ .Values.word }}"}}},
        {"config": {"core": {"xcom_backend": f"  {BASE_XCOM} "}}},
    ],
    ids=[
        *("no values", "empty values", "own config", "other values", "comments only"),
        *("empty sections", "no config", "nothing in its places", "a template"),
        "padded",
    ],
)
def test_there_and_back_leaves_the_release_as_it_was(
    bench: Bench, values: dict[str, Any] | None
) -> None:
    bench.install(values)
    before, delivery = bench.data(), bench.delivery()
    found = delivery.current()
    assert found is not None
    assert found.settings.is_database
    delivery.apply(TARGET, 1)
    current = delivery.current()
    assert current is not None
    assert (current.revision, current.status, current.settings) == (2, "deployed", TARGET)
    assert CFG in bench.data()["airflow.cfg"]
    delivery.apply(found.settings, 2)
    assert bench.data() == before
    assert (bench.values() or {}) == (values or {})
    current = delivery.current()
    assert current is not None
    assert current.settings == found.settings


# -- the chart decides ---------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["gzip", None])
def test_defaults_of_the_chart_are_seen_and_come_back_without_a_trace_in_the_values(
    bench: Bench, compression: str | None
) -> None:
    bench.install(chart="company")
    before, delivery = bench.data(), bench.delivery(chart="company")
    found = delivery.current()
    assert found is not None
    assert (found.settings.backend, found.settings.compression) == (BASE_XCOM, "zip")
    target = replace(TARGET, compression=compression)
    delivery.apply(target, 1)
    current = delivery.current()
    assert current is not None
    assert current.settings == target
    delivery.apply(found.settings, 2, way_back=True)
    assert bench.values() in (None, {})
    assert bench.data() == before


def test_a_default_that_means_another_backend_by_now_is_no_way_back(
    bench: Bench, tmp_path: Path
) -> None:
    bench.install(chart="company")
    delivery = bench.delivery(chart="company")
    found = delivery.current()
    assert found is not None
    delivery.apply(TARGET, 1)
    where = ("--repo", bench.repository, "--version", "1.0.0")
    bench.helm("pull", "company", *where, "--untar", "--untardir", str(tmp_path))
    values = tmp_path / "company" / "values.yaml"
    values.write_text(values.read_text().replace(BASE_XCOM, str(TARGET.backend)))
    bench.helm("upgrade", "rel", str(values.parent), "--no-hooks", "--reuse-values")
    delivery.apply(found.settings, 3, way_back=True)
    current = delivery.current()
    assert current is not None
    assert current.settings == found.settings
    assert f"xcom_backend = {BASE_XCOM}\n" in bench.data()["airflow.cfg"]


@pytest.mark.parametrize(
    ("chart", "keys"), [("umbrella", ["airflow"]), ("platform", ["base", "airflow"])]
)
@pytest.mark.parametrize(
    "inner",
    [None, {}, {"size": 7}, {"config": {}}, {"config": {"core": {"parallelism": "7"}}}],
    ids=["nothing", "empty", "other values", "empty config", "own config"],
)
def test_settings_of_a_dependency_go_below_its_key_and_nowhere_else(
    bench: Bench, chart: str, keys: list[str], inner: dict[str, Any] | None
) -> None:
    values: dict[str, Any] = {"size": 2}
    if inner is not None:
        values |= nested(keys, inner)
    bench.install(values, chart=chart)
    before, delivery = bench.data(), bench.delivery(chart=chart)
    found = delivery.current()
    assert found is not None
    assert (found.values_path, found.settings.is_database) == (tuple(keys), True)
    assert delivery.forecast(TARGET) == ()
    delivery.apply(TARGET, 1)
    current, written = delivery.current(), bench.values()
    assert current is not None
    assert isinstance(written, dict)
    assert current.settings == TARGET
    assert CFG in bench.data()["airflow.cfg"]
    assert set(written) == {"size", keys[0]}
    # A kill, with neither the repository nor anything that the operator remembers.
    alone = after_a_restart(without_repository(bench)).delivery(chart=chart)
    alone.apply(replace(TARGET, threshold="-1"), 2, way_back=True)
    assert "xcom_objectstorage_threshold = -1\n" in bench.data()["airflow.cfg"]
    alone.apply(found.settings, 3, way_back=True)
    assert bench.data() == before
    assert bench.values() == values


def nested(keys: list[str], inner: dict[str, Any]) -> dict[str, Any]:
    for key in reversed(keys):
        inner = {key: inner}
    return inner


@pytest.mark.parametrize(
    "values",
    [{}, {"base": {"airflow": {"config": {"core": {"xcom_backend": "my.Backend"}}}}}],
    ids=["database", "a backend of its own"],
)
def test_a_place_that_no_chart_reads_is_refused_and_no_delivery_is_believed(
    bench: Bench, values: dict[str, Any]
) -> None:
    bench.install(values, chart="platform")
    before, wrong = bench.data(), bench.delivery(chart="platform", values_path="airflow")
    current = wrong.current()
    assert current is not None
    assert current.settings.is_database is not bool(values), "read from airflow.cfg all the same"
    says = (
        r"airflow\.cfg would not contain what is written to airflow\.config\.core\.xcom_backend "
        r"\(airflow\.providers.*below base\.airflow: set "
        r"spec\.delivery\.helm\.valuesPath"
    )
    assert any(re.search(says, words) for words in wrong.forecast(TARGET))
    for deliver in (
        lambda: wrong.render(TARGET),
        lambda: wrong.apply(TARGET, 1),
        lambda: wrong.apply(TARGET, 1, way_back=True),
    ):
        with pytest.raises(ActionFailed, match=says):
            deliver()
    assert bench.data() == before
    assert bench.revisions() == {1: "deployed"}
    bench.delivery(chart="platform", values_path="base.airflow").apply(TARGET, 1)
    assert CFG in bench.data()["airflow.cfg"]


def test_a_post_renderer_that_drops_comments_leaves_the_place_to_be_named(
    bench: Bench, tmp_path: Path
) -> None:
    program = tmp_path / "post"
    program.write_text("#!/bin/sh\nsed '/^# Source/d'\n")
    program.chmod(0o755)
    bench.install(None, "--post-renderer", str(program), chart="umbrella")
    (words,) = bench.delivery(chart="umbrella").forecast(TARGET)
    assert "below airflow: set spec.delivery.helm.valuesPath" in words
    named = bench.delivery(chart="umbrella", values_path="airflow")
    assert named.forecast(TARGET) == ()
    named.apply(TARGET, 1)
    assert CFG in bench.data()["airflow.cfg"]


def test_a_path_that_the_chart_takes_for_a_template_is_refused(bench: Bench) -> None:
    bench.install()
    (words,) = bench.delivery().forecast(replace(TARGET, path="s3://c@b/{{ .Values.word }}"))
    assert "config.common.io.xcom_objectstorage_path (s3://c@b/{{ .Values.word }})" in words


def test_a_chart_of_another_layout_is_refused(bench: Bench) -> None:
    values = {"airflow": {"config": {"AIRFLOW__CORE__XCOM_BACKEND": "my.Backend"}}}
    bench.install(values, chart="community")
    delivery = bench.delivery(chart="community")
    current = delivery.current()
    assert current is not None
    assert "no ConfigMap with the key airflow.cfg" in current.layout_problem
    for way_back in (False, True):
        with pytest.raises(ActionFailed, match=r"airflow\.config, are not supported"):
            delivery.apply(TARGET, 1, way_back=way_back)
    assert bench.values() == values
    assert bench.revisions() == {1: "deployed"}


def test_a_section_that_is_no_map_stops_a_delivery_with_what_to_write(bench: Bench) -> None:
    bench.install({"config": {"core": {"parallelism": "7"}, "common.io": ["a"]}})
    before, delivery = bench.data(), bench.delivery()
    with pytest.raises(ActionFailed, match=r"config\.common\.io is a list"):
        delivery.apply(TARGET, 1)
    assert any("config.common.io is a list" in words for words in delivery.forecast(TARGET))
    assert bench.data() == before


def test_rendering_shows_what_a_delivery_leaves_and_changes_nothing(bench: Bench) -> None:
    bench.install({"config": {"core": {"parallelism": "7"}}})
    before = bench.data()
    rendered = bench.delivery().render(TARGET)
    current = bench.delivery().current()
    assert current is not None
    assert (bench.data(), current.revision) == (before, 1)
    bench.delivery().apply(TARGET, 1)
    assert rendered["rel-config"]["data"] == bench.data()


def test_hooks_do_not_run(bench: Bench) -> None:
    bench.install()
    bench.delivery().apply(TARGET, 1)
    assert bench.api.list(f"apis/batch/v1/namespaces/{bench.namespace}/jobs") == []


def test_a_release_that_moved_on_is_left_alone(bench: Bench) -> None:
    bench.install()
    with pytest.raises(Conflict, match="at revision 1, but the decision was made for revision 4"):
        bench.delivery().apply(TARGET, 4)
    current = bench.delivery().current()
    assert current is not None
    assert current.revision == 1


def upgrade_at(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    *,
    of: type[HelmDelivery | Revisions] = HelmDelivery,
    before: bool = False,
) -> None:
    """Let somebody upgrade the release just after a method, or before it."""
    read = getattr(of, method)

    def upgrade() -> None:
        repository = ("--repo", bench.repository, "--version", "1.0.0")
        bench.helm("upgrade", "rel", "small", "--no-hooks", *repository, values={"size": 7})

    def meddle(self: object, *words: Any) -> Any:
        if before:
            upgrade()
        found = read(self, *words)
        if not before:
            upgrade()
        return found

    monkeypatch.setattr(of, method, meddle)


@pytest.mark.parametrize("way_back", [False, True])
def test_an_upgrade_that_somebody_makes_while_a_delivery_is_compared_is_not_undone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, way_back: bool
) -> None:
    bench.install()
    upgrade_at(bench, monkeypatch, "_expect_still", before=True)
    with pytest.raises(Conflict, match="at revision 2, but the decision was made for revision 1"):
        bench.delivery().apply(TARGET, 1, way_back=way_back)
    assert bench.values() == {"size": 7}
    assert max(bench.revisions()) == 2


def test_nor_is_one_while_a_way_back_that_changes_a_key_is_looked_at_more_closely(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.install({"jwtSecret": ""})
    upgrade_at(bench, monkeypatch, "_arriving")
    with pytest.raises(Conflict, match="was made for revision 1"):
        bench.delivery().apply(TARGET, 1, way_back=True)
    assert bench.values() == {"size": 7}


def test_nor_is_one_that_is_made_when_the_delivery_has_been_allowed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.install()
    upgrade_at(bench, monkeypatch, "_expect_still")
    with pytest.raises((Conflict, HelmError)):
        bench.delivery().apply(TARGET, 1)
    assert bench.values() == {"size": 7}
    assert bench.data()["size"] == "7"


def test_a_delivery_that_changes_the_options_only_is_rendered_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.install()
    bench.delivery().keep_chart()
    commands: list[str] = []
    run = HelmRunner.run

    def counted(self: HelmRunner, arguments: Any, **words: Any) -> str:
        commands.append(arguments[0])
        return run(self, arguments, **words)

    monkeypatch.setattr(HelmRunner, "run", counted)
    bench.delivery().apply(TARGET, 1)
    assert commands == ["upgrade"]
    assert CFG in bench.data()["airflow.cfg"]


def test_a_pending_release_is_never_forced(bench: Bench) -> None:
    bench.install()
    delivery = bench.delivery()
    # What Helm leaves behind when it is killed on the way: the record says so, and only that.
    secrets = f"api/v1/namespaces/{bench.namespace}/secrets"
    secret = bench.api.find(f"{secrets}/sh.helm.release.v1.rel.v1")
    assert secret is not None
    _set_status(bench.api, f"{secrets}/sh.helm.release.v1.rel.v1", secret, "pending-upgrade")
    current = delivery.current()
    assert current is not None
    assert current.status == "pending-upgrade"
    with pytest.raises(
        ActionFailed, match=r"pending-upgrade.*does not override it.*helm rollback rel"
    ):
        delivery.apply(TARGET, 1)
    assert "pending-upgrade" in delivery.forecast()[0]
    assert len(bench.api.list(secrets, labels="owner=helm")) == 1


def _set_status(api: KubeApi, path: str, secret: dict[str, Any], status: str) -> None:
    packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    release = json.loads(gzip.decompress(packed))
    release["info"]["status"] = status
    inner = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    secret["data"]["release"] = base64.b64encode(inner).decode()
    secret["metadata"]["labels"]["status"] = status
    api.replace(path, secret)


def test_another_chart_version_is_refused(bench: Bench) -> None:
    bench.install()
    with pytest.raises(ActionFailed, match=r"small 1\.0\.1 is not the chart.*small 1\.0\.0"):
        bench.delivery("1.0.1").apply(TARGET, 1)


def test_a_way_back_is_delivered_with_the_chart_that_the_release_runs_not_that_of_the_spec(
    bench: Bench, tmp_path: Path
) -> None:
    bench.install()
    bench.delivery().apply(TARGET, 1)
    bench.helm(
        *("pull", "small", "--repo", bench.repository, "--version", "1.0.1", "--untar"),
        *("--untardir", str(tmp_path)),
    )
    chart = tmp_path / "small"
    (chart / "file.txt").write_text("of 1.0.1")
    bench.helm("upgrade", "rel", str(chart), "--no-hooks", "--reuse-values")
    readers = replace(TARGET, threshold="-1")
    with pytest.raises(ActionFailed, match=r"small 1\.0\.0 is not the chart.*small 1\.0\.1"):
        bench.delivery().apply(readers, 3)
    alone = after_a_restart(without_repository(bench))
    alone.delivery().apply(readers, 3, way_back=True)
    alone.delivery().apply(DATABASE, 4, way_back=True)
    current = bench.delivery().current()
    assert current is not None
    assert (current.revision, current.status, current.settings) == (5, "deployed", DATABASE)
    assert current.chart_version == "1.0.1"
    assert bench.data()["file"] == "of 1.0.1", "nothing of the chart that the spec names"


def test_a_way_back_without_the_chart_of_the_release_says_what_to_write(bench: Bench) -> None:
    """Helm's record of a chart that depends on others is not complete."""
    bench.install(chart="parent")
    other = bench.delivery("1.0.1", chart="parent")
    says = r"parent 1\.0\.1 is not the chart.*parent 1\.0\.0.*not kept.*set spec"
    with pytest.raises(ActionFailed, match=says):
        other.apply(TARGET, 1, way_back=True)
    assert bench.revisions() == {1: "deployed"}
    bench.delivery(chart="parent").keep_chart()
    other.apply(TARGET, 1, way_back=True)
    assert CFG in bench.data()["airflow.cfg"]


def test_a_missing_release_is_named(bench: Bench) -> None:
    assert bench.delivery().current() is None
    with pytest.raises(ActionFailed, match=r"no Helm release 'rel'.*HELM_DRIVER=sql"):
        bench.delivery().apply(TARGET, 1)


# -- the chart in the cluster ------------------------------------------------------------------


def without_repository(bench: Bench) -> Bench:
    return replace(bench, repository="http://127.0.0.1:9/none")


def test_neither_the_repository_nor_the_operators_pod_is_needed_for_a_way_back(
    bench: Bench,
) -> None:
    bench.install()
    alone = without_repository(bench)
    assert not alone.delivery().chart_kept().kept
    digest = alone.delivery().keep_chart()
    assert alone.delivery().keep_chart() == digest
    state = alone.delivery().chart_kept()
    assert (state.kept, state.digest, state.why) == (True, digest, "")
    (kept,) = bench.secrets("xcomrollout.dev/chart-part")
    assert kept["metadata"]["name"] == f"xbr-demo-chart-{digest[:12]}"
    assert kept["immutable"] is True
    assert "ownerReferences" not in kept["metadata"]
    alone.delivery().apply(TARGET, 1)
    after_a_restart(alone).delivery().apply(DATABASE, 2)
    assert bench.revisions() == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert alone.delivery().chart_kept().kept, "later revisions run the same chart"


def test_a_chart_made_from_helms_record_renders_the_same_bytes(bench: Bench) -> None:
    bench.install({"config": {"core": {"parallelism": "7"}}, "size": 1000000})
    bench.delivery().apply(BackendSettings(), 1)
    manifests = [
        decode_record(secret)["manifest"] for secret in bench.secrets("owner=helm,name=rel")
    ]
    assert len(manifests) == 2
    assert manifests[0] == manifests[1]


def test_a_chart_in_parts_is_put_together_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xcom_rollout.deliver.kept_chart.PART", 300)
    bench.install()
    bench.delivery().keep_chart()
    parts = bench.secrets("xcomrollout.dev/chart-part")
    assert len(parts) > 1
    after_a_restart(bench).delivery().apply(TARGET, 1)
    last = parts[-1]["metadata"]
    path = f"api/v1/namespaces/{bench.namespace}/secrets/{last['name']}"
    bench.api.delete(path, uid=last["uid"], grace_seconds=0)
    assert not bench.delivery().chart_kept().kept
    bench.delivery().keep_chart()
    assert bench.delivery().chart_kept().kept


def test_a_damaged_chart_is_named(bench: Bench) -> None:
    bench.install()
    bench.delivery().keep_chart()
    (kept,) = bench.secrets("xcomrollout.dev/chart-part")
    path = f"api/v1/namespaces/{bench.namespace}/secrets"
    metadata = kept["metadata"]
    bench.api.delete(f"{path}/{metadata['name']}", uid=metadata["uid"], grace_seconds=0)
    kept["data"] = {"chart": base64.b64encode(b"x").decode()}
    kept["metadata"] = {key: metadata[key] for key in ("name", "labels", "annotations")}
    bench.api.create(path, kept)
    with pytest.raises(ActionFailed, match=r"damaged.*kubectl delete secret xbr-demo-chart-"):
        after_a_restart(bench).delivery().apply(TARGET, 1)


def test_other_content_of_the_same_version_takes_the_place_of_the_kept_chart(
    bench: Bench, tmp_path: Path
) -> None:
    bench.install()
    before = bench.delivery().keep_chart()
    chart = tmp_path / "small"
    run_helm = ("pull", "small", "--repo", bench.repository, "--version", "1.0.0", "--untar")
    bench.helm(*run_helm, "--untardir", str(tmp_path))
    (chart / "file.txt").write_text("patched")
    bench.helm("upgrade", "rel", str(chart), "--no-hooks")
    assert not bench.delivery().chart_kept().kept
    bench.delivery().apply(TARGET, 2)
    assert bench.data()["file"] == "patched", "delivered with the chart that the release runs"
    state = bench.delivery().chart_kept()
    assert state.kept
    assert state.digest != before
    assert len(bench.secrets("xcomrollout.dev/chart-part")) == 1, "the replaced one is removed"


def test_values_that_a_person_reuses_are_no_other_chart_to_refuse(bench: Bench) -> None:
    bench.install({"size": 7})
    bench.delivery().keep_chart()
    chart = ("small", "--repo", bench.repository, "--version", "1.0.0")
    bench.helm("upgrade", "rel", *chart, "--no-hooks", "--reuse-values", "--set", "extra=1")
    bench.delivery().apply(TARGET, 2)
    assert CFG in bench.data()["airflow.cfg"]
    assert bench.delivery().chart_kept().kept


def test_a_chart_with_others_in_it_comes_from_the_repository_once(bench: Bench) -> None:
    bench.install(chart="parent")
    alone = without_repository(bench)
    with pytest.raises(HelmError, match=r"depends on other charts.*cannot be pulled from http"):
        alone.delivery(chart="parent").keep_chart()
    assert "cannot be pulled" in alone.delivery(chart="parent").forecast()[0]
    bench.delivery(chart="parent").keep_chart()
    after_a_restart(alone).delivery(chart="parent").apply(TARGET, 1)
    assert CFG in bench.data()["airflow.cfg"]


def test_a_chart_whose_others_are_switched_off_needs_no_repository(bench: Bench) -> None:
    bench.install({"child": {"enabled": False}}, chart="parent")
    without_repository(bench).delivery(chart="parent").apply(TARGET, 1)
    assert CFG in bench.data()["airflow.cfg"]


def in_house(bench: Bench, folder: Path, *, lock: bool, alias: str) -> HelmDelivery:
    """Install an umbrella chart that is in no repository; what it depends on is in one."""
    chart = folder / "inhouse"
    write_chart(chart, {}, "size: 1\nsmall: {}\nairflow: {config: {api: {a: b}}}\n", CHILD)
    entry = {"name": "small", "version": "1.0.0", "repository": bench.repository}
    listed = [{**entry, "alias": alias} if alias else entry]
    metadata = {"apiVersion": "v2", "name": "inhouse", "version": "0.1.0", "dependencies": listed}
    (chart / "Chart.yaml").write_text(json.dumps(metadata))
    if lock:
        locked = {"digest": "x", "generated": "2026-01-01T00:00:00Z", "dependencies": [entry]}
        (chart / "Chart.lock").write_text(json.dumps(locked))
    (chart / "charts").mkdir()
    words = ("--repo", bench.repository, "--version", "1.0.0", "--destination")
    bench.helm("pull", "small", *words, str(chart / "charts"))
    # Null takes a default of the dependency away: it has to stay one in the chart that is made.
    values = {alias or "small": {"config": {"core": {"dags_folder": None, "parallelism": "7"}}}}
    bench.helm("install", "rel", str(chart), values=values)
    return bench.delivery("0.1.0", chart="inhouse")


@pytest.mark.parametrize(("lock", "alias"), [(True, "airflow"), (True, ""), (False, "")])
def test_an_umbrella_that_is_in_no_repository_is_kept_with_what_it_depends_on(
    bench: Bench, tmp_path: Path, lock: bool, alias: str
) -> None:
    delivery = in_house(bench, tmp_path, lock=lock, alias=alias)
    before, values = bench.data(), bench.values()
    assert "dags_folder" not in before["airflow.cfg"]
    assert delivery.forecast(TARGET) == ()
    alone = after_a_restart(without_repository(bench)).delivery("0.1.0", chart="inhouse")
    alone.apply(TARGET, 1)
    assert CFG in bench.data()["airflow.cfg"]
    alone.apply(DATABASE, 2, way_back=True)
    assert (bench.data(), bench.values()) == (before, values)


def test_an_umbrella_that_cannot_be_put_together_is_told_with_what_to_do(
    bench: Bench, tmp_path: Path
) -> None:
    delivery = in_house(bench, tmp_path, lock=False, alias="airflow")
    (words,) = delivery.forecast(TARGET)
    assert "inhouse 0.1.0 depends on other charts" in words
    assert "its Chart.lock does not identify its dependency airflow" in words
    assert "Package it with its dependencies (helm dependency build, helm package)" in words


# -- what a delivery may change ----------------------------------------------------------------

POST_RENDERER = """#!/bin/sh
sed 's/size: "5"/size: "6"/'
"""


def test_what_a_post_renderer_did_is_not_destroyed(bench: Bench, tmp_path: Path) -> None:
    program = tmp_path / "post"
    program.write_text(POST_RENDERER)
    program.chmod(0o755)
    bench.install(None, "--post-renderer", str(program))
    says = r"more than the XCom options: ConfigMap rel-config data.size changed"
    with pytest.raises(ActionFailed, match=says):
        bench.delivery().apply(TARGET, 1)
    with pytest.raises(ActionFailed, match=rf"{says}.*fallback also failed"):
        bench.delivery().apply(TARGET, 1, way_back=True)
    with pytest.raises(ActionFailed, match=says):
        bench.delivery().render(TARGET)
    assert "data.size changed" in bench.delivery().forecast()[0]
    assert (bench.data()["size"], bench.revisions()) == ("6", {1: "deployed"})


def test_a_key_made_at_each_upgrade_stops_a_flip_and_no_kill(bench: Bench) -> None:
    bench.install({"jwtSecret": ""})
    with pytest.raises(SecretRotated, match=r"Secret rel-jwt-secret.*set jwtSecret in the values"):
        bench.delivery().apply(TARGET, 1)
    assert "jwtSecret" in bench.delivery().forecast(TARGET)[0]
    assert bench.delivery().render(TARGET), "a proof may be made"
    before = key_of(bench)
    said = bench.delivery().apply(TARGET, 1, way_back=True)
    assert "wrote the present value into the values of the release (jwtSecret)" in said
    assert bench.revisions() == {1: "superseded", 2: "deployed"}
    assert key_of(bench) == before, "no running task of Airflow 3 ends with a kill"
    assert bench.delivery().apply(DATABASE, 2, way_back=True) == ""
    assert key_of(bench) == before


def key_of(bench: Bench) -> object:
    secret = bench.api.find(f"api/v1/namespaces/{bench.namespace}/secrets/rel-jwt-secret")
    assert secret is not None
    return secret["data"]


def test_a_key_that_no_value_keeps_stops_no_kill_and_is_reported(
    bench: Bench, tmp_path: Path
) -> None:
    install_chart(bench, tmp_path, CONFIG.replace(".Values.jwtSecret | default", ""))
    before = key_of(bench)
    said = bench.delivery().apply(TARGET, 1, way_back=True)
    assert "on Airflow 3 every running task fails" in said
    assert bench.revisions() == {1: "superseded", 2: "deployed"}
    assert key_of(bench) != before


# -- what a chart makes anew at each render ----------------------------------------------------

DEPLOYMENT = """
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-scheduler
  labels: {made: %s}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}, annotations: {rollme: %s}}
    spec: {containers: [{name: a, image: a}]}
"""
RANDOM = "{{ randAlpha 5 | quote }}"
MOMENT = "{{ now | unixEpoch | quote }}"


def install_chart(bench: Bench, folder: Path, template: str) -> None:
    chart = folder / "small"
    metadata = {"apiVersion": "v2", "name": "small", "version": "1.0.0"}
    write_chart(chart, metadata, VALUES, template)
    (chart / "file.txt").write_text("a file")
    bench.helm("install", "rel", str(chart))


@pytest.mark.parametrize("made", [RANDOM, MOMENT], ids=["random", "the time"])
def test_an_annotation_that_rolls_pods_at_each_upgrade_stops_nothing(
    bench: Bench, tmp_path: Path, made: str
) -> None:
    install_chart(bench, tmp_path, CONFIG + DEPLOYMENT % ("x", made))
    before, delivery = bench.data(), bench.delivery()
    assert delivery.forecast(TARGET) == ()
    assert delivery.render(TARGET)
    delivery.apply(TARGET, 1)
    delivery.apply(DATABASE, 2, way_back=True)
    assert bench.data() == before


def test_an_annotation_that_rolls_pods_stops_no_rollback(bench: Bench, tmp_path: Path) -> None:
    install_chart(bench, tmp_path, CONFIG + DEPLOYMENT % ("x", RANDOM))
    before = bench.data()
    bench.delivery().apply(TARGET, 1)
    stop(bench)
    assert "rolled back to revision 1" in bench.delivery().apply(DATABASE, 2, way_back=True)
    assert bench.data() == before


@pytest.mark.parametrize("made", [RANDOM, MOMENT], ids=["random", "the time"])
def test_a_label_that_is_another_at_each_render_is_named_with_its_cause(
    bench: Bench, tmp_path: Path, made: str
) -> None:
    install_chart(bench, tmp_path, CONFIG + DEPLOYMENT % (made, "x"))
    time.sleep(1)  # the time has another second by then
    (said,) = bench.delivery().forecast(TARGET)
    assert "Deployment rel-scheduler metadata.labels.made at each render" in said
    assert "post-renderer" not in said
    assert bench.revisions() == {1: "deployed"}


def test_a_release_that_can_be_delivered_to_has_nothing_in_its_way(bench: Bench) -> None:
    bench.install()
    assert bench.delivery().forecast(TARGET) == ()
    assert bench.delivery().forecast() == ()
    assert bench.delivery().foreign_owner() == ""
    assert bench.revisions() == {1: "deployed"}


# -- secrets -----------------------------------------------------------------------------------


def test_values_touch_no_file(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.install({"config": {"database": {"sql_alchemy_conn": "pg://u:s3cr3t@db"}}})
    temporary, seen = tmp_path / "tmp", tmp_path / "seen"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    slow = tmp_path / "slow-helm"
    look = f'grep -rl s3cr3t "{temporary}" "{bench.world.work}" >>"{seen}"'
    slow.write_text(
        f'#!/bin/sh\n{look}\n"{tools.tool("helm")}" "$@"\ncode=$?\n{look}\nexit $code\n'
    )
    slow.chmod(0o755)
    helm = bench.world.helm
    runner = HelmRunner(str(slow), helm.home, helm.global_arguments, helm.environment)
    watched = replace(bench, world=replace(bench.world, helm=runner))
    watched.delivery().apply(TARGET, 1)
    assert "s3cr3t" in bench.data()["airflow.cfg"], "the value was delivered"
    assert seen.read_text() == ""


# -- the last resort ---------------------------------------------------------------------------


def stop(bench: Bench) -> None:
    """Let the chart's templates fail from now on."""
    bench.api.create(
        f"api/v1/namespaces/{bench.namespace}/configmaps",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stop"}},
    )


def test_a_way_back_that_cannot_be_rendered_is_a_rollback(bench: Bench) -> None:
    bench.install()
    before = bench.data()
    bench.delivery().apply(TARGET, 1)
    stop(bench)
    with pytest.raises(HelmError, match="stopped"):
        bench.delivery().apply(DATABASE, 2)
    said = bench.delivery().apply(DATABASE, 2, way_back=True)
    assert "rolled back to revision 1" in said
    assert "stopped" in said
    assert bench.data() == before
    current = bench.delivery().current()
    assert current is not None
    assert (current.revision, current.settings) == (3, DATABASE)
    assert (current.status, current.maker) == ("deployed", Maker.SELF)
    assert bench.api.list(f"apis/batch/v1/namespaces/{bench.namespace}/jobs") == []
    (first,) = bench.secrets("owner=helm,name=rel,version=1")
    assert "xcomrollout.dev/delivery" not in first["metadata"]["labels"]


def test_an_upgrade_that_somebody_makes_while_a_revision_is_looked_for_is_not_rolled_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.install()
    bench.delivery().apply(TARGET, 1)
    upgrade_at(bench, monkeypatch, "to_roll_back_to", of=Revisions)
    with pytest.raises(Conflict, match="at revision 3, but the decision was made for revision 2"):
        bench.delivery().roll_back(DATABASE, 2)
    assert bench.data()["size"] == "7"
    assert max(bench.revisions()) == 3


def test_a_template_that_means_another_backend_by_now_is_no_way_back(bench: Bench) -> None:
    bench.install({"config": {"core": {"xcom_backend": "{{ .Values.word }}"}}})
    delivery = bench.delivery()
    found = delivery.current()
    assert found is not None
    delivery.apply(TARGET, 1)
    values = bench.values()
    assert isinstance(values, dict)
    repository = ("--repo", bench.repository, "--version", "1.0.0")
    changed = {**values, "word": TARGET.backend}
    bench.helm("upgrade", "rel", "small", "--no-hooks", *repository, values=changed)
    delivery.apply(found.settings, 3, way_back=True)
    current = delivery.current()
    assert current is not None
    assert current.settings == found.settings
    assert f"xcom_backend = {found.settings.backend}\n" in bench.data()["airflow.cfg"]
    assert bench.values() == {**changed, "config": {"core": {"xcom_backend": BASE_XCOM}}}


def test_a_rollback_takes_back_nothing_else(bench: Bench) -> None:
    bench.install()
    bench.delivery().apply(TARGET, 1)
    values = bench.values()
    assert isinstance(values, dict)
    bench.helm(
        "upgrade",
        "rel",
        "small",
        "--no-hooks",
        "--repo",
        bench.repository,
        "--version",
        "1.0.0",
        values={**values, "size": 9},
    )
    stop(bench)
    with pytest.raises(HelmError, match=r"revision 1 also differs: .*data.size changed") as caught:
        bench.delivery().apply(DATABASE, 3, way_back=True)
    assert "helm rollback rel REVISION" in caught.value.message
    assert bench.data()["size"] == "9"
    assert max(bench.revisions()) == 3


def test_a_rollback_to_another_key_says_so_and_keeps_its_reason_apart(bench: Bench) -> None:
    bench.install({"jwtSecret": "a"})
    bench.delivery().apply(TARGET, 1)
    values = bench.values()
    assert isinstance(values, dict)
    repository = ("--repo", bench.repository, "--version", "1.0.0")
    changed = {**values, "jwtSecret": "b"}
    bench.helm("upgrade", "rel", "small", "--no-hooks", *repository, values=changed)
    stop(bench)
    said = bench.delivery().apply(DATABASE, 3, way_back=True)
    assert "rolled back to revision 1" in said
    assert "secrets than now (Secret rel-jwt-secret data.jwt-secret changed), because:" in said
    assert said.endswith("every running task fails and the API answers 403")
    assert bench.data()["airflow.cfg"] == "[core]\ndags_folder = /dags\n"


def test_an_interrupted_rollback_of_the_operators_own_is_taken_back(bench: Bench) -> None:
    bench.install()
    bench.delivery().apply(TARGET, 1)
    bench.delivery().roll_back(DATABASE, 2)
    path = f"api/v1/namespaces/{bench.namespace}/secrets/sh.helm.release.v1.rel.v3"
    secret = bench.api.find(path)
    assert secret is not None
    _set_status(bench.api, path, secret, "pending-rollback")
    bench.delivery().forget(3)
    assert sorted(bench.revisions()) == [1, 2]


def test_the_same_settings_delivered_again_undo_what_an_interrupted_revision_changed(
    bench: Bench,
) -> None:
    """What a kill relies on after it took a revision back: its objects are not put back by that."""
    bench.install()
    readers = replace(TARGET, threshold="-1")
    bench.delivery().apply(readers, 1)
    before = bench.data()
    bench.delivery().apply(TARGET, 2)
    path = f"api/v1/namespaces/{bench.namespace}/secrets/sh.helm.release.v1.rel.v3"
    secret = bench.api.find(path)
    assert secret is not None
    _set_status(bench.api, path, secret, "pending-upgrade")
    bench.delivery().forget(3)
    current = bench.delivery().current()
    assert current is not None
    assert (current.revision, current.settings) == (2, readers), "as the record says"
    assert bench.data() != before, "and not as it is"
    bench.delivery().apply(readers, 2, way_back=True)
    assert bench.data() == before


# -- history -----------------------------------------------------------------------------------


def copy_revision(bench: Bench, number: int, status: str) -> None:
    """Add a revision to the record, as an upgrade that changed nothing leaves it."""
    path = f"api/v1/namespaces/{bench.namespace}/secrets"
    secret = bench.api.find(f"{path}/sh.helm.release.v1.rel.v1")
    assert secret is not None
    record = decode_record(secret)
    record["version"], record["info"]["status"] = number, status
    inner = base64.b64encode(gzip.compress(json.dumps(record).encode()))
    labels = {**secret["metadata"]["labels"], "version": str(number), "status": status}
    metadata = {"name": f"sh.helm.release.v1.rel.v{number}", "labels": labels}
    data = {"release": base64.b64encode(inner).decode()}
    body: Json = {**secret, "metadata": metadata, "data": data}
    assert bench.api.create(path, body)


def test_no_revision_is_pruned_for_a_delivery(bench: Bench) -> None:
    bench.install()
    for number in range(2, 12):
        copy_revision(bench, number, "deployed" if number == 11 else "superseded")
    bench.delivery().apply(TARGET, 11)
    assert sorted(bench.revisions()) == list(range(1, 13))


def test_a_delivery_that_fails_again_and_again_leaves_one_failed_revision_before_its_own(
    bench: Bench,
) -> None:
    bench.install()
    maps = f"api/v1/namespaces/{bench.namespace}/configmaps/rel-config"
    found = bench.api.find(maps)
    assert found is not None
    bench.api.replace(maps, {**found, "immutable": True})
    for revision in range(1, 5):
        with pytest.raises(HelmError, match="immutable"):
            bench.delivery().apply(TARGET, revision)
    assert bench.revisions() == {1: "deployed", 4: "failed", 5: "failed"}


# -- where Helm keeps its records --------------------------------------------------------------


def test_records_in_config_maps_are_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_DRIVER", "configmap")
    bench.install()
    monkeypatch.delenv("HELM_DRIVER")
    assert bench.delivery().current() is None
    assert "HELM_DRIVER=configmap" in bench.delivery().missing()
    with pytest.raises(ActionFailed, match=r"spec.airflow.release.*in ConfigMaps"):
        bench.delivery().apply(TARGET, 1)


def test_a_release_that_flux_delivers_is_named(bench: Bench) -> None:
    bench.install(None, "--labels", "helm.toolkit.fluxcd.io/name=prod")
    assert "flux suspend helmrelease prod" in bench.delivery().foreign_owner()
    assert "Flux" in bench.delivery().forecast()[0]
