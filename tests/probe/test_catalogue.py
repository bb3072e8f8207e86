"""The set-ups: on a broken one exactly the right check reports it, on a right one none does.

Each file in `catalogue/` is one set-up; `set_ups` knows the format. With `--airflow` those of other
versions run too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from probe_world import (
    BUCKET,
    DEFAULT_AIRFLOW,
    SECRET_KEY,
    Answer,
    Environment,
    ObjectStore,
    Pod,
    Postgres,
    airflow_environment,
    right_environment,
    select,
)
from set_ups import WRONG_SECRET, SetUp, World, read

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]

CATALOGUE = Path(__file__).parent / "catalogue"
BROKEN, RIGHT = (
    [read(file) for file in sorted((CATALOGUE / kind).glob("*.toml"))]
    for kind in ("broken", "right")
)
# What newer providers do to values is known, the same in every set-up, and reported elsewhere.
KNOWN_DRIFT = ("provider-json-strings", "roundtrip-")
# So many at a time: two cores, and most of the time is Airflow's import.
AT_A_TIME = 2

Ask = Callable[[SetUp, str], Answer]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each set-up and each version of Airflow that it is about; or each version."""
    if "version" not in metafunc.fixturenames:
        return
    versions = select(metafunc.config.getoption("--airflow"))
    for name, kind in (("broken", BROKEN), ("right", RIGHT)):
        if name in metafunc.fixturenames:
            cases = [
                pytest.param(setup, version, id=f"{setup}-{version}")
                for version in versions
                for setup in _about(version, kind)
            ]
            metafunc.parametrize((name, "version"), cases)
            return
    metafunc.parametrize("version", versions)


def _about(version: str, setups: Sequence[SetUp]) -> list[SetUp]:
    return [setup for setup in setups if setup.is_about(version)]


@pytest.fixture(scope="module")
def ask(
    request: pytest.FixtureRequest,
    pyz: Path,
    postgres_databases: Callable[[Environment], Postgres],
    store: ObjectStore,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Ask]:
    """The answer of a set-up on a version of Airflow.

    With the first of a version all wanted ones of that version are asked for.
    """

    @cache
    def place(version: str) -> tuple[Environment, Pod]:
        airflow = airflow_environment(version)
        home = tmp_path_factory.mktemp("home")
        (home / "airflow.cfg").write_text("[core]\nparallelism = 8\n")
        env = right_environment(airflow, home, postgres_databases(airflow), store)
        return airflow, Pod(airflow.python, pyz, env, version)

    def answer(setup: SetUp, version: str) -> Answer:
        airflow, pod = place(version)
        # A warning stops nothing, so `prove` would go on to the round trip for nothing.
        command = "preflight" if setup.status == "warn" else "prove"
        return world.ask(setup, pod, airflow, command)

    world = World(store, tmp_path_factory.mktemp("set_ups"))
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        answers: dict[tuple[str, str], Future[Answer]] = {}

        def submitted(setup: SetUp, version: str) -> Future[Answer]:
            key = (setup.name, version)
            if key not in answers:
                answers[key] = pool.submit(answer, setup, version)
            return answers[key]

        @cache
        def submit_all(version: str) -> None:
            place(version)
            for setup in _wanted(request.session.items, version):
                submitted(setup, version)

        def asked(setup: SetUp, version: str) -> Answer:
            submit_all(version)
            return submitted(setup, version).result()

        yield asked
        # After an interruption nobody wants the rest.
        pool.shutdown(cancel_futures=True)


def _wanted(items: Sequence[pytest.Item], version: str) -> list[SetUp]:
    """What the tests of this session will ask for on a version, each once."""
    wanted: dict[str, SetUp] = {}
    for item in items:
        given = item.callspec.params if hasattr(item, "callspec") else {}
        setup = given.get("broken", given.get("right"))
        if isinstance(setup, SetUp) and given["version"] == version:
            wanted[setup.name] = setup
    return list(wanted.values())


def warning(answer: Answer) -> set[str]:
    """Names of the checks that warn, without the known ones."""
    return {name for name in answer.checks("warn") if not name.startswith(KNOWN_DRIFT)}


def test_exactly_the_right_check_speaks_up(broken: SetUp, version: str, ask: Ask) -> None:
    answer = ask(broken, version)
    if broken.status == "warn":
        assert (answer.failing(), warning(answer)) == (set(), {broken.check})
    else:
        # It may come with a warning that says where it comes from, not with another failure.
        assert answer.failing() == {broken.check}
    check = answer.checks()[broken.check]
    assert check["status"] == broken.status
    assert broken.seen in check["observed"]
    assert all(check[part] for part in ("expected", "why", "remedy")), check
    assert answer.code == {"fail": 1, "error": 3, "warn": 0}[broken.status]
    if broken.status != "warn":
        # The round trip is not tried on such a set-up, and says why.
        assert answer.checks("skip")["roundtrip"]["observed"] == (
            f"not checked: {broken.check} did not pass"
        )


def test_no_secret_is_printed(broken: SetUp, version: str, ask: Ask) -> None:
    answer = ask(broken, version)
    for secret in (SECRET_KEY, *WRONG_SECRET.split("/")):
        assert secret not in answer.stdout
        assert secret not in answer.stderr


def test_nothing_speaks_up_where_all_is_right(right: SetUp, version: str, ask: Ask) -> None:
    answer = ask(right, version)
    assert (answer.failing(), warning(answer)) == (set(), set())
    assert answer.code == 0
    assert SECRET_KEY not in answer.stdout


def test_nothing_is_written_or_made(version: str, ask: Ask, store: ObjectStore) -> None:
    """After every set-up the store holds what it held before, a missing bucket not included."""
    for setup in _about(version, (*BROKEN, *RIGHT)):
        ask(setup, version)
    assert store.buckets() == {BUCKET}
    assert store.all_keys() == []


def test_what_depends_on_a_failure_is_skipped(ask: Ask) -> None:
    (missing,) = (setup for setup in BROKEN if setup.name == "bucket-missing")
    skipped = ask(missing, DEFAULT_AIRFLOW).checks("skip")
    assert set(skipped) == {
        "s3-list",
        "bucket-through-airflow",
        "bucket-versioning",
        "s3-delete",
        "s3-put",
        "s3-get",
        "roundtrip",
    }
    assert skipped["s3-put"]["observed"] == "not checked: s3-delete did not pass"


def test_the_catalogue_is_as_large_as_promised() -> None:
    assert len(BROKEN) >= 40
    assert len(RIGHT) >= 10
    assert {setup.name for setup in RIGHT if setup.check} == set()
    assert {setup.name for setup in BROKEN if not (setup.check and setup.seen)} == set()
