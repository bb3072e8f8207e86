"""Checks in advance whether the operator has the rights that `helm upgrade` of a release needs.

Helm processes a manifest object by object: it gets each one, whether or not it will differ, and
patches what differs. The first missing right stops it half-way, with Secrets and ConfigMaps
changed, no pod replaced and the release `failed`. A dry run does not show that, because it reads no
object of an existing release. So the API server is asked (SelfSubjectAccessReview). While nothing
is delivered, the rules that it returns for a namespace are enough (SelfSubjectRulesReview).

`patch` is checked for unchanged objects as well: Helm patches them back where somebody has changed
them by hand, and a kill would be the first to fail at that.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from xcom_rollout.clients.access_review import Rules, allowed, rules
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.clients.kube_path import segment
from xcom_rollout.clients.memo import Memo
from xcom_rollout.clients.parallel import in_parallel
from xcom_rollout.deliver.manifests import objects_of

_NEEDED: Final = ("get", "patch")
_NEEDED_OF_JOBS: Final = (*_NEEDED, "create")
"""An upgrade creates a Job again that its TTL has removed."""
GIVEN_BY_CHART: Final = frozenset(
    {
        "secrets",
        "configmaps",
        "services",
        "serviceaccounts",
        "persistentvolumeclaims",
        "deployments.apps",
        "statefulsets.apps",
        "jobs.batch",
        "cronjobs.batch",
        "poddisruptionbudgets.policy",
        "networkpolicies.networking.k8s.io",
        "ingresses.networking.k8s.io",
        "horizontalpodautoscalers.autoscaling",
        "roles.rbac.authorization.k8s.io",
        "rolebindings.rbac.authorization.k8s.io",
    }
)
"""What `rbac.helmDelivery.rules` of the operator's chart allows to get and patch in the namespaces
that it watches (a unit test keeps both in sync)."""
_RECORDS: Final = ("get", "list", "create", "update", "delete")
"""What Helm does to the Secrets with its own records."""
_RECORDS_TITLE: Final = "the records of its releases"
_NAMED: Final = 3
"""Objects of a kind that a message names."""


@dataclass(frozen=True)
class Resource:
    """The API resource of a kind.

    Attributes:
        group: API group; empty for the core.
        plural: such as `priorityclasses`.
        namespaced: False where objects belong to the whole cluster.
    """

    group: str
    plural: str
    namespaced: bool

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True)
class MissingRight:
    """A right over a kind of the manifest that the operator lacks.

    Attributes:
        verbs: what it may not do, in the order in which Helm does it.
        namespace: where it may not; empty for the whole cluster.
        objects: the affected ones of the manifest, such as `ResourceQuota airflow`.
        elsewhere: whether the namespace is not that of the release.
    """

    resource: Resource
    verbs: tuple[str, ...]
    namespace: str
    objects: tuple[str, ...]
    elsewhere: bool = False

    def __str__(self) -> str:
        where = f" in the namespace {self.namespace}" if self.namespace else " in the cluster"
        return (
            f"the operator is not allowed to {' or '.join(self.verbs)} {self.resource}{where}, as "
            f"helm upgrade does for {self.named}: {self.remedy}"
        )

    @property
    def named(self) -> str:
        """The first few of the objects."""
        more = f" and {len(self.objects) - _NAMED} more" if len(self.objects) > _NAMED else ""
        return f"{', '.join(self.objects[:_NAMED])}{more}"

    @property
    def remedy(self) -> str:
        """Which value of the operator's chart grants the right, with the rule."""
        rule = (
            f'{{apiGroups: ["{self.resource.group}"], resources: [{self.resource.plural}], '
            f"verbs: [{', '.join(self.verbs)}]}}"
        )
        if self.elsewhere:
            return (
                f"bind its ServiceAccount to a Role with {rule} in the namespace {self.namespace}"
            )
        value = "extraRules" if self.namespace else "clusterRules"
        return f"add to rbac.helmDelivery.{value} of the operator's chart: {rule}"


@dataclass(frozen=True)
class _Question:
    resource: Resource
    verb: str
    namespace: str
    names: tuple[str, ...]


def missing(
    api: KubeApi, memo: Memo, manifest: str, namespace: str, *, by_rules: bool = False
) -> tuple[MissingRight, ...]:
    """Return the rights that an upgrade of this release needs and the operator lacks.

    Kinds that the API server does not have are left out: Helm refuses those by name before it
    changes anything.

    Args:
        manifest: as Helm prints it. Only kinds and names of its content are returned.
        namespace: of the release.
        by_rules: whether a rule that grants a right is enough, so that one request suffices for a
            namespace; else, and for what no rule certainly grants, each right is requested.

    Raises:
        KubeError: the API server could not be asked.
    """
    kinds = _kinds(api, memo, manifest, namespace)
    questions = [*_questions(kinds), *_of_records(namespace)]
    if by_rules:
        questions = _not_granted(api, questions)
    answers = in_parallel(lambda one: _refused(api, one), questions)
    lacking: dict[tuple[Resource, str], list[tuple[str, set[str]]]] = {}
    for question, refused in zip(questions, answers, strict=True):
        if refused is not None:
            of_kind = lacking.setdefault((question.resource, question.namespace), [])
            titles = kinds.get((question.resource, question.namespace), {})
            objects = {titles[name] for name in refused} if question.names else {_RECORDS_TITLE}
            of_kind.append((question.verb, objects))
    return tuple(
        MissingRight(
            resource,
            tuple(dict.fromkeys(verb for verb, _ in found)),
            where,
            tuple(sorted(set[str]().union(*(objects for _, objects in found)))),
            elsewhere=where not in ("", namespace),
        )
        for (resource, where), found in lacking.items()
    )


