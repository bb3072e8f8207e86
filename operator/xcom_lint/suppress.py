"""Comments that accept a finding where it stands: `# xcl: ignore[XCL004] reason`.

`# noqa: XCL004 -- reason` means the same. A reason is required: a suppression without one accepts
nothing, and is a finding itself; so is one with nothing to accept.
"""

import io
import re
import tokenize
from dataclasses import dataclass

_XCL = re.compile(r"#\s*xcl:\s*ignore\[([^\]]*)\]\s*(.*)")
_NOQA = re.compile(r"#\s*noqa:\s*([A-Z0-9, ]*XCL[A-Z0-9, ]*)(?:\s*--\s*(.*))?", re.IGNORECASE)
# Reading tokens takes longer than parsing: only where one of them may be a suppression.
_POSSIBLE = re.compile(rb"#\s*(xcl:\s*ignore\[|noqa:[^\n]*XCL)", re.IGNORECASE)
_CODE = re.compile(r"XCL\d+")


@dataclass(frozen=True)
class Suppression:
    """One comment.

    Attributes:
        line: that it stands in, from 1.
        codes: of the rules that it is for.
        reason: empty if there is none.
    """

    line: int
    codes: frozenset[str]
    reason: str


def suppressions(data: bytes) -> list[Suppression]:
    """The suppressions of a file that has been parsed without an error."""
    if not _POSSIBLE.search(data):
        return []
    found = []
    for token in tokenize.tokenize(io.BytesIO(data).readline):
        if token.type == tokenize.COMMENT:
            match = _XCL.search(token.string) or _NOQA.search(token.string)
            if match:
                codes = frozenset(_CODE.findall(match[1].upper()))
                found.append(Suppression(token.start[0], codes, (match[2] or "").strip()))
    return found
