"""What Helm is given, and what is made of what it says."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from simulation import START
from xcom_rollout.clients.errors import (
    Conflict,
    HelmError,
    NotInspected,
)
from xcom_rollout.clients.helm import HelmRunner
from xcom_rollout.decide.settings import BackendSettings
from xcom_rollout.deliver.helm import HelmDelivery, upgrade_arguments
from xcom_rollout.deliver.release import StoredRelease, config_maps

MANIFEST = """---
# Source: airflow/templates/configmap.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: airflow-config}
data:
  airflow.cfg: |
    [core]
    xcom_backend = x
---
apiVersion: v1
kind: Service
metadata: {name: airflow-webserver}
---
"""


def test_standard_input_is_the_whole_truth_and_hooks_stay_out() -> None:
    arguments = upgrade_arguments("airflow", Path("c.tgz"), "ns", ("--x",))
    assert arguments[arguments.index("--values") + 1] == "-"
    assert arguments[:3] == ("upgrade", "airflow", "c.tgz")
    assert {"--reset-values", "--no-hooks", "--x"} <= set(arguments)
    assert not {"--reuse-values", "--force", "--wait", "--atomic", "--install"} & set(arguments)


def test_config_maps_are_found_in_a_manifest() -> None:
    (found,) = config_maps(MANIFEST).items()
    assert found[0] == "airflow-config"
    assert found[1]["data"] == {"airflow.cfg": "[core]\nxcom_backend = x\n"}


def test_a_manifest_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(ValueError, match="not YAML"):
        config_maps("a: [")


def program(folder: Path, text: str) -> HelmRunner:
    path = folder / "helm"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return HelmRunner(str(path), folder, ("--kube-context", "c"), {"KUBECONFIG": "/k"})


def test_helm_keeps_its_files_where_it_may_write(tmp_path: Path) -> None:
    shown = program(tmp_path, 'echo "$HELM_CACHE_HOME $HELM_CONFIG_HOME $HELM_DATA_HOME"')
    assert all(word.startswith(str(tmp_path)) for word in shown.run(("version",)).split())
    shown = program(tmp_path, 'echo "$KUBECONFIG $*"')
    assert shown.run(("list", "-q")) == "/k list -q --kube-context c\n"


def test_helm_reads_its_standard_input(tmp_path: Path) -> None:
    assert program(tmp_path, "cat").run(("upgrade",), stdin='{"a": "1e6"}') == '{"a": "1e6"}'
    assert program(tmp_path, "cat").run(("upgrade",)) == ""


def test_a_failure_quotes_helm_without_its_warnings(tmp_path: Path) -> None:
    helm = program(tmp_path, "echo 'WARNING: old' >&2; echo 'Error: no such release' >&2; exit 1")
    with pytest.raises(HelmError, match=r"^helm upgrade failed: Error: no such release$"):
        helm.run(("upgrade", "x"))


def test_a_long_failure_keeps_its_end(tmp_path: Path) -> None:
    helm = program(tmp_path, "seq 1 2000 >&2; echo 'the cause' >&2; exit 1")
    with pytest.raises(HelmError, match=r"the cause$") as caught:
        helm.run(("upgrade", "x"))
    assert len(str(caught.value)) < 1700


def test_a_missing_helm_is_named(tmp_path: Path) -> None:
    with pytest.raises(HelmError, match="set HELM_BIN"):
        HelmRunner(str(tmp_path / "nowhere"), tmp_path).run(("version",))


RENDERS = """
import subprocess, sys
words = sys.argv[1:]
renderer = [words[words.index("--post-renderer") + 1]]
renderer += [words[n + 1] for n, word in enumerate(words) if word == "--post-renderer-args"]
done = subprocess.run(renderer, input="a: 1\\n" * 100_000, stdout=subprocess.PIPE, text=True)
if done.returncode:
    sys.exit("Error: error while running post render on files")
