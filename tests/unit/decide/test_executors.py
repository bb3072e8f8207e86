"""Executors: what `[core] executor` names, and what is said of each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcom_rollout.decide.executors import (
    EXECUTORS,
    HOSTS,
    Host,
    Named,
    hosts_of,
    named_executors,
    pool_unsupported,
    proven_components,
    unsupported,
)
from xcom_rollout.decide.ledger import PROVEN_COMPONENTS, Component

KUBERNETES = "KubernetesExecutor"
CELERY = "CeleryExecutor"
KUBERNETES_CLASS = "airflow.providers.cncf.kubernetes.executors.kubernetes_executor." + KUBERNETES
WORD = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)
NAME = st.sampled_from([each.name for each in EXECUTORS]) | st.builds("{}.{}".format, WORD, WORD)
ENTRY = st.builds(Named, NAME, st.just("") | WORD)


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (KUBERNETES, [Named(KUBERNETES)]),
        (f" {KUBERNETES} ", [Named(KUBERNETES)]),
        (f"k8s:{KUBERNETES_CLASS}", [Named(KUBERNETES_CLASS, "k8s")]),
        ("a.B, CeleryExecutor", [Named("a.B"), Named("CeleryExecutor")]),
        (
            "LocalExecutor;team1=CeleryExecutor;team2=KubernetesExecutor,mine:a.B",
            [
                Named("LocalExecutor"),
                Named("CeleryExecutor", team="team1"),
                Named(KUBERNETES, team="team2"),
                Named("a.B", "mine", "team2"),
            ],
        ),
    ],
)
def test_what_the_option_names(option: str, named: list[Named]) -> None:
    assert list(named_executors(option)) == named


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("", "'' is neither a name nor ALIAS:NAME"),
        ("CeleryExecutor,", "'' is neither a name"),
        ("a:", "'a:' is neither a name"),
        (":a.B", "':a.B' is neither a name"),
        ("a:b:c.D", "'a:b:c.D' is neither a name"),
        ("Celery Executor", "'Celery Executor' has blanks"),
        ("a.B,mine:a.B", "a.B is there more than once"),
        (f"{KUBERNETES},{KUBERNETES_CLASS}", "is there more than once"),
        ("team1=CeleryExecutor", "no executor is for everybody"),
        ("a.B;team1=a.B;c.D", "one list, before those of teams"),
        ("a.B;team1=a.B;team1=c.D", "the team 'team1' is there more than once"),
        ("a.B;team1=x=c.D", "more than one '='"),
        ("a.B;=c.D", "no name of a team"),
        ("a.B;", "one list, before those of teams"),
        ("a.B;team1=", "'' is neither a name"),
    ],
)
def test_an_option_that_airflow_should_not_take_is_refused_with_the_reason(
    option: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        named_executors(option)
    assert why in unsupported(option)


@given(
    st.lists(
        st.tuples(WORD, st.lists(ENTRY, min_size=1, max_size=3, unique_by=lambda e: e.name)),
        min_size=1,
        max_size=3,
        unique_by=lambda group: group[0],
    )
)
def test_what_is_written_is_what_is_named(groups: list[tuple[str, list[Named]]]) -> None:
    lists = [
        ",".join(f"{entry.alias}:{entry.name}".lstrip(":") for entry in entries)
        for _, entries in groups
    ]
    teams = ["", *(f"{team}=" for team, _ in groups[1:])]
    option = ";".join(team + names for team, names in zip(teams, lists, strict=True))
    assert named_executors(option) == tuple(
        Named(entry.name, entry.alias, "" if place == 0 else team)
        for place, (team, entries) in enumerate(groups)
        for entry in entries
    )


@given(st.text(st.sampled_from("Aa.:;,= ") | st.characters(), max_size=20))
def test_any_text_is_named_or_refused_and_only_the_supported_one_is_supported(text: str) -> None:
    # Hypothesis finds the supported one's name among the constants of this code.
    _, _, name = text.strip().rpartition(":")
    assert unsupported(text) or name in (KUBERNETES, KUBERNETES_CLASS, CELERY)


@pytest.mark.parametrize(
    "option",
    [
        KUBERNETES,
        KUBERNETES_CLASS,
        f"k8s:{KUBERNETES}",
        CELERY,
        f"w:{CELERY}",
        *EXECUTORS[1].classes,
    ],
)
def test_task_pods_alone_and_workers_alone_are_supported(option: str) -> None:
    assert unsupported(option) == ""


BESIDE = (
    f"{CELERY},{KUBERNETES}",
    f"{KUBERNETES},w:{CELERY}",
    f"k8s:{KUBERNETES_CLASS},{EXECUTORS[1].classes[0]}",
    "CeleryKubernetesExecutor",
    *EXECUTORS[4].classes,
)


@pytest.mark.parametrize("option", BESIDE)
def test_beside_each_other_three_pod_templates_are_proven(option: str) -> None:
    assert hosts_of(option) == {Host.TASK_POD, Host.WORKER}
    assert proven_components(option) == (*PROVEN_COMPONENTS, Component.TASK_POD)


@pytest.mark.parametrize("option", [KUBERNETES, CELERY, "LocalExecutor", "company.Executor", ""])
def test_alone_there_is_one_template_of_what_runs_tasks(option: str) -> None:
    assert proven_components(option) == PROVEN_COMPONENTS


@pytest.mark.parametrize("option", BESIDE)
def test_both_beside_each_other_are_supported_and_what_else_is_refused_stays_so(
    option: str,
) -> None:
    assert unsupported(option) == ""
    assert "the scheduler's own pod" in unsupported(f"LocalExecutor,{CELERY},{KUBERNETES}")
    assert "the scheduler's own pod" in unsupported("LocalKubernetesExecutor")
    assert "of the team 'a'" in unsupported(f"{option};a={CELERY}")
    assert "'gevent'" in pool_unsupported(option, "gevent")


def test_workers_of_a_team_are_not() -> None:
    assert "of the team 'a'" in unsupported(f"{CELERY};a={CELERY}")


def test_each_executor_that_is_not_supported_says_which_and_why() -> None:
    said = unsupported("KubernetesExecutor,LocalExecutor,company.Executor")
    assert said.startswith("LocalExecutor: tasks run in the scheduler's own pod")
    assert said.endswith(". company.Executor: not known; it may run tasks anywhere")
    assert "the scheduler's own pod" in unsupported("LocalKubernetesExecutor")


def test_an_alias_makes_no_class_another_one() -> None:
    said = unsupported("KubernetesExecutor:company.executors.KubernetesExecutor")
    assert said.startswith("company.executors.KubernetesExecutor: not known")


def test_a_team_has_its_own_configuration_so_its_task_pods_may_be_anywhere() -> None:
    assert "of the team 'a'" in unsupported("KubernetesExecutor;a=KubernetesExecutor")


def test_only_tasks_in_the_scheduler_s_own_pod_are_refused() -> None:
    supported = [each.name for each in EXECUTORS if not each.unproven]
    assert supported == [KUBERNETES, CELERY, "CeleryKubernetesExecutor"]
    assert [host for host, facts in HOSTS.items() if facts.unproven] == [Host.SCHEDULER]


def test_no_name_stands_for_two_executors() -> None:
    names = [name for each in EXECUTORS for name in (each.name, *each.classes)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("option", "pool", "refused"),
    [
        ("CeleryExecutor", "prefork", False),
        ("CeleryExecutor", "processes", False),
        ("CeleryExecutor", "", False),
        ("CeleryExecutor", "gevent", True),
        ("KubernetesExecutor,CeleryExecutor", "solo", True),
        ("CeleryKubernetesExecutor", "threads", True),
        (KUBERNETES, "gevent", False),
    ],
)
def test_workers_whose_tasks_are_no_processes_of_their_own_are_refused(
    option: str, pool: str, refused: bool
) -> None:
    why = pool_unsupported(option, pool)
    assert bool(why) == refused
    assert (f"[celery] pool = {pool!r}" in why) == refused
