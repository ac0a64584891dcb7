"""What a look at a board found: one finding for each thing, and what they come to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum


class Verdict(IntEnum):
    """How bad; the worst of all is the exit code."""

    OK = 0
    LOOK = 1
    BROKEN = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: `part` and `what` say of what; `code` names the sentence, and with `.do` the one of what to do."""

    part: str
    what: str
    verdict: Verdict
    code: str
    params: dict[str, float | str] = field(default_factory=dict)


def ok(part: str, what: str, code: str, **params: float | str) -> Finding:
    """All is well."""
    return Finding(part, what, Verdict.OK, code, params)


def look(part: str, what: str, code: str, **params: float | str) -> Finding:
    """A person should look."""
    return Finding(part, what, Verdict.LOOK, code, params)


def broken(part: str, what: str, code: str, **params: float | str) -> Finding:
    """It does not do what it is for."""
    return Finding(part, what, Verdict.BROKEN, code, params)


def worst(findings: Iterable[Finding]) -> Verdict:
    """Return what they come to."""
    return max((finding.verdict for finding in findings), default=Verdict.OK)
