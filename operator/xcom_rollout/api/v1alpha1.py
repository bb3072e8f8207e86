"""The `XComBackendRollout` resource, version v1alpha1: the only place with field names.

The CRD is rendered from these models (`python -m xcom_rollout.api.crd`), so a field, its
documentation and its validation are written once. Rules that a schema cannot express are CEL rules
in `json_schema_extra`, whose messages say what to write instead.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StrictBool,
    StrictInt,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import core_schema

from xcom_rollout.api.durations import DURATION_PATTERN, parse_duration


def cel(rule: str, message: str, *, expression: str | None = None) -> dict[str, Any]:
    """Return the schema extension that makes the API server check `rule`.

    `message` is what a person sees; `expression`, a CEL string expression, may include the value.
    """
    entry = {"rule": rule, "message": message}
    if expression is not None:
        entry["messageExpression"] = expression
    return {"x-kubernetes-validations": [entry]}


def _all_of(*rules: dict[str, Any]) -> dict[str, Any]:
    """Return the schema extension with every rule of these, each as `cel` returns it."""
    key = "x-kubernetes-validations"
    return {key: [entry for rule in rules for entry in rule[key]]}


class Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


_WHOLE_BYTES: Final = "(0|[1-9][0-9]{0,17})"
_THRESHOLD_RULE = {
    # A number is passed to the rule, which can say what to write; a type error could not.
    "x-kubernetes-int-or-string": True,
    **cel(
        f"type(self) == string && self.matches('^{_WHOLE_BYTES}$')",
        "must be a whole number of bytes in quotes, for example '1048576' for 1 MiB",
        expression=(
            '"\'" + string(self) + "\' is not a whole number of bytes in quotes; write it '
            "in quotes without a unit or an exponent, for example '1048576' for 1 MiB: Airflow "
            'reads it with getint and fails at every push on anything else"'
        ),
    ),
}
_HAS_PASSWORD: Final = "[^/]*//[^@/:]*:[^@]*(@[^@]*)+"
_PASSWORD_IN_PATH: Final = (
    "must not contain a user and password before the @, because the path is stored with every "
    "value; use the id of an Airflow connection there, as in s3://aws_default@my-bucket/xcom, and "
    "change the password, which may have been exposed"
)
_NO_PASSWORD = cel(f"!self.matches('^{_HAS_PASSWORD}$')", _PASSWORD_IN_PATH)
_IMMUTABLE_PATH = cel(
    "self == oldSelf",
    "is immutable: rows already offloaded under the old path would be read as plain path strings "
    "without an error; engage the kill-switch, delete this rollout, then create one with the new "
    "path",
)
_DURATION_RULE = cel(
    f"self.matches('{DURATION_PATTERN}') && self != ''",
    "must be a duration such as 90s, 30m, 1h30m or 720h",
)
QUANTILE_PATTERN: Final = r"^0\.[0-9]*[1-9][0-9]*$"
MARGIN_PATTERN: Final = r"^[1-9][0-9]{0,3}(\.[0-9]{1,3})?$"
_QUANTILE_REMEDY: Final = "write it in quotes, for example '0.999'"
_MARGIN_REMEDY: Final = "write it in quotes, for example '2' or '1.5'"


def _quoted_rule(pattern: str, what: str, remedy: str) -> dict[str, Any]:
    return {
        "x-kubernetes-int-or-string": True,
        **cel(
            f"type(self) == string && self.matches('{pattern.replace(chr(92), chr(92) * 2)}')",
            f"must be {what}; {remedy}",
            expression=f'"\'" + string(self) + "\' is not {what}; {remedy}"',
        ),
    }


_QUANTILE_RULE = _quoted_rule(QUANTILE_PATTERN, "a share between 0 and 1", _QUANTILE_REMEDY)
_MARGIN_RULE = _quoted_rule(MARGIN_PATTERN, "a factor of 1 or more", _MARGIN_REMEDY)
COMMIT_PATTERN: Final = r"^[0-9a-f]{7,64}$"
"""A commit, whole or shortened to at least the seven digits that Git shows."""
_COMMIT_REMEDY: Final = (
    "write 7 to 64 lower-case hexadecimal digits in quotes, as git rev-parse HEAD prints them"
)
_COMMIT_RULE = _quoted_rule(COMMIT_PATTERN, "a commit", _COMMIT_REMEDY)
IMAGE_LABEL: Final = "org.opencontainers.image.revision"
"""Where an image's commit is read from by default: an annotation or label of the pod."""
IMAGE_VARIABLE: Final = "APP_SHA"
"""The same, as a variable in the container."""
_AT_LEAST_A_MINUTE: Final = "is less than a minute: use 1m or more"
_MINUTE_RULE = _all_of(
    _DURATION_RULE,
    cel(
        f"!self.matches('{DURATION_PATTERN}') || self == '' || duration(self) >= duration('1m')",
        "must be a minute or more",
        expression=f'"\'" + self + "\' {_AT_LEAST_A_MINUTE}"',
    ),
)
_NOTHING_JUDGED: Final = (
    "sources: must contain stamp, image or tags, or nothing would be checked; to check nothing, "
    "remove the whole gate"
)
_NO_PLACE_NAMED: Final = (
    "imageEnv: must contain a variable, or imageLabels a label, or the commit of an image could "
    "not be read; otherwise remove image from sources"
)
_DAGS_WITHOUT_TAGS: Final = (
    "dags: must be omitted unless sources contains tags: DAGs are checked by their tags"
)
_PROVENANCE_RULE = _all_of(
    cel("size(self.sources) > 0", _NOTHING_JUDGED),
    cel(
        "!('image' in self.sources) || size(self.imageLabels) + size(self.imageEnv) > 0",
        _NO_PLACE_NAMED,
    ),
    cel("size(self.dags) == 0 || 'tags' in self.sources", _DAGS_WITHOUT_TAGS),
)
_NO_AUDIT: Final = "must contain an audit: add static: {}, dynamic: {} or both, or remove it"
_ACCEPTS_EVERYTHING: Final = (
    "accepted: each entry must name a dagId or a file, or it would accept everything"
)
_AUDIT_RULE = _all_of(
    cel("has(self.static) || has(self.dynamic)", _NO_AUDIT),
    cel("self.accepted.all(entry, has(entry.dagId) || has(entry.file))", _ACCEPTS_EVERYTHING),
)


