"""What differs between two rendered manifests, and whether a flip may change it.

A delivery may change the four options that a flip owns (in airflow.cfg or as environment
variables) and the checksums that cause pods to be replaced: nothing else. A delivery would destroy
any other difference: the patch of a post-renderer, an object that another version of the chart
created, a key that the chart generates at each upgrade.

Content never leaves this module, only kinds, names and paths: manifests hold Secrets.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.yaml_text import parse_yaml
from xcom_rollout.release.airflow_cfg import OWNED_VARIABLES, without_owned_options
from xcom_rollout.release.objects import CONFIG_KEY

What = Literal["added", "removed", "changed"]

SECRET_KEYS: Final = {
    "jwt-secret": "jwtSecret",
    "api-secret-key": "apiSecretKey",
    "webserver-secret-key": "webserverSecretKey",
}
"""Chart values by the key, in a Secret, that the official chart generates without them."""
AIRFLOW_3_KEYS: Final = frozenset({"jwt-secret", "api-secret-key"})
"""Keys that only a release of Airflow 3 has."""

MOST: Final = 5
"""Differences that a message names."""

_SEPARATOR: Final = re.compile(r"^---[^\S\n]*(?:#.*)?$", re.MULTILINE)
_SOURCE: Final = re.compile(r"^# Source: (\S+)$", re.MULTILINE)
_YAML_KEYS: Final = (".yaml", ".yml")
_ABSENT: Final = object()


@dataclass(frozen=True)
class Difference:
    """One place where two manifests differ."""

    kind: str
    name: str
    path: str
    """Such as `data[airflow.cfg][core.parallelism]`; empty for a whole object."""
    what: What
    allowed: bool
    """Whether a delivery may always change it."""
    rotated: bool = False
    """Whether it is the content of a Secret, at a key that both manifests have."""
    values_key: str = ""
    """The chart value that keeps a rotated secret; empty where it is not known."""
    of_pods: bool = False
    """Whether it is an annotation of a pod template, which a roll may change."""
    unstable: bool = False
    """Whether it differs at each render of the same values."""

    def __str__(self) -> str:
        return self.described()

    def described(self, how: str = "") -> str:
        """Return it in words; with `how` in place of what it is."""
        where = f" {self.path}" if self.path else ""
        return f"{self.kind} {self.name}{where} {how or self.what}"


def differences(before: str, after: str) -> tuple[Difference, ...]:
    """Return where `after` differs from `before`, two manifests as Helm prints them.

    A document that is not YAML is compared as text, under the name of its template.
    """
    old, new = documents(before), documents(after)
    common = set(old) & set(new)
    left = _objects(text for text in old if text not in common)
    right = _objects(text for text in new if text not in common)
    found: list[Difference] = []
    for kind, _, name in sorted(left.keys() | right.keys()):
        key = (kind, _, name)
        if key not in right:
            found.append(Difference(kind, name, "", "removed", allowed=False))
        elif key not in left:
            found.append(Difference(kind, name, "", "added", allowed=False))
        else:
            found += _compare_objects(kind, name, left[key], right[key])
    if any(_SECRET_KEY.search(text) for text in new):
        # On Airflow 3 a new key ends what the old one has signed: the tokens of running tasks.
        return tuple(found)
    return tuple(
        replace(one, allowed=True) if one.values_key == "webserverSecretKey" else one
        for one in found
    )


_SECRET_KEY: Final = re.compile(
    rf"^\s+[\"']?(?:{'|'.join(sorted(AIRFLOW_3_KEYS))})[\"']?:", re.MULTILINE
)


def mark_unstable(found: Iterable[Difference], first: str, second: str) -> tuple[Difference, ...]:
    """Return the differences, with those marked that two renders of the same values show as well.

    These are a random text or the time in a template: nobody changed the release. An annotation of
    a pod template has them so that each upgrade replaces the pods, which is allowed.
    """
    moving = {(one.kind, one.name, one.path) for one in differences(first, second)}
    return tuple(
        replace(one, unstable=True, allowed=one.allowed or one.of_pods)
        if (one.kind, one.name, one.path) in moving
        else one
        for one in found
    )


def blocking(found: Iterable[Difference]) -> tuple[Difference, ...]:
    """Return the differences that no delivery may make, forward or back."""
    return tuple(one for one in found if not one.allowed and not one.rotated)


def rotated(found: Iterable[Difference]) -> tuple[Difference, ...]:
    """Return the secrets that a delivery would change and a flip must not."""
    return tuple(one for one in found if one.rotated and not one.allowed)


def name_some(found: Iterable[Difference], how: str = "") -> str:
    """Return the first few differences in words; with `how` in place of what each is."""
    every = [one.described(how) for one in found]
    more = f" and {len(every) - MOST} more" if len(every) > MOST else ""
    return ", ".join(every[:MOST]) + more


def documents(manifest: str) -> list[str]:
    """Return the texts of the documents of a manifest, split as by Helm."""
    return [text.strip() for text in _SEPARATOR.split(manifest) if text.strip()]


def objects_of(manifest: str) -> Iterator[Json]:
    """Yield the objects of a manifest, except those that this parser cannot read: nothing is known
    about them, and Helm may read them."""
    for text in documents(manifest):
        try:
            document = parse_yaml(text)
        except ValueError:
            continue
        if not isinstance(document, dict):
            continue
        items = document.get("items")
        if str(document.get("kind")).endswith("List") and isinstance(items, list):
            yield from (item for item in items if isinstance(item, dict))
        else:
            yield document


def source_of(document: str) -> str:
    """Return the template of a document, empty where Helm does not show it."""
    source = _SOURCE.search(document)
    return source.group(1) if source else ""


def _objects(texts: Iterable[str]) -> dict[tuple[str, str, str], Any]:
    found: dict[tuple[str, str, str], Any] = {}
    for text in texts:
        try:
            document = parse_yaml(text)
        except ValueError:
            document = text
        if document is None:
            continue
        if isinstance(document, dict) and isinstance(document.get("metadata"), dict):
            metadata = document["metadata"]
            kind, name = str(document.get("kind")), str(metadata.get("name"))
            key = (kind, str(metadata.get("namespace") or ""), name)
        else:
            key = ("Template", "", source_of(text) or "without a name")
        # Two objects of one name: both count, in their order.
        while key in found:
            key = (key[0], key[1] + "'", key[2])
        found[key] = document
    return found


def _compare_objects(kind: str, name: str, old: Any, new: Any) -> Iterator[Difference]:
    for path, what, allowed in _compare(old, new, ()):
        data = kind == "Secret" and path[:1] in (("data",), ("stringData",)) and len(path) == 2
        made = data and what == "changed" and not allowed
        yield Difference(
            kind,
            name,
            _shown(path),
            what,
            allowed,
            rotated=made,
            values_key=SECRET_KEYS.get(path[1], "") if made else "",
            of_pods=_annotates_pods(kind, path),
        )


Path = tuple[str, ...]


def _compare(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, What, bool]]:
    """Yield where two values differ, with whether it may."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}, key=str):
            yield from _compare(old.get(key, _ABSENT), new.get(key, _ABSENT), (*path, str(key)))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _compare_lists(old, new, path)
    # In YAML, 1 is another value than true.
    elif old == new and type(old) is type(new):
        return
    elif _is_owned(path):
        yield path, _what(old, new), True
    elif path and isinstance(old, str) and isinstance(new, str):
        yield from _compare_texts(old, new, path)
    else:
        yield path, _what(old, new), _only_owned(old, new, path)


