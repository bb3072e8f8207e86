"""The rules, in the order of their codes. A rule is a file."""

from xcom_lint.model import Rule
from xcom_lint.rules import (
    bespoke_storage,
    build_banner,
    build_event,
    build_tag,
    large_literal,
    not_serializable,
    raw_credentials,
    shared_path,
)

RULES: tuple[Rule, ...] = (
    build_banner.RULE,
    build_event.RULE,
    build_tag.RULE,
    bespoke_storage.RULE,
    shared_path.RULE,
    not_serializable.RULE,
    raw_credentials.RULE,
    large_literal.RULE,
)
BY_CODE = {rule.code: rule for rule in RULES}