def _checked_duration(text: str) -> str:
    parse_duration(text)
    return text


Duration = Annotated[
    str, Field(max_length=32, json_schema_extra=_DURATION_RULE), AfterValidator(_checked_duration)
]
Name = Annotated[str, Field(min_length=1, max_length=253)]
"""Any text, such as the id of a DAG. Names of Kubernetes objects have their own types below."""


@dataclass(frozen=True)
class _Named:
    """Restricts a string to a name that leads neither to another namespace nor to another host.

    Attributes:
        pattern: regular expression of the whole value, understood by Python and RE2 alike.
        what: what the value must be, in words.
        remedy: what to write instead.
        longest: most characters.
        further: schema extensions with more rules.
        unless: pattern of values that another rule refuses, with a message without the value.
    """

    pattern: str
    what: str
    remedy: str
    longest: int = 253
    further: tuple[dict[str, Any], ...] = ()
    unless: str = ""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        text = core_schema.str_schema(max_length=self.longest)
        return core_schema.no_info_after_validator_function(self._checked, text)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        another = f" || self.matches('^({self.unless})$')" if self.unless else ""
        rule = cel(
            f"self.matches('^({self.pattern})$'){another}",
            f"must be {self.what}; {self.remedy}",
            expression=f'"\'" + self + "\' is not {self.what}; {self.remedy}"',
        )
        return {**handler(schema), **_all_of(rule, *self.further)}

    def _checked(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise ValueError(f"{value!r} is not {self.what}; {self.remedy}")
        return value


def _without_password(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(_HAS_PASSWORD, value):
        # Without the value: the message ends up in logs.
        raise ValueError(_PASSWORD_IN_PATH)
    return value


# The path becomes a chart value, which Helm evaluates as a template with the operator's rights,
# then a line of airflow.cfg, in which Airflow expands $ and %, then the beginning of every key.
_PATH_SAFE: Final = "A-Za-z0-9_~=+,:-"
_PATH_FOLDER: Final = f"/[.]*[{_PATH_SAFE}][.{_PATH_SAFE}]*"
StoragePath = Annotated[
    str,
    _Named(
        f"[a-z][a-z0-9+.-]*://([A-Za-z0-9_.-]+@)?[A-Za-z0-9_.:-]+({_PATH_FOLDER})+",
        "an object storage path",
        "use scheme://connection@bucket/prefix with a lower-case scheme and without a trailing "
        "slash, for example s3://aws_default@my-bucket/xcom, with only letters from A to Z, "
        "digits and . _ ~ = + , : -, and without // or a folder . or ..: Airflow takes a path "
        "without a scheme for a local directory and passes the path to tasks as data, and "
        "templates, variables and line breaks in it would be evaluated",
        longest=1024,
        further=(_NO_PASSWORD, _IMMUTABLE_PATH),
        unless=_HAS_PASSWORD,
    ),
    BeforeValidator(_without_password),
]

LABEL_PATTERN: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
"""RFC 1035, as Kubernetes requires for the name of a Service."""
_PART: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN_PATTERN: Final = f"{_PART}([.]{_PART})*"
"""RFC 1123, as Kubernetes requires for the name of a Secret or a ConfigMap."""
KEY_PATTERN: Final = "[-_a-zA-Z0-9][-._a-zA-Z0-9]*"
PATH_PATTERN: Final = "(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*"
_OBJECT_REMEDY: Final = (
    "use the name of an object in the namespace of the rollout: lower-case letters, digits, - and ."
)

_PATH_REMEDY: Final = (
    "use the path of [webserver] base_url (Airflow 3: [api] base_url) after the host, such as "
    "/airflow, without a trailing slash and without ?, # or .."
)
_IMMUTABLE_RELEASE: Final = cel(
    "self == oldSelf", "is immutable: create another rollout for another release"
)

ServiceName = Annotated[
    str,
    _Named(
        LABEL_PATTERN,
        "the name of a Service",
        "use the name of a Service in the namespace of the rollout, in lower-case letters, digits "
        "and -, such as airflow-webserver",
        63,
    ),
]
SecretName = Annotated[str, _Named(SUBDOMAIN_PATTERN, "the name of a Secret", _OBJECT_REMEDY)]
ConfigMapName = Annotated[str, _Named(SUBDOMAIN_PATTERN, "the name of a ConfigMap", _OBJECT_REMEDY)]
ObjectName = Annotated[
    str, _Named(SUBDOMAIN_PATTERN, "the name of a Secret or ConfigMap", _OBJECT_REMEDY)
]
DataKey = Annotated[
    str,
    _Named(
        KEY_PATTERN,
        "a key of a Secret or ConfigMap",
        "use letters, digits, -, _ and ., such as ca.crt",
    ),
]
ReleaseName = Annotated[
    str,
    _Named(
        SUBDOMAIN_PATTERN,
        "the name of a Helm release",
        "use the name that helm list prints, in lower-case letters, digits, - and .",
        53,
        (_IMMUTABLE_RELEASE,),
    ),
]
ChartName = Annotated[
    str,
    _Named(
        "[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?",
        "the name of a chart",
        "use the name in Chart.yaml, such as airflow; the address belongs in repository",
    ),
]
ChartVersion = Annotated[
    str,
    _Named(
        "v?[0-9]+([.][0-9]+)*(-[0-9A-Za-z.-]+)?([+][0-9A-Za-z.-]+)?",
        "one exact version",
        "use the version that helm list prints after the name of the chart, such as 1.16.0",
        64,
    ),
]
RepositoryAddress = Annotated[
    str,
    _Named(
        "(https?|oci)://[!-.0-?A-~]+(/[!-~]*)?",
        "the address of a chart repository",
        "use an address that starts with https://, http:// or oci:// in lower case, without spaces "
        "and without a user or password, which belong into a Secret (credentialsSecretRef)",
        1024,
    ),
]
_VALUES_KEY: Final = "[A-Za-z0-9_][-A-Za-z0-9_]*"
ValuesPath = Annotated[
    str,
    _Named(
        f"{_VALUES_KEY}([.]{_VALUES_KEY})*",
        "a path of keys in the values of the release",
        "use the key under which the values of Airflow's chart are, which is the name or alias of "
        "that dependency, such as airflow; separate nested keys with a dot: platform.airflow",
    ),
]
UrlPath = Annotated[str, _Named(PATH_PATTERN, "a path", _PATH_REMEDY, 256)]


class SecretReference(Model):
    """A Secret in the namespace of the rollout."""

    name: SecretName = Field(description="Name of the Secret.")


class ConfigMapReference(Model):
    """A ConfigMap in the namespace of the rollout."""

    name: ConfigMapName = Field(description="Name of the ConfigMap.")


class CaReference(Model):
    """A certificate authority in a Secret or ConfigMap in the namespace of the rollout."""

    kind: Literal["Secret", "ConfigMap"] = Field(description="Kind of the object.")
    name: ObjectName = Field(description="Name of the object.")
    key: DataKey = Field(default="ca.crt", description="Key with the certificates, in PEM.")


class AirflowLogin(Model):
    """How the operator authenticates to Airflow."""

    type: Literal["Basic", "Session", "Token", "Bearer"] = Field(
        description="Basic: the password with each request (Airflow 2 with basic_auth). Session: "
        "the login form of Airflow 2 (its default, backend session). Token: POST /auth/token "
        "(Airflow 3). Bearer: the key token of the Secret as it is, for any other auth manager or "
        "proxy."
    )


_CA_WITHOUT_TLS: Final = "caRef: must be omitted unless scheme is https"
_API_RULE = cel("!has(self.caRef) || self.scheme == 'https'", _CA_WITHOUT_TLS)


class AirflowApi(Model):
    """How the operator reaches Airflow's REST API."""

    service: ServiceName = Field(
        description="Service of the Airflow web server, in the namespace of the rollout."
    )
    port: StrictInt = Field(default=8080, ge=1, le=65535, description="Port of that Service.")
    scheme: Literal["http", "https"] = Field(
        default="http", description="Scheme of that port: https if it uses TLS."
    )
    path: UrlPath = Field(
        default="",
        description="Path before /api/v1 or /api/v2, if the web server is below a path.",
    )
    ca_ref: CaReference | None = Field(
        default=None,
        description="Certificate authority for the web server's certificate, which must be valid "
        "for SERVICE.NAMESPACE.svc. The public authorities when absent.",
    )
    login: AirflowLogin | None = Field(
        default=None,
        description="How to log in. When absent, Basic for Airflow 2 and Token for Airflow 3.",
    )
    credentials_secret_ref: SecretReference = Field(
        description="Secret with the keys username and password (login Bearer: token) of an "
        "Airflow user that may read DAGs and DAG runs, pause DAGs, and edit and clear DAG runs."
    )

    @model_validator(mode="after")
    def _ca_needs_tls(self) -> "AirflowApi":
        if self.ca_ref is not None and self.scheme != "https":
            raise ValueError(_CA_WITHOUT_TLS)
        return self


class Airflow(Model):
    """The Airflow instance whose XCom backend changes."""

    release: ReleaseName = Field(
        description="Name of the Helm release of Airflow, in the namespace of the rollout. "
        "Immutable.",
    )
    api: AirflowApi = Field(description="Airflow's REST API.", json_schema_extra=_API_RULE)


class ObjectStorage(Model):
    """Settings of Airflow's object storage XCom backend (provider common.io)."""

    path: StoragePath = Field(
        description="Where values are offloaded to: scheme://connection@bucket/prefix."
    )
    compression: Literal["gzip", "zip", "bz2", "lzma", "xz", "snappy"] | None = Field(
        default=None, description="Compression of offloaded objects. None when absent."
    )


class Backend(Model):
    """The desired XCom backend."""

    type: Literal["ObjectStorage"] = Field(
        description="Kind of backend. ObjectStorage is Airflow's XComObjectStorageBackend."
    )
    object_storage: ObjectStorage = Field(description="Settings of the ObjectStorage backend.")


class Calibration(Model):
    """A threshold recommended from the sizes of the values that are in the table."""

    quantile: str = Field(
        default="0.999",
        max_length=16,
        description="Share of the inline values that should stay in the database, in quotes.",
        json_schema_extra=_QUANTILE_RULE,
    )
    margin: str = Field(
        default="2",
        max_length=16,
        description="Factor between the size at that quantile and the recommended threshold, in "
        "quotes.",
        json_schema_extra=_MARGIN_RULE,
    )

    @field_validator("quantile")
    @classmethod
    def _share(cls, value: str) -> str:
        if not re.fullmatch(QUANTILE_PATTERN, value):
            raise ValueError(f"{value!r} is not a share between 0 and 1; {_QUANTILE_REMEDY}")
        return value

    @field_validator("margin")
    @classmethod
    def _factor(cls, value: str) -> str:
        if not re.fullmatch(MARGIN_PATTERN, value):
            raise ValueError(f"{value!r} is not a factor of 1 or more; {_MARGIN_REMEDY}")
        return value


class Threshold(Model):
    """The size at or above which a value is offloaded."""

    bytes: str = Field(
        max_length=18,
        description="Size in bytes of the JSON form of a value at or above which it is offloaded, "
        "in quotes.",
        json_schema_extra=_THRESHOLD_RULE,
    )
    calibrate: Calibration | None = Field(
        default=None,
        description="Before anything is delivered, recommend a threshold from the values in the "
        "table (status.calibration). A lower threshold causes a warning and is not "
        "rejected. Nothing is recommended when absent.",
    )


class PreflightGate(Model):
    """Checks of the effective configuration, the connection and the bucket, inside the pods."""

    functional_s3: StrictBool = Field(
        default=True,
        alias="functionalS3",
        description="Also put, get, list and delete an object under the prefix.",
    )


DriftClass = Literal[
    "json-strings",
    "tuple-to-list",
    "set-type",
    "key-to-str",
    "key-order",
    "keys-refused",
    "number-type",
    "precision",
    "numpy-to-python",
    "dtype",
    "enum-to-value",
    "object-to-plain",
    "tz",
    "time-type",
    "type",
    "value",
]
"""Ways in which a value comes back changed, as the probe names them."""


class RoundTripGate(Model):
    """Values written and read back through the loaded backend, compared by value and type."""

    accepted_drift: tuple[DriftClass, ...] = Field(
        default=(),
        description="Changes of value or type that the backend makes and that you accept; see "
        "docs/probe.md. json-strings: with common-io 1.5.4 to 1.7 on Airflow 2, a string that "
        "parses as JSON, such as '123', comes back as the parsed value, from the first step of "
        "the flip on and at every threshold.",
    )
    samples_ref: ConfigMapReference | None = Field(
        default=None,
        description="ConfigMap with your own values to test, as JSON or Python files; see "
        "docs/probe.md.",
    )


class StaticAudit(Model):
    """The code in Airflow's DAG folder, read by its syntax in a pod cloned from the task pods'."""

    fail_on: Literal["High", "Medium", "Low"] = Field(
        default="High",
        description="Confidence at or above which a finding blocks the rollout: High counts only "
        "what the code shows with certainty.",
    )


class DynamicAudit(Model):
    """The values in Airflow's table, decoded in a pod cloned from the scheduler's."""

    since: Duration | None = Field(
        default=None,
        description="Audit only runs that were queued within this time, such as 720h. All runs "
        "when absent.",
    )


class AcceptedFinding(Model):
    """Findings of the audits that you accept. Every member that is given must match."""

    dag_id: Name | None = Field(default=None, description="DAG of the findings.")
    task_id: Name | None = Field(default=None, description="Task of the findings.")
    file: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None,
        description="File of the findings, relative to the DAG folder.",
    )
    kind: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Kind of value of the findings, as a finding names it."
    )
    reason: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="Why they are accepted, for later readers of the spec."
    )