def beyond_chart(
    api: KubeApi, memo: Memo, manifest: str, namespace: str
) -> tuple[MissingRight, ...]:
    """Return the rights over objects of the release that the operator's chart does not grant.

    The API server is not asked for rights: the default values of the chart decide.

    Args:
        manifest: as Helm prints it. Only kinds and names of its content are returned.
        namespace: of the release, and one of the operator's `watchNamespaces`.

    Raises:
        KubeError: the API server could not be asked which kinds it has.
    """
    return tuple(
        MissingRight(
            resource,
            _needed_of(resource),
            where,
            tuple(sorted(titles.values())),
            elsewhere=where not in ("", namespace),
        )
        for (resource, where), titles in _kinds(api, memo, manifest, namespace).items()
        if where != namespace or str(resource) not in GIVEN_BY_CHART
    )


def _kinds(
    api: KubeApi, memo: Memo, manifest: str, namespace: str
) -> dict[tuple[Resource, str], dict[str, str]]:
    """Return the objects of a manifest by kind and namespace: each with its title, by its name."""
    kinds: dict[tuple[Resource, str], dict[str, str]] = {}
    for document in objects_of(manifest):
        kind, metadata = str(document.get("kind")), document.get("metadata") or {}
        resource = _resource(api, memo, str(document.get("apiVersion")), kind)
        if resource is not None:
            where = str(metadata.get("namespace") or namespace) if resource.namespaced else ""
            name = str(metadata.get("name"))
            kinds.setdefault((resource, where), {})[name] = f"{kind} {name}"
    return kinds


def _needed_of(resource: Resource) -> tuple[str, ...]:
    return _NEEDED_OF_JOBS if str(resource) == "jobs.batch" else _NEEDED


def _resource(api: KubeApi, memo: Memo, version: str, kind: str) -> Resource | None:
    """Return the API resource of a kind; None where the API server has no such kind."""
    key = ("resource", version, kind)
    known: Resource | None = memo.find(key)
    if known is None:
        prefix = "apis" if "/" in version else "api"
        path = "/".join((prefix, *map(segment, version.split("/"))))
        for entry in (api.find(path) or {}).get("resources") or ():
            # `deployments/status` has the kind Deployment, too.
            if entry["kind"] == kind and "/" not in entry["name"]:
                group = version.rpartition("/")[0]
                known = Resource(group, entry["name"], bool(entry["namespaced"]))
                memo.put(key, known)
                break
    return known


def _questions(kinds: dict[tuple[Resource, str], dict[str, str]]) -> Iterator[_Question]:
    for (resource, where), titles in kinds.items():
        for verb in _needed_of(resource):
            yield _Question(resource, verb, where, tuple(titles))


def _of_records(namespace: str) -> Iterator[_Question]:
    secrets = Resource("", "secrets", namespaced=True)
    for verb in _RECORDS:
        yield _Question(secrets, verb, namespace, ())


def _not_granted(api: KubeApi, questions: Iterable[_Question]) -> list[_Question]:
    """Return the questions that the rules of their namespaces do not answer.

    Cluster-wide objects are not covered: the rules of a namespace do not apply to them.
    """
    left, known = [], dict[str, Rules]()
    for one in questions:
        where = one.namespace
        if where and where not in known:
            known[where] = rules(api, where)
        if not where or not known[where].allow(one.verb, one.resource.plural, one.resource.group):
            left.append(one)
    return left


def _refused(api: KubeApi, question: _Question) -> tuple[str, ...] | None:
    """Return the names of those objects for which the right is missing; None where it is granted.

    A rule may list its objects (`resourceNames`): only then is each checked. To the authorizer a
    new object has no name, so `create` is for all or none.
    """
    if _allowed(api, question, ""):
        return None
    if question.verb == "create" or not question.names:
        return question.names
    names = tuple(name for name in question.names if not _allowed(api, question, name))
    return names or None


def _allowed(api: KubeApi, question: _Question, name: str) -> bool:
    return allowed(
        api,
        question.verb,
        question.resource.plural,
        group=question.resource.group,
        namespace=question.namespace,
        name=name,
    )


def describe(found: Iterable[MissingRight]) -> str:
    """Return what is missing, in words."""
    return "; ".join(str(right) for right in found)
