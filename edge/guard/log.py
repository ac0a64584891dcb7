"""The guard's log: the format of `contract/logs.py` in a few lines, for the logging package would be 1 MB of memory."""

import json
import os
import sys
import time

_PRIORITY = {"error": "<3>", "warning": "<4>", "info": "<6>"}


def tell(level: str, text: str, *values: object) -> None:
    """Write one line to stderr: a word `name=value` of the text becomes a field, the rest is the message."""
    words = (text % values).split(" ")
    fields = [word for word in words if _is_field(word)]
    message = json.dumps(" ".join(word for word in words if word not in fields), ensure_ascii=False)
    line = " ".join([f"level={level}", "logger=edge.guard", f"msg={message}", *fields])
    print(_begin(level) + line, file=sys.stderr, flush=True)  # noqa: T201


def _is_field(word: str) -> bool:
    name, equals, value = word.partition("=")
    return bool(equals and value) and name.isidentifier() and value.isprintable() and not set(value) & set('"=\\:')


def _begin(level: str) -> str:
    """Under systemd the journal keeps the time and takes the priority; elsewhere the line has its time."""
    stat = os.fstat(2)
    if os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}":
        return _PRIORITY[level]
    return time.strftime("at=%Y-%m-%dT%H:%M:%SZ ", time.gmtime())