class AuditGate(Model):
    """Tasks whose values would fail or change with the new backend are found before the flip."""

    static: StaticAudit | None = Field(
        default=None, description="Audit of the DAG code. None when absent."
    )
    dynamic: DynamicAudit | None = Field(
        default=None, description="Audit of the values in the table. None when absent."
    )
    accepted: Annotated[tuple[AcceptedFinding, ...], Field(max_length=256)] = Field(
        default=(),
        description="Findings that a person has reviewed and accepts. Each entry names at least a "
        "DAG or a file.",
    )
    max_age: Duration = Field(
        default="24h", description="Age at which an audit expires, such as 24h."
    )
    timeout: Duration = Field(
        default="30m", description="How long one audit may take, such as 30m."
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> "AuditGate":
        if self.static is None and self.dynamic is None:
            raise ValueError(_NO_AUDIT)
        if any(entry.dag_id is None and entry.file is None for entry in self.accepted):
            raise ValueError(_ACCEPTS_EVERYTHING)
        return self


class ProvenanceGate(Model):
    """One build in the whole release: DAGs, images and what Airflow has parsed; see
    docs/provenance.md."""

    expected_build: str = Field(
        max_length=64,
        description="The commit that everything must be from, in quotes: 7 to 64 hexadecimal "
        "digits.",
        json_schema_extra=_COMMIT_RULE,
    )
    sources: Annotated[tuple[Literal["stamp", "image", "tags"], ...], Field(max_length=3)] = Field(
        default=("stamp", "image", "tags"),
        description="What is checked: the stamp of the DAGs and the commit of the image in every "
        "pod, and the tags of the DAGs that Airflow has parsed. What cannot be seen "
        "blocks the rollout: leave out what the release does not have.",
    )
    image_labels: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=317)], ...], Field(max_length=16)
    ] = Field(
        default=(IMAGE_LABEL,),
        description="Annotations or labels of the pods that contain the image's commit.",
    )
    image_env: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=253)], ...], Field(max_length=16)
    ] = Field(
        default=(IMAGE_VARIABLE,),
        description="Environment variables of the containers that contain it.",
    )
    dags: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=250)], ...], Field(max_length=256)
    ] = Field(
        default=(),
        description="DAGs whose tags are checked. All DAGs that Airflow has parsed when empty.",
    )
    interval: Duration = Field(
        default="30s",
        description="How often the pods are checked while the gate blocks, such as 30s.",
    )
    max_age: Annotated[str, Field(max_length=32), AfterValidator(_checked_duration)] = Field(
        default="5m",
        description="Age at which a check expires, 1m or more.",
        json_schema_extra=_MINUTE_RULE,
    )

    @field_validator("expected_build")
    @classmethod
    def _commit(cls, value: str) -> str:
        if not re.fullmatch(COMMIT_PATTERN, value):
            raise ValueError(f"{value!r} is not a commit; {_COMMIT_REMEDY}")
        return value

    @field_validator("max_age")
    @classmethod
    def _minute(cls, value: str) -> str:
        if parse_duration(value) < timedelta(minutes=1):
            raise ValueError(f"{value!r} {_AT_LEAST_A_MINUTE}")
        return value

    @model_validator(mode="after")
    def _judges_something(self) -> "ProvenanceGate":
        if not self.sources:
            raise ValueError(_NOTHING_JUDGED)
        if "image" in self.sources and not self.image_labels and not self.image_env:
            raise ValueError(_NO_PLACE_NAMED)
        if self.dags and "tags" not in self.sources:
            raise ValueError(_DAGS_WITHOUT_TAGS)
        return self


