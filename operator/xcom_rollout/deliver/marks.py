"""The label by which the operator recognizes its own revisions."""

from collections.abc import Iterator
from contextlib import contextmanager

from xcom_rollout.api import names
from xcom_rollout.clients.kube import KubeApi
from xcom_rollout.decide.observed import Maker
from xcom_rollout.deliver.release import StoredRelease, secrets_path


def mark_of(instance: str, revision: int) -> str:
    """Return the value of the label by which the operator recognizes its own revisions."""
    return f"{instance}-r{revision}"


def maker_of(stored: StoredRelease, instance: str) -> Maker:
    """Return who started the revision. Helm inherits labels, hence the number in the mark."""
    maker, _, revision = stored.mark.rpartition("-r")
    if revision != str(stored.revision):
        return Maker.OTHER
    return Maker.SELF if maker == instance else Maker.OPERATOR


@contextmanager
def marked(api: KubeApi, namespace: str, target: StoredRelease, mark: str) -> Iterator[None]:
    """Give the operator's mark to the revision that a rollback to `target` creates.

    `helm rollback` accepts no labels: the new revision inherits those of the target, for which the
    mark is not valid, as its number is that of another revision.
    """
    path = secrets_path(namespace, target.secret)
    _label(api, path, mark)
    try:
        yield
    finally:
        _label(api, path, target.mark)


def _label(api: KubeApi, path: str, mark: str) -> None:
    found = api.find(path)
    if found is None:
        return
    labels = found["metadata"].setdefault("labels", {})
    if labels.get(names.LABEL_DELIVERY, "") == mark:
        return
    labels.pop(names.LABEL_DELIVERY, None)
    if mark:
        labels[names.LABEL_DELIVERY] = mark
    api.replace(path, found)
