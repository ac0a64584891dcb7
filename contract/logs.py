"""Logs in one format for every process: logfmt, one line per event, `level=info logger=edge.app msg="up" node=b1`.

Call sites write a sentence with the values in it, `log.info("up node=%s", node)`: what stands after `name=` becomes a
field, the rest is the message. A value is quoted when it needs it, so that nothing that came from outside can begin a
line or a field of its own. What looks like a secret is not written. The valve guard has a writer of its own in the
same format (`edge/guard/log.py`): the logging package would be too much for it.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, TextIO

MAX_VALUE = 4000
"""Characters of one value; of a longer one, such as a traceback, the end is kept, where the error stands."""

_FIELD = re.compile(r"(?<![\w%])([A-Za-z_]\w*)=%([-#0 +]*\d*(?:\.\d+)?[a-zA-Z])")
_PLAIN = re.compile(r"[^\s\"=\\\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SECRET_NAME = re.compile(r"password|passwd|secret|token|authorization|cookie|api_?key|private_?key", re.IGNORECASE)
_SECRETS = (
    (re.compile(r"(\w+://[^\s:/@]*):[^\s/@]+@"), r"\1:***@"),  # an address with a password in it
    (re.compile(r"\b(Token|Bearer|Basic)\s+[\w.~+/=:-]{6,}", re.IGNORECASE), r"\1 ***"),
    (re.compile(r"\b(password|passwd|secret|token)(['\"]?\s*[=:]\s*['\"]?)[^\s'\",}]+", re.IGNORECASE), r"\1\2***"),
)
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def start_log(level: str = "info", environ: Mapping[str, str] = os.environ) -> None:
    """Log to stderr from now on. Under systemd the journal keeps time and priority; elsewhere a line has its time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Logfmt(journal=_to_journal(sys.stderr, environ)))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)  # noqa: FBT003 - its name in the library
    for talkative in ("apscheduler", "alembic", "uvicorn", "pymodbus"):  # they tell every wake and every request
        logging.getLogger(talkative).setLevel(logging.WARNING)


def set_level(level: str) -> None:
    """Say more or less from now on: debug, info or warning."""
    logging.getLogger().setLevel(level.upper())


class Logfmt(logging.Formatter):
    """One record, one line. `journal`: the line begins with journald's priority `<6>`, else with the time."""

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        begin = f"<{_PRIORITY.get(record.levelno, 6)}>" if self._journal else f"at={_time(record.created)} "
        fields = {"level": record.levelname.lower(), "logger": record.name, **said(record.msg, record.args)}
        if record.exc_info:
            fields["exc"] = self.formatException(record.exc_info)
        return begin + " ".join(f"{name}={value(name, each)}" for name, each in fields.items())


def said(template: object, args: Any) -> dict[str, str]:
    """Return the message and the fields of what a call site said; never raise for what does not fit together."""
    text = str(template)
    values = args if isinstance(args, tuple) else () if args is None else (args,)
    pieces = _pieces(text)
    if isinstance(args, Mapping) or len(values) != sum(1 for _, form in pieces if form):
        try:
            return {"msg": text % args if args else text}
        except (TypeError, ValueError, KeyError):
            return {"msg": text, "args": repr(args)}
    left = iter(values)
    message: list[str] = []
    fields: dict[str, str] = {}
    for name, form in pieces:
        if not form:
            message.append(name)
            continue
        given = next(left)
        try:
            shown = form % (given,)
        except (TypeError, ValueError):
            shown = repr(given)
        if not name:
            message.append(shown)
        else:
            fields[f"{name}_" if name in {"at", "level", "logger", "msg", "exc"} else name] = shown
    # "guard lost path=%s: %s" has its field in the middle; what follows is the reason.
    whole = re.sub(r"\s+([:;,.)])", r"\1", " ".join("".join(message).split(" "))).strip()
    return {"msg": re.sub(r" {2,}", " ", whole), **fields}


def value(name: str, text: str) -> str:
    """Return one value as it stands in a line: without secrets, bounded, quoted if it must be."""
    if _SECRET_NAME.search(name):
        return "***"
    for secret, instead in _SECRETS:
        text = secret.sub(instead, text)
    if len(text) > MAX_VALUE:
        text = "..." + text[-MAX_VALUE:]
    if _PLAIN.fullmatch(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", quoted)


@cache
def _pieces(text: str) -> tuple[tuple[str, str], ...]:
    """Split a template into (literal, ""), (field name, its form) and ("", a form in the sentence)."""
    pieces: list[tuple[str, str]] = []
    at = 0
    for found in re.finditer(rf"{_FIELD.pattern}|%([-#0 +]*\d*(?:\.\d+)?[a-zA-Z]|%)", text):
        pieces.append((text[at : found.start()], ""))
        name, form, other = found.groups()
        pieces.append(("%", "") if other == "%" else (name or "", f"%{form or other}"))
        at = found.end()
    pieces.append((text[at:], ""))
    return tuple(pieces)


def _time(created_s: float) -> str:
    return datetime.fromtimestamp(created_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _to_journal(stderr: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether stderr is the stream that systemd gave us (JOURNAL_STREAM is its device and inode)."""
    try:
        stat = os.fstat(stderr.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"