_LABELED: Final = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL_KEY: Final = f"({SUBDOMAIN_PATTERN}/)?{_LABELED}"
_LABEL_KEY_REMEDY: Final = (
    "each key must be that of a label or annotation, such as istio.io/dataplane-mode: an optional "
    "DNS name and slash, then at most 63 letters, digits, -, _ and ."
)
_KEYS_RULE = cel(f"self.all(key, key.matches('^{_LABEL_KEY}$'))", _LABEL_KEY_REMEDY)
_LABELS_TAKEN: Final = (
    "tier|release|component|kubernetes_executor|airflow-worker|job-name|controller-uid"
    "|(batch[.]kubernetes[.]io|xcomrollout[.]dev)/.*"
)
_LABELS_TAKEN_REMEDY: Final = (
    "must not contain the labels tier, release, component, kubernetes_executor, airflow-worker, "
    "job-name, controller-uid or any that starts with batch.kubernetes.io/ or xcomrollout.dev/: "
    "the operator, Kubernetes and the chart identify their pods by these"
)
_LABELS_RULE = _all_of(
    _KEYS_RULE, cel(f"!self.exists(key, key.matches('^({_LABELS_TAKEN})$'))", _LABELS_TAKEN_REMEDY)
)
LabelValue = Annotated[
    str,
    _Named(
        f"({_LABELED})?",
        "the value of a label",
        "use at most 63 letters, digits, -, _ and ., with a letter or digit at both ends",
        longest=63,
    ),
]