def _compare_lists(old: list[Any], new: list[Any], path: Path) -> Iterator[tuple[Path, What, bool]]:
    by_name = _by_name(old), _by_name(new)
    if by_name[0] is not None and by_name[1] is not None:
        yield from _compare(by_name[0], by_name[1], path)
    elif len(old) == len(new):
        for index, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from _compare(left, right, (*path, str(index)))
    else:
        yield path, "changed", False


def _by_name(items: list[Any]) -> dict[str, Any] | None:
    """Return items such as containers and environment variables by their unique names."""
    if not all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in items):
        return None
    found = {item["name"]: item for item in items}
    return found if len(found) == len(items) else None


def _compare_texts(old: str, new: str, path: Path) -> Iterator[tuple[Path, What, bool]]:
    if path[-1] == CONFIG_KEY:
        left, right = without_owned_options(old), without_owned_options(new)
        if isinstance(left, str) or isinstance(right, str):
            yield path, "changed", False
            return
        names = sorted({(s, o) for side in (left, right) for s in side for o in side[s]})
        changed = [
            (section, option)
            for section, option in names
            if left.get(section, {}).get(option, _ABSENT)
            != right.get(section, {}).get(option, _ABSENT)
        ]
        for section, option in changed:
            where = (*path, f"{section}.{option}")
            yield where, "changed", False
        if not changed:
            yield (*path, "owned options"), "changed", True
        return
    if path[-1].endswith(_YAML_KEYS):
        try:
            yield from _compare(parse_yaml(old), parse_yaml(new), (*path, "."))
        except ValueError:
            yield path, "changed", False
        return
    yield path, "changed", False


def _is_owned(path: Path) -> bool:
    if not path:
        return False
    if len(path) > 1 and path[-2] == "annotations" and path[-1].startswith("checksum/"):
        return True
    return any(part in OWNED_VARIABLES for part in path)


def _annotates_pods(kind: str, path: Path) -> bool:
    """Return whether it annotates a pod template, in a workload or in a file of a ConfigMap."""
    # The template of a Job cannot be changed.
    return (
        kind != "Job"
        and path[-3:-1] == ("metadata", "annotations")
        and (path[-4:-3] in (("template",), (".",)))
    )


def _only_owned(old: Any, new: Any, path: Path) -> bool:
    """Return whether a member was added or removed that contains only owned ones."""
    side = new if old is _ABSENT else old
    other = old if old is _ABSENT else new
    if other is not _ABSENT:
        return False
    if path and path[-1] == "annotations" and isinstance(side, Mapping):
        return all(str(key).startswith("checksum/") for key in side)
    if path and path[-1] == "env" and isinstance(side, list):
        return all(
            isinstance(item, Mapping) and item.get("name") in OWNED_VARIABLES for item in side
        )
    return False


def _what(old: Any, new: Any) -> What:
    if old is _ABSENT:
        return "added"
    return "removed" if new is _ABSENT else "changed"


def _shown(path: Path) -> str:
    """Return a path for people: `spec.template.metadata`, with brackets around odd names."""
    text = ""
    for part in path:
        if part == ".":
            continue
        plain = re.fullmatch(r"[A-Za-z0-9_-]+", part) is not None
        text += (f".{part}" if text else part) if plain and not part.isdigit() else f"[{part}]"
    return text
