"""What the guard must know, read from the board's own file with the standard library: it stays small in memory."""

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class BadSettings(ValueError):
    """The board's file cannot be used; the message names the file and the field."""


@dataclass(frozen=True, slots=True)
class Output:
    """One valve: its GPIO number, and the hard caps per run and per day in s, which nobody can extend."""

    channel: str
    pin: int
    max_open_s: float
    max_day_s: float


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """The guard's part of board.toml. `renew_s`: without a renewal for that long a valve closes."""

    factory: str
    socket: Path
    renew_s: float
    outputs: tuple[Output, ...]


def read_settings(path: Path) -> GuardSettings:
    """Read board.toml; raise BadSettings with a sentence. Fields that are the agent's are left to the agent."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise BadSettings(f"{path}: {exc}") from exc
    try:
        state_dir = Path(_text(table, "state_dir"))
        guard = _table(table, "guard", optional=True)
        valves = table.get("valve", [])
        if not isinstance(valves, list) or not valves:
            raise BadSettings("valve: at least one [[valve]] is needed")
        outputs = tuple(_output(valve, f"valve[{place}]") for place, valve in enumerate(valves))
        for name in ("channel", "pin"):
            values = [getattr(output, name) for output in outputs]
            if len(set(values)) != len(values):
                raise BadSettings(f"valve.{name}: each valve needs its own, not {values}")
        return GuardSettings(
            factory=_text(_table(table, "gpio"), "factory", "gpio."),
            socket=path.parent / state_dir / str(guard.get("socket", "guard.sock")),
            renew_s=_number(guard, "renew_s", 0.5, 60, "guard.", default=2.0),
            outputs=outputs,
        )
    except BadSettings as exc:
        raise BadSettings(f"{path}: {exc}") from None


def _output(valve: Any, where: str) -> Output:
    if not isinstance(valve, dict):
        raise BadSettings(f"{where} must be a table")
    pin = valve.get("pin")
    if not isinstance(pin, int) or isinstance(pin, bool) or not 0 <= pin <= 53:
        raise BadSettings(f"{where}.pin must be a GPIO number from 0 to 53, not {pin!r}")
    max_open_s = _number(valve, "max_open_s", 1, 86_400, f"{where}.")
    return Output(
        channel=_text(valve, "channel", f"{where}."),
        pin=pin,
        max_open_s=max_open_s,
        max_day_s=_number(valve, "max_day_s", max_open_s, 86_400, f"{where}.", default=min(86_400.0, 4 * max_open_s)),
    )


def _table(table: dict[str, Any], name: str, *, optional: bool = False) -> dict[str, Any]:
    value = table.get(name, {} if optional else None)
    if not isinstance(value, dict):
        raise BadSettings(f"{name} must be a table [{name}]")
    return value


def _text(table: dict[str, Any], name: str, where: str = "") -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value:
        raise BadSettings(f"{where}{name} must be a text, not {value!r}")
    return value


def _number(
    table: dict[str, Any], name: str, low: float, high: float, where: str, default: float | None = None
) -> float:
    value = table.get(name, default)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise BadSettings(f"{where}{name} must be between {low:g} and {high:g} s, not {value!r}")
    return float(value)