class JobsGate(Model):
    """Additions to the pods of the operator's Jobs, so that policies and a mesh allow them."""

    labels: Annotated[dict[str, LabelValue], Field(max_length=16)] = Field(
        default={},
        description="Labels, such as istio.io/dataplane-mode: ambient. They override the "
        "operator's own sidecar.istio.io/inject: 'false'. A sidecar must be a native "
        "Kubernetes sidecar (an init container that restarts), or the Jobs do not end.",
        json_schema_extra=_LABELS_RULE,
    )
    annotations: Annotated[
        dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=16)
    ] = Field(
        default={},
        description="Annotations, such as linkerd.io/inject: ingress.",
        json_schema_extra=_KEYS_RULE,
    )

    @field_validator("labels")
    @classmethod
    def _free(cls, value: dict[str, str]) -> dict[str, str]:
        if any(re.fullmatch(_LABELS_TAKEN, key) for key in value):
            raise ValueError(_LABELS_TAKEN_REMEDY)
        return value

    @field_validator("labels", "annotations")
    @classmethod
    def _keys(cls, value: dict[str, str]) -> dict[str, str]:
        for key in value:
            if not re.fullmatch(_LABEL_KEY, key):
                raise ValueError(f"{key!r}: {_LABEL_KEY_REMEDY}")
        return value


