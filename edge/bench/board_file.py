"""board.toml changed by a program as a careful person would: one value, all else as it stood, the old one kept."""

import copy
import os
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from contract.errors import ConfigError


@dataclass(frozen=True, slots=True)
class _Statement:
    """A header (`header`: what is between its brackets) or an assignment (`key`, and where its value stands)."""

    end: int
    header: str = ""
    key: str = ""
    value: tuple[int, int] = (0, 0)


def with_points(text: str, sensor: str, points: Sequence[tuple[float, float]]) -> str:
    """Return the file's text with other `points` in the [[probe]] of that name; raise ConfigError.

    Comments and everything else stay. What comes out is read back: it must say what was there but for these points.
    """
    wanted = tomllib.loads(text)
    places = [probe for probe in wanted.get("probe", []) if probe.get("sensor") == sensor]
    if not places:
        known = ", ".join(str(probe.get("sensor")) for probe in wanted.get("probe", [])) or "none"
        raise ConfigError(f"there is no [[probe]] with sensor {sensor!r}; there is {known}")
    places[0]["points"] = [list(point) for point in points]
    value = "[" + ", ".join(f"[{share!r}, {pct!r}]" for share, pct in points) + "]"
    edited = _put(text, sensor, value)
    with suppress(tomllib.TOMLDecodeError):
        if edited is not None and tomllib.loads(edited) == wanted:
            return edited
    raise ConfigError(f"the [[probe]] {sensor!r} is written in a way that only a person can change: points = {value}")


def replace(path: Path, old: str, new: str, validate: Callable[[Path], Any], now: datetime) -> Path:
    """Put `new` in the place of `old` in one step, once `validate` has taken it; return where the old one is kept.

    Raise ConfigError, with the file as it was, when it is refused, was changed meanwhile, or cannot be written.
    """
    kept = path.with_name(f"{path.name}.{now:%Y%m%dT%H%M%SZ}.bak")
    draft = path.with_name(f".{path.name}.new")
    try:
        stat = path.stat()
        _write(draft, new, stat)
        validate(draft)
        if path.read_text(encoding="utf-8") != old:
            raise ConfigError(f"{path} was changed by somebody else meanwhile; nothing is written, start again")
        _write(kept, old, stat)
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written: {exc.strerror}") from exc
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return kept


def _write(path: Path, text: str, like: os.stat_result) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        os.fchmod(file.fileno(), like.st_mode & 0o7777)
        if os.geteuid() == 0:
            os.fchown(file.fileno(), like.st_uid, like.st_gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _put(text: str, sensor: str, value: str) -> str | None:
    """Put the value into the table of that sensor; None if there is no table of its own with a name in it."""
    named: _Statement | None = None
    points: _Statement | None = None
    in_probe = False
    for one in [*_statements(text), _Statement(len(text), header="end")]:
        if one.header:
            if named is not None:
                break
            in_probe, points = one.header.replace(" ", "") == "[probe]", None
        elif in_probe and one.key == "points":
            points = one
        elif in_probe and one.key == "sensor" and _read(text, one) == sensor:
            named = one
    if named is None:
        return None
    if points is not None:
        return text[: points.value[0]] + value + text[points.value[1] :]
    return text[: named.end] + f"\npoints = {value}" + text[named.end :]


def _read(text: str, one: _Statement) -> Any:
    return copy.copy(tomllib.loads(f"value = {text[slice(*one.value)]}")["value"])


def _statements(text: str) -> Iterator[_Statement]:
    at = 0
    while at < len(text):
        line_end = _line_end(text, at)
        line = text[at:line_end].strip()
        if line.startswith("["):
            yield _Statement(line_end, header=line.partition("#")[0].strip()[1:-1])
            at = line_end + 1
        elif "=" not in line or line.startswith("#"):
            at = line_end + 1
        else:
            begin = text.index("=", at) + 1
            while text[begin] in " \t":
                begin += 1
            end = _value_end(text, begin)
            line_end = _line_end(text, end)
            yield _Statement(line_end, key=text[at : text.index("=", at)].strip(), value=(begin, end))
            at = line_end + 1


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    end = len(text) if found < 0 else found
    return end - 1 if text[at:end].endswith("\r") else end


def _value_end(text: str, at: int) -> int:
    """Where a value ends: at a comment or the end of the line, outside of strings and brackets."""
    depth, end = 0, at
    while at < len(text):
        char = text[at]
        if char in "\"'":
            at = end = _string_end(text, at)
            continue
        if char in {"#", "\n"}:
            if depth == 0:
                return end
            at = text.find("\n", at) if char == "#" else at + 1
            if at < 0:
                return end
            continue
        depth += (char in "[{") - (char in "]}")
        at += 1
        if not char.isspace():
            end = at
    return end


def _string_end(text: str, at: int) -> int:
    quote = text[at] * 3 if text.startswith(text[at] * 3, at) else text[at]
    at += len(quote)
    while at < len(text) and not text.startswith(quote, at):
        at += 2 if text[at] == "\\" and quote[0] == '"' else 1
    return at + len(quote)
