"""The findings on paper: a table for a technician, JSON for a program."""

import json
import textwrap
from collections.abc import Sequence

from edge.bench.findings import Finding, Verdict, worst
from edge.bench.language import Words

_COLOUR = {Verdict.OK: "32", Verdict.LOOK: "33", Verdict.BROKEN: "31"}


def table(findings: Sequence[Finding], words: Words, *, width: int = 100, colour: bool = False) -> str:
    """Return the rows under one another; what to do stands below what was seen."""
    verdicts = {verdict: words.say(f"verdict.{verdict.name.lower()}") for verdict in Verdict}
    names = [f"{words.say(f'part.{finding.part}')} {finding.what}".strip() for finding in findings]
    first, second = max(map(len, verdicts.values())), max(map(len, names), default=0)
    rest = max(30, width - first - second - 4)
    lines: list[str] = []
    for finding, name in zip(findings, names, strict=True):
        mark = f"{verdicts[finding.verdict]:<{first}}"
        if colour:
            mark = f"\x1b[{_COLOUR[finding.verdict]}m{mark}\x1b[0m"
        shown = textwrap.wrap(seen(finding, words), rest) or [""]
        if advice := todo(finding, words):
            shown += textwrap.wrap("→ " + advice, rest, subsequent_indent="  ")
        lines.append(f"{mark}  {name:<{second}}  {shown[0]}")
        lines += [" " * (first + second + 4) + line for line in shown[1:]]
    return "\n".join(lines)


def seen(finding: Finding, words: Words) -> str:
    """Return the sentence about what was seen."""
    return words.say(f"check.{finding.code}", **finding.params)


def todo(finding: Finding, words: Words) -> str:
    """Return what to do about it; empty if nothing is to be done."""
    key = f"check.{finding.code}.do"
    return words.say(key, what=finding.what, **finding.params) if words.has(key) else ""


def as_json(node: str, findings: Sequence[Finding], words: Words) -> str:
    """Return one object: the verdict over all, and every finding with its stable code and its sentences."""
    rows = [
        {
            "part": one.part,
            "what": one.what,
            "verdict": one.verdict.name.lower(),
            "code": one.code,
            "params": one.params,
            "seen": seen(one, words),
            "do": todo(one, words),
        }
        for one in findings
    ]
    body = {"node": node, "verdict": worst(findings).name.lower(), "findings": rows}
    return json.dumps(body, ensure_ascii=False, indent=2)