class Gates(Model):
    """What must be proven before anything is delivered."""

    preflight: PreflightGate = Field(default=PreflightGate(), description="The preflight checks.")
    round_trip: RoundTripGate = Field(default=RoundTripGate(), description="The round trip.")
    audit: AuditGate | None = Field(
        default=None,
        description="The audits of DAG code and stored values. None when absent.",
        json_schema_extra=_AUDIT_RULE,
    )
    provenance: ProvenanceGate | None = Field(
        default=None,
        description="Requires one build in the whole release. Not checked when absent.",
        json_schema_extra=_PROVENANCE_RULE,
    )
    jobs: JobsGate = Field(
        default=JobsGate(),
        description="The pods of proofs, of audits and of the Jobs of a kill.",
    )
    max_age: Duration = Field(
        default="24h", description="Age at which a proof expires, such as 24h."
    )


class Rehearsal(Model):
    """The rehearsal of the kill-switch that must have taken place before the cut-over."""

    required: StrictBool = Field(
        default=True, description="Whether the cut-over requires a rehearsal."
    )
    mode: Literal["Attested"] = Field(
        default="Attested",
        description="Who rehearses. Attested: a person, who attests it with kubectl xbr attest.",
    )
    max_age: Duration = Field(default="720h", description="Longest validity of an attestation.")


