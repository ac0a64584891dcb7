"""A process's configuration: one TOML file, read once into one model that refuses what it does not know."""

import json
import math
import tomllib
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from contract.codec import explain
from contract.errors import ConfigError

T = TypeVar("T")


def load_toml(path: Path, model: type[T]) -> T:
    """Return the file as `model`, a frozen pydantic model or dataclass that forbids unknown fields.

    Raise ConfigError with one sentence that names the file, the field, what was expected and what stands there.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: is not UTF-8 text: byte {exc.start} is {exc.object[exc.start]:#04x}") from None
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{path}: is not TOML: {exc}") from None
    _refuse_non_finite(table, path, "")
    try:
        # By way of JSON, so that strict models take TOML's arrays as tuples and its dates and times as they are.
        return TypeAdapter(model).validate_json(json.dumps(table, default=_plain))
    except ValidationError as exc:
        raise ConfigError(f"{path}: {explain(exc)}") from None


def _plain(value: Any) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    raise TypeError(f"TOML has no {type(value).__name__}")


def _refuse_non_finite(value: Any, path: Path, place: str) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_non_finite(inner, path, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _refuse_non_finite(inner, path, f"{place}.{number}")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{path}: {place}: a finite number is needed (got {value})")
