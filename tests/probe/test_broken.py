"""Set-ups that are broken in one way each: exactly the right check says so, nothing is changed."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from probe_world import (
    ACCESS_KEY,
    BUCKET,
    PATH,
    SECRET_KEY,
    THRESHOLD,
    Answer,
    Environment,
    ObjectStore,
    Pod,
    connection,
    free_port,
    without_package,
)

pytestmark = pytest.mark.airflow

OPTION = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_"
WRONG_SECRET = "certainly-not-the-secret"


@dataclass(frozen=True)
class Broken:
    """One broken set-up.

    Attributes:
        check: the one check that has to fail.
        seen: part of what it has to say it saw.
        env: variables to set, or to remove (None).
        path: what the rollout wants.
        threshold: what the rollout wants.
        cfg: content of airflow.cfg.
        status: of that check.
    """

    check: str
    seen: str
    env: dict[str, str | None] = field(default_factory=dict)
    path: str = PATH
    threshold: int = THRESHOLD
    cfg: str = ""
    status: str = "fail"


def _elsewhere(path: str) -> dict[str, str | None]:
    return {f"{OPTION}PATH": path}


MISSING_BUCKET = PATH.replace(BUCKET, "nobody-made-this-bucket")
NO_SUCH_CONNECTION = PATH.replace("xcom_s3@", "nobody_made_this@")
NO_SCHEME = PATH.removeprefix("s3://")
IN_DATABASE = PATH.replace("xcom_s3@", "only_in_database@")

CATALOGUE: dict[str, Broken] = {
    "s3 unreachable": Broken(
        "s3-endpoint-reachable",
        "127.0.0.1",
        {"AIRFLOW_CONN_XCOM_S3": connection(f"http://127.0.0.1:{free_port()}")},
    ),
    "unknown access key": Broken(
        "s3-credentials", "InvalidAccessKeyId", {"AIRFLOW_CONN_XCOM_S3": "UNKNOWN-KEY"}
    ),
    "wrong secret key": Broken(
        "s3-credentials", "SignatureDoesNotMatch", {"AIRFLOW_CONN_XCOM_S3": "WRONG-SECRET"}
    ),
    "no credentials at all": Broken(
        "s3-credentials", "redentials", {"AIRFLOW_CONN_XCOM_S3": "NO-CREDENTIALS"}
    ),
    "identity that may only read": Broken(
        "s3-put", "HTTP 403 AccessDenied", {"AIRFLOW_CONN_XCOM_S3": "READ-ONLY"}
    ),
    "missing bucket": Broken(
        "bucket-exists", "does not exist", _elsewhere(MISSING_BUCKET), MISSING_BUCKET
    ),
    "provider not installed": Broken(
        "provider-installed", "apache-airflow-providers-common-io not installed"
    ),
    "dotted variable instead of the right one": Broken(
        "env-misspelt",
        "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH",
        {f"{OPTION}PATH": None, "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH": PATH},
    ),
    "dotted variable beside the right one": Broken(
        "env-misspelt",
        "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_THRESHOLD='1048576'",
        {"AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_THRESHOLD": "1048576"},
    ),
    "threshold from a command": Broken(
        "env-misspelt",
        f"{OPTION}THRESHOLD_CMD",
        {f"{OPTION}THRESHOLD": None, f"{OPTION}THRESHOLD_CMD": "cat /run/threshold"},
    ),
    "section [common_io] in the file": Broken(
        "file-misspelt",
        "[common_io] xcom_objectstorage_threshold",
        {f"{OPTION}THRESHOLD": None},
        cfg="[common_io]\nxcom_objectstorage_threshold = 1048576\n",
    ),
    "pickling on": Broken("pickling-off", "True", {"AIRFLOW__CORE__ENABLE_XCOM_PICKLING": "True"}),
    "missing connection": Broken(
        "connection-resolves",
        "AIRFLOW_CONN_NOBODY_MADE_THIS",
        # Credentials that boto would find by itself, so that nothing but the check notices.
        {
            **_elsewhere(NO_SUCH_CONNECTION),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        },
        NO_SUCH_CONNECTION,
    ),
    "connection only in a database that is down": Broken(
        "connection-resolves",
        "MetastoreBackend",
        {
            **_elsewhere(IN_DATABASE),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": (
                f"postgresql+psycopg2://airflow:{WRONG_SECRET}@127.0.0.1:{free_port()}/airflow"
            ),
        },
        IN_DATABASE,
        status="error",
    ),
    "threshold 1MB": Broken("threshold-integer", "'1MB'", {f"{OPTION}THRESHOLD": "1MB"}),
    "threshold 1.048576e+06": Broken(
        "threshold-integer", "'1.048576e+06'", {f"{OPTION}THRESHOLD": "1.048576e+06"}
    ),
    "another threshold": Broken("option-threshold", "'2048'", {f"{OPTION}THRESHOLD": "2048"}),
    "another path": Broken("option-path", "/other'", _elsewhere(f"s3://xcom_s3@{BUCKET}/other")),
    "no path": Broken("option-path", "absent", {f"{OPTION}PATH": None}),
    "path without a scheme": Broken("path-scheme", f"'{NO_SCHEME}'", _elsewhere(NO_SCHEME)),
    "path without a scheme, as wanted": Broken(
        "path-scheme", f"'{NO_SCHEME}'", _elsewhere(NO_SCHEME), NO_SCHEME
    ),
    "BaseXCom still loaded": Broken(
        "backend-loaded",
        "airflow.models.xcom.BaseXCom",
        {"AIRFLOW__CORE__XCOM_BACKEND": "airflow.models.xcom.BaseXCom"},
    ),
    "backend not set": Broken(
        "backend-loaded", "airflow.models.xcom.BaseXCom", {"AIRFLOW__CORE__XCOM_BACKEND": None}
    ),
    "class that does not exist": Broken(
        "backend-loaded",
        "nothing: AirflowConfigException",
        {"AIRFLOW__CORE__XCOM_BACKEND": "airflow.providers.common.io.xcom.backend.Typo"},
    ),
    "compression gz": Broken("option-compression", "'gz'", {f"{OPTION}COMPRESSION": "gz"}),
}


@pytest.fixture(scope="module")
def read_only(store: ObjectStore) -> tuple[str, str]:
    """An identity of the store that may list and read, and nothing else."""
    name, secret = "reader-of-the-tests", "reader-of-the-tests-secret"
    admin = MinioAdmin(
        endpoint=store.endpoint.removeprefix("http://"),
        credentials=StaticProvider(ACCESS_KEY, SECRET_KEY),
        secure=False,
    )
    admin.user_add(name, secret)
    statement = {
        "Effect": "Allow",
        "Action": ["s3:ListBucket", "s3:GetObject"],
        "Resource": ["arn:aws:s3:::*"],
    }
    admin.policy_add("look-only", policy={"Version": "2012-10-17", "Statement": [statement]})
    admin.attach_policy(["look-only"], user=name)
    return name, secret


@pytest.fixture(scope="module")
def answers(
    pod: Pod,
    airflow: Environment,
    read_only: tuple[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Future[Answer]]]:
    """The answers of all set-ups, two at a time."""
    good = json.loads(pod.env["AIRFLOW_CONN_XCOM_S3"])
    connections = {
        "UNKNOWN-KEY": {**good, "login": "nobody-has-this-key"},
        "WRONG-SECRET": {**good, "password": WRONG_SECRET},
        "NO-CREDENTIALS": {**good, "login": None, "password": None},
        "READ-ONLY": {**good, "login": read_only[0], "password": read_only[1]},
    }

    def ask(name: str, broken: Broken) -> Answer:
        folder = tmp_path_factory.mktemp("broken")
        env = {
            key: json.dumps(connections[value]) if value in connections else value
            for key, value in broken.env.items()
        }
        place = pod.with_env(env)
        if broken.cfg:
            (folder / "airflow.cfg").write_text(broken.cfg)
            place = place.with_env({"AIRFLOW_CONFIG": str(folder / "airflow.cfg")})
        if name == "provider not installed":
            python = without_package(
                airflow,
                folder / "venv",
                "airflow.providers.common.io",
                "apache_airflow_providers_common_io",
            )
            place = Pod(python, place.pyz, place.env)
        return place.probe(
            *("prove", "--functional-s3", "--expect-path", broken.path),
            *("--expect-threshold", str(broken.threshold)),
        )

    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(ask, name, broken) for name, broken in CATALOGUE.items()}


@pytest.mark.parametrize("name", CATALOGUE)
def test_exactly_the_right_check_fails(name: str, answers: dict[str, Future[Answer]]) -> None:
    broken, answer = CATALOGUE[name], answers[name].result()
    assert answer.failing() == {broken.check}
    check = answer.checks()[broken.check]
    assert check["status"] == broken.status
    assert broken.seen in check["observed"]
    assert all(check[part] for part in ("expected", "why", "remedy")), check
    assert answer.code == (1 if broken.status == "fail" else 3)
    # The round trip is not tried on such a set-up, and says why.
    assert answer.checks("skip")["roundtrip"]["observed"] == (
        f"not looked at: {broken.check} did not pass"
    )


@pytest.mark.parametrize("name", CATALOGUE)
def test_no_secret_is_printed(name: str, answers: dict[str, Future[Answer]]) -> None:
    answer = answers[name].result()
    for secret in (SECRET_KEY, WRONG_SECRET, "reader-of-the-tests-secret"):
        assert secret not in answer.stdout


def test_missing_bucket_is_still_missing(
    answers: dict[str, Future[Answer]], store: ObjectStore
) -> None:
    assert answers["missing bucket"].result().code == 1
    assert store.buckets() == {BUCKET}


def test_what_depends_on_a_failure_is_skipped(answers: dict[str, Future[Answer]]) -> None:
    skipped = answers["missing bucket"].result().checks("skip")
    assert set(skipped) == {"s3-put", "s3-get", "s3-list", "s3-delete", "roundtrip"}
    assert skipped["s3-put"]["observed"] == "not looked at: bucket-exists did not pass"


def test_nothing_is_written(answers: dict[str, Future[Answer]], store: ObjectStore) -> None:
    for answer in answers.values():
        answer.result()
    assert store.all_keys() == []


def test_a_store_that_never_answers_is_reported_soon(pod: Pod) -> None:
    """A port that accepts connections and says nothing: the worst kind of unreachable."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        answer = pod.with_env({"AIRFLOW_CONN_XCOM_S3": connection(endpoint)}).probe(
            "preflight", "--expect-path", PATH, "--expect-threshold", str(THRESHOLD)
        )
    assert answer.failing() == {"s3-endpoint-reachable"}
    assert "ReadTimeoutError" in answer.checks()["s3-endpoint-reachable"]["observed"]
    # Two attempts of four seconds, and the start of Airflow on a busy machine.
    assert time.monotonic() - started < 30