class KillSwitch(Model):
    """The kill-switch, which reverts the rollout."""

    engaged: StrictBool = Field(
        default=False,
        description="Set to true to return to the database backend and heal the in-flight "
        "runs that hold offloaded values. kubectl xbr kill does the same.",
    )
    strategy: Literal["Retrigger", "Drain", "Rehydrate", "Immediate"] = Field(
        default="Retrigger",
        description="How in-flight runs with offloaded values are healed. Retrigger: each is "
        "stopped and run again from its start. Drain: they run to their end, no run "
        "is touched. Rehydrate: their values are copied back into the database, no "
        "run is touched. With these three, every process can read offloaded values "
        "until no run in flight needs that. Immediate: for a backend that cannot even "
        "be read, the database backend is delivered first, and a task that starts in "
        "the meantime may get a path. xbr kill --strategy overrides it.",
    )
    finished_runs: Literal["Rehydrate", "Hold", "Accept"] = Field(
        default="Rehydrate",
        description="What happens to offloaded values of finished runs, which other runs may "
        "still read (include_prior_dates, pulls across DAGs), before the database "
        "backend is delivered. Rehydrate: they are copied back into the database. "
        "Hold: the kill stays at threshold -1, where they can be read. Accept: a task "
        "that reads one gets a path.",
    )
    stop_tasks_after: Duration | None = Field(
        default=None,
        description="How long a task that started before the kill, in a run that holds no "
        "offloaded value, may continue before its run is also healed. No limit when "
        "absent: the database backend is delivered when it has ended.",
    )