print(done.stdout.count("a"))
"""


def renders(folder: Path) -> HelmRunner:
    """A helm that does nothing but what it does with a post renderer."""
    (folder / "renders.py").write_text(RENDERS)
    return program(folder, f'exec {sys.executable} {folder}/renders.py "$@"')


def test_what_is_applied_is_looked_at_before(tmp_path: Path) -> None:
    seen: list[str] = []
    assert renders(tmp_path).run_inspected(("upgrade",), seen.append) == "100000\n"
    assert seen == ["a: 1\n" * 100_000]


def test_what_is_refused_is_not_applied_and_the_reason_is_that_of_the_look(tmp_path: Path) -> None:
    def refuse(_: str) -> None:
        raise Conflict("somebody was quicker")

    with pytest.raises(Conflict, match="somebody was quicker"):
        renders(tmp_path).run_inspected(("upgrade",), refuse)


def test_a_helm_that_shows_nothing_is_told_with_its_own_words_or_is_an_error(
    tmp_path: Path,
) -> None:
    with pytest.raises(HelmError, match="no such chart"):
        program(tmp_path, "echo no such chart >&2; exit 1").run_inspected(("upgrade",), print)
    with pytest.raises(HelmError, match="without showing it"):
        program(tmp_path, "true").run_inspected(("upgrade",), print)


@pytest.mark.parametrize(
    "words",
    [
        "Error: UPGRADE FAILED: error while running post render on files: fork/exec /py: "
        "resource temporarily unavailable",
        'Error: invalid argument "/py" for "--post-renderer" flag: plugin not found',
        "Error: PostRenderer was killed",
    ],
    ids=["no pids", "helm 4", "no memory"],
)
def test_a_post_renderer_that_fails_by_itself_is_told_apart(tmp_path: Path, words: str) -> None:
    helm = program(tmp_path, f"echo '{words}' >&2; exit 1")
    with pytest.raises(NotInspected, match="helm upgrade failed: Error: "):
        helm.run_inspected(("upgrade",), print)


def test_other_failures_of_helm_are_not_those_of_the_post_renderer(tmp_path: Path) -> None:
    with pytest.raises(HelmError) as caught:
        program(tmp_path, "echo no such chart >&2; exit 1").run_inspected(("upgrade",), print)
    assert type(caught.value) is HelmError


def test_helm_is_not_started_without_a_python_for_its_post_renderer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Helm takes an empty --post-renderer for none."""
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(NotInspected, match=r"sys\.executable is empty"):
        program(tmp_path, f"touch {tmp_path}/started").run_inspected(("upgrade",), print)
    assert not (tmp_path / "started").exists()


ROLLOUT: Any = SimpleNamespace(
    name="demo",
    namespace="ns",
    spec=SimpleNamespace(delivery=SimpleNamespace(helm=SimpleNamespace(values_path=None))),
)


@pytest.mark.parametrize("dependencies", [(), ("postgresql",)])
def test_where_the_post_renderer_does_not_work_a_delivery_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dependencies: tuple[str, ...]
) -> None:
    helm = program(
        tmp_path,
        'case "$*" in *--post-renderer*)'
        " echo 'Error: error while running post render on files: exit status 1' >&2; exit 1;; esac"
        f"; cat > {tmp_path}/applied",
    )
    world: Any = SimpleNamespace(helm=helm, instance="me")
    stored = StoredRelease(
        *("rel", 1, "deployed", "airflow", "1.0.0", {}, START, "sh.helm.release.v1.rel.v1", "u"),
        mark="",
        dependencies=dependencies,
    )
    settings = BackendSettings(backend="my.X")
    # What needs a cluster, or a helm that renders.
    for name, found in (
        ("_remove_failed", None),
        ("_history", 10),
        ("_expect_still", None),
        ("_chart_file", Path("chart.tgz")),
        ("_difference", (settings, ())),
    ):
        monkeypatch.setattr(HelmDelivery, name, lambda *_, found=found: found)
    assert HelmDelivery(world, ROLLOUT)._upgrade(stored, settings, way_back=True) == ""
    assert '"my.X"' in (tmp_path / "applied").read_text()
