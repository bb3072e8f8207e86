"""Which airflow.cfg of a manifest is Airflow's, which chart makes it, and what it says."""

import pytest

from xcom_rollout.deliver.airflow_config import airflow_config

SCHEDULER = """---
# Source: top/charts/airflow/templates/scheduler.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: s, labels: {tier: airflow, component: scheduler}}
spec:
  template:
    spec:
      containers: [{name: scheduler, volumeMounts: [{name: c, mountPath: /c}]}]
      volumes: [{name: c, configMap: {name: %s}}]
"""


def config_map(source: str, *lines: str, name: str = "c", section: str = "core") -> str:
    above = f"# Source: {source}\n" if source else ""
    text = "".join(f"    {line}\n" for line in (f"[{section}]", *lines))
    return (
        f"---\n{above}apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"
        f"data:\n  airflow.cfg: |\n{text}"
    )


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("airflow/templates/configmaps/configmap.yaml", ()),
        ("top/charts/airflow/templates/configmap.yaml", ("airflow",)),
        ("top/charts/mid/charts/af/templates/charts/c.yaml", ("mid", "af")),
        ("charts/charts/charts/templates/c.yaml", ("charts",)),
        ("", ()),
    ],
    ids=["no dependency", "one level", "two levels, alias", "odd names", "a post-renderer"],
)
def test_the_place_of_the_values_is_found_by_the_template(
    source: str, path: tuple[str, ...]
) -> None:
    found = airflow_config(config_map(source, "xcom_backend = x"))
    assert (found.path, found.options) == (path, {"core.xcom_backend": "x"})


def test_the_place_that_the_spec_names_wins() -> None:
    manifest = config_map("top/charts/a/templates/c.yaml", "xcom_backend = x")
    assert airflow_config(manifest, ("b",)).path == ("b",)
    other = config_map("top/charts/b/templates/c.yaml", "xcom_backend = y")
    for path, backend in ((("a",), "x"), (("b",), "y")):
        found = airflow_config(manifest + other, path)
        assert (found.path, found.options) == (path, {"core.xcom_backend": backend})


def test_of_several_files_that_of_the_scheduler_counts() -> None:
    own = config_map("top/charts/airflow/templates/c.yaml", "xcom_backend = x", name="own")
    other = config_map("top/templates/extra.yaml", "xcom_backend = y", name="other")
    found = airflow_config(own + other + SCHEDULER % "own")
    assert (found.path, found.options["core.xcom_backend"]) == (("airflow",), "x")


def test_files_that_say_the_same_are_one() -> None:
    copies = "".join(
        config_map("a/templates/c.yaml", "xcom_backend = x", name=name) for name in ("a", "b")
    )
    assert airflow_config(copies).options == {"core.xcom_backend": "x"}


def test_two_airflows_in_one_release_are_refused_with_the_keys_to_choose_from() -> None:
    both = "".join(
        config_map(f"top/charts/{name}/templates/c.yaml", f"xcom_backend = {name}", name=name)
        for name in ("blue", "green")
    )
    problem = airflow_config(both).problem
    assert "(valuesPath blue)" in problem
    assert "(valuesPath green)" in problem
    assert "spec.delivery.helm.valuesPath" in problem


@pytest.mark.parametrize("line", ["xcom_backend =", "xcom_backend", "parallelism = 3"])
def test_an_option_without_a_value_is_not_set(line: str) -> None:
    assert airflow_config(config_map("a/templates/c.yaml", line)).options == {}


def test_space_around_an_option_counts_for_nothing() -> None:
    found = airflow_config(config_map("a/templates/c.yaml", "xcom_backend  =  my.X  "))
    assert found.options == {"core.xcom_backend": "my.X"}


@pytest.mark.parametrize(
    ("lines", "options"),
    [
        (("XCOM_BACKEND = a",), {}),
        (("XCOM_BACKEND = a", "xcom_backend = b"), {"core.xcom_backend": "b"}),
        (("xcom_backend = b", "XCom_Backend = a"), {"core.xcom_backend": "b"}),
    ],
)
def test_an_option_in_another_case_is_another_one_as_to_airflow(
    lines: tuple[str, ...], options: dict[str, str]
) -> None:
    """Measured with Airflow 2.11.2 and 3.3.2."""
    found = airflow_config(config_map("a/templates/c.yaml", *lines))
    assert (found.options, found.problem) == (options, "")


def test_for_two_files_of_one_chart_no_key_is_asked_for() -> None:
    both = "".join(
        config_map("top/charts/airflow/templates/c.yaml", f"xcom_backend = {name}", name=name)
        for name in ("api", "scheduler")
    )
    problem = airflow_config(both).problem
    assert "set spec.delivery.helm.valuesPath" not in problem
    assert "give them the same content, or mount only one of them in the scheduler" in problem


def test_a_file_that_cannot_be_parsed_is_named() -> None:
    problem = airflow_config(
        config_map("a/templates/c.yaml", "= = [", section="core\n    x")
    ).problem
    assert problem.startswith("ConfigMap c, key airflow.cfg: cannot be parsed")


def test_a_chart_of_another_layout_is_refused_with_what_it_does() -> None:
    variables = "---\nkind: Secret\nstringData: {AIRFLOW__CORE__FERNET_KEY: s3cr3t}\n"
    problem = airflow_config(variables).problem
    assert (
        "no ConfigMap with the key airflow.cfg; it sets environment variables such as "
        "AIRFLOW__CORE__FERNET_KEY" in problem
    )
    assert "community chart with its airflow.config, are not supported" in problem
    assert "s3cr3t" not in problem


def test_a_manifest_with_something_that_is_no_yaml_in_it_is_read_all_the_same() -> None:
    broken = "---\nkind: ConfigMap\n# airflow.cfg\n  a: [\n"
    manifest = broken + config_map("a/templates/c.yaml", "xcom_backend = x")
    assert airflow_config(manifest).options == {"core.xcom_backend": "x"}