class HelmChart(Model):
    """The chart of the Airflow release. It is pinned: a flip never upgrades it."""

    repository: RepositoryAddress = Field(
        description="Address of the chart repository: http(s)://... or oci://... Used once, "
        "before the first delivery, and only if the chart has enabled dependencies: "
        "everything else is in Helm's record of the release. If it does not contain "
        "the chart, such as one that is only in Git, the dependencies come from the "
        "repositories that Chart.yaml names.",
    )
    name: ChartName = Field(description="Name of the chart in the repository.")
    version: ChartVersion = Field(
        description="Version of the chart; must be the version that the release runs."
    )
    credentials_secret_ref: SecretReference | None = Field(
        default=None,
        description="Secret with the login of a private repository: the keys url, username and "
        "password, or type kubernetes.io/dockerconfigjson for oci://. It is sent only to "
        "the repository that url names, or to the registries in it.",
    )
    ca_ref: CaReference | None = Field(
        default=None,
        description="Certificate authority for the repository's certificate, trusted beside the "
        "public authorities.",
    )


class HelmDelivery(Model):
    """Delivery by helm upgrade of the release."""

    chart: HelmChart = Field(description="The chart of the release.")
    values_path: ValuesPath | None = Field(
        default=None,
        description="If Airflow's chart is a dependency of the chart of the release: the key of "
        "its values there, such as airflow, with nested keys separated by a dot. When "
        "absent, it is found from the template of the ConfigMap with airflow.cfg. The "
        "settings are written only below this key.",
    )


class Delivery(Model):
    """How the settings are delivered to Airflow."""

    type: Literal["Helm"] = Field(description="The means of delivery.")
    helm: HelmDelivery = Field(description="Settings of the Helm delivery.")


class Census(Model):
    """Tracking of the in-flight runs that hold offloaded values."""

    interval: Duration = Field(
        default="15m",
        description="How often runs are counted while the rollout is live: for the status, for "
        "estimates, and to verify that a kill can count. A kill takes its own census "
        "at once.",
    )


class RolloutSpec(Model):
    """The desired state of the rollout."""

    airflow: Airflow = Field(description="The Airflow instance.")
    backend: Backend = Field(description="The desired XCom backend.")
    threshold: Threshold = Field(description="The size at or above which values are offloaded.")
    gates: Gates = Field(default=Gates(), description="What must be proven first.")
    rehearsal: Rehearsal = Field(
        default=Rehearsal(), description="The rehearsal of the kill-switch."
    )
    kill_switch: KillSwitch = Field(
        default=KillSwitch(), description="The kill-switch, which reverts the rollout."
    )
    delivery: Delivery = Field(description="How settings reach Airflow.")
    census: Census = Field(default=Census(), description="Tracking of offloaded runs.")
    suspend: StrictBool = Field(
        default=False,
        description="Stop all steps except the kill-switch until set to false again.",
    )

    @field_validator("threshold")
    @classmethod
    def _whole_bytes(cls, value: Threshold) -> Threshold:
        if not re.fullmatch(_WHOLE_BYTES, value.bytes):
            raise ValueError(
                f"bytes: {value.bytes!r} is not a whole number of bytes; write it in quotes "
                "without a unit, for example '1048576' for 1 MiB"
            )
        return value

    def proof_max_age(self) -> timedelta:
        return parse_duration(self.gates.max_age)

    def rehearsal_max_age(self) -> timedelta:
        return parse_duration(self.rehearsal.max_age)

    def census_interval(self) -> timedelta:
        return parse_duration(self.census.interval)

    def stop_tasks_after(self) -> timedelta | None:
        text = self.kill_switch.stop_tasks_after
        return None if text is None else parse_duration(text)
