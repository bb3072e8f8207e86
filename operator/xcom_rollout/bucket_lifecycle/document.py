"""The lifecycle configuration of a bucket as bytes: adds our rule, leaves all others unchanged.

S3 replaces the whole configuration at each write, so a write of one rule writes all of them. Rules
of others are therefore never parsed and rewritten: their bytes are cut out of the stored document
and put back unchanged. (Whether a store itself keeps the bytes is another matter; MinIO writes its
own form of what it understood.)
"""

import xml.parsers.expat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
_HEAD: Final = f'<LifecycleConfiguration xmlns="{NAMESPACE}">'.encode()
_FOOT: Final = b"</LifecycleConfiguration>"
_OWN_ID: Final = "xcom-rollout:"
# S3: an ID has at most 255 characters, a configuration at most 1,000 rules.
_LONGEST_ID: Final = 255
MOST_RULES: Final = 1000


class DocumentError(ValueError):
    """What the store returned is not a lifecycle configuration."""


@dataclass(frozen=True)
class Rule:
    """One rule, with what has to be known about it.

    Attributes:
        raw: its bytes.
        id: empty if it has none.
        prefix: of the objects that it is for; empty for all of them.
        narrowed: it is for fewer objects than the prefix says (by tags or sizes).
        enabled: whether it is in force.
        expires_after: days after which it deletes objects; None if it does not.
    """

    raw: bytes
    id: str
    prefix: str
    narrowed: bool
    enabled: bool
    expires_after: int | None


def own_id(prefix: str) -> str:
    """The ID of the rule for a prefix."""
    return f"{_OWN_ID}{prefix}"


def expiry_rule(prefix: str, days: int) -> Rule:
    """A rule that deletes objects below a prefix after some days.

    Raises:
        ValueError: the prefix is empty (the rule would be for the whole bucket) or does not end
            with a slash, it is less than a day, or the ID would be too long.
    """
    if not prefix.strip("/") or not prefix.endswith("/") or prefix.startswith("/"):
        raise ValueError(f"prefix {prefix!r}: use it with a slash only at the end, as in 'xcom/'")
    if days < 1:
        raise ValueError(f"expiry of {days} days: S3 counts whole days, from 1")
    if len(own_id(prefix)) > _LONGEST_ID:
        raise ValueError(f"prefix {prefix!r}: the rule's ID would be too long")
    raw = (
        f"<Rule><ID>{escape(own_id(prefix))}</ID>"
        f"<Filter><Prefix>{escape(prefix)}</Prefix></Filter>"
        f"<Status>Enabled</Status><Expiration><Days>{days}</Days></Expiration></Rule>"
    ).encode()
    return Rule(raw, own_id(prefix), prefix, narrowed=False, enabled=True, expires_after=days)


def rules(document: bytes) -> tuple[Rule, ...]:
    """The rules of a configuration, in its order; empty bytes are a bucket without one.

    Raises:
        DocumentError: it is not a lifecycle configuration.
    """
    if not document:
        return ()
    return tuple(_rule(document[start:end]) for start, end in _spans(document))


def merged(document: bytes, own: Rule) -> bytes:
    """The configuration with our rule: in place of the one with its ID, else at the end.

    Every other byte of `document` stays.

    Raises:
        DocumentError: it is not a lifecycle configuration, or there would be more rules than S3
            accepts.
    """
    if not document:
        return _HEAD + own.raw + _FOOT
    spans = _spans(document)
    for start, end in spans:
        found = _rule(document[start:end])
        if found.id == own.id:
            return document if same(found, own) else document[:start] + own.raw + document[end:]
    if len(spans) >= MOST_RULES:
        raise DocumentError(
            f"the bucket has {len(spans)} rules, and S3 allows at most {MOST_RULES}: remove one"
        )
    if spans:
        place = spans[-1][1]
        return document[:place] + own.raw + document[place:]
    return _HEAD + own.raw + _FOOT


def same(one: Rule, other: Rule) -> bool:
    """Whether two rules do the same, however they are written."""
    return (one.prefix, one.narrowed, one.enabled, one.expires_after) == (
        other.prefix,
        other.narrowed,
        other.enabled,
        other.expires_after,
    )


def sooner(document: bytes, own: Rule) -> tuple[Rule, ...]:
    """Rules of others that delete some of our objects sooner than ours does."""
    return tuple(
        rule
        for rule in rules(document)
        if rule.id != own.id
        and rule.enabled
        and rule.expires_after is not None
        and own.expires_after is not None
        and rule.expires_after < own.expires_after
        and (own.prefix.startswith(rule.prefix) or rule.prefix.startswith(own.prefix))
    )


def lost(before: bytes, after: bytes, own: Rule) -> tuple[Rule, ...]:
    """Rules of others in `before` whose bytes are not in `after`."""
    kept = [rule.raw for rule in rules(after)]
    return tuple(rule for rule in rules(before) if rule.id != own.id and rule.raw not in kept)


def _spans(document: bytes) -> Sequence[tuple[int, int]]:
    """Where the rules are: the first byte of each, and the one after its last."""
    found: list[tuple[int, int]] = []
    stack: list[tuple[str, int]] = []
    parser = xml.parsers.expat.ParserCreate()

    def start(name: str, _: object) -> None:
        stack.append((name, parser.CurrentByteIndex))
        if len(stack) == 1 and name.rpartition(":")[2] != "LifecycleConfiguration":
            raise DocumentError(f"the store returned <{name}> instead of a lifecycle configuration")

    def end(name: str) -> None:
        _, begin = stack.pop()
        if len(stack) == 1 and name.rpartition(":")[2] == "Rule":
            at = parser.CurrentByteIndex
            # At the closing tag, or after an element that has none.
            closing = document.startswith(b"</" + name.encode(), at)
            found.append((begin, document.index(b">", at) + 1 if closing else at))

    def refuse(*_: object) -> None:
        raise DocumentError("the lifecycle configuration declares entities, which S3 does not do")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(document, True)
    except xml.parsers.expat.ExpatError as problem:
        raise DocumentError(f"the lifecycle configuration is not valid XML: {problem}") from problem
    return found


def _rule(raw: bytes) -> Rule:
    try:
        # Entities are refused before this.
        element = ElementTree.fromstring(raw)  # noqa: S314
    except ElementTree.ParseError as problem:
        raise DocumentError(f"a lifecycle rule cannot be read on its own: {problem}") from problem
    texts = {
        "/".join(_local(step) for step in path): node.text or "" for path, node in _walk(element)
    }
    narrowing = [
        path for path in texts if path.startswith("Filter/") and not path.endswith("Prefix")
    ]
    prefix = texts.get("Filter/Prefix", texts.get("Filter/And/Prefix", texts.get("Prefix", "")))
    days = texts.get("Expiration/Days", "")
    return Rule(
        raw=raw,
        id=texts.get("ID", ""),
        prefix=prefix,
        narrowed=any(path != "Filter/And" for path in narrowing),
        enabled=texts.get("Status") == "Enabled",
        expires_after=int(days) if days.isdigit() else None,
    )


def _walk(
    element: ElementTree.Element, path: tuple[str, ...] = ()
) -> Sequence[tuple[tuple[str, ...], ElementTree.Element]]:
    found = []
    for child in element:
        here = (*path, child.tag)
        found.append((here, child))
        found.extend(_walk(child, here))
    return found


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
