"""What the guard must know, read from the board's own file with the standard library: it stays small in memory."""

import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

PULSES_MOST_S = 1.5
"""All latching valves one after another: the agent takes a guard that is silent for 2 s for frozen."""


class BadSettings(ValueError):
    """The board's file cannot be used; the message names the file and the field."""


@dataclass(frozen=True, slots=True)
class Latch:
    """The other half of a latching valve: the pin that closes it, its pulse in s, how often closing is repeated."""

    close_pin: int
    pulse_s: float
    reclose_s: float


@dataclass(frozen=True, slots=True)
class Output:
    """One valve: its GPIO number, and the hard caps per run and per day in s, which nobody can extend."""

    channel: str
    pin: int
    max_open_s: float
    max_day_s: float
    active_high: bool = True
    supply: str | None = None
    latch: Latch | None = None


@dataclass(frozen=True, slots=True)
class SupplyOutput:
    """A pump or master valve that several valves share: hard caps, and delays in s against its valve (the table)."""

    name: str
    pin: int
    max_open_s: float
    max_day_s: float
    active_high: bool = True
    start_after_s: float = 0.0
    stop_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reserve:
    """The input that says whether there is charge enough to close every latching valve."""

    pin: int
    active_high: bool = True


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """The guard's part of board.toml. `renew_s`: without a renewal for that long a valve closes."""

    factory: str
    state_dir: Path
    socket: Path
    renew_s: float
    outputs: tuple[Output, ...]
    supplies: tuple[SupplyOutput, ...] = ()
    reserve: Reserve | None = None


def read_settings(path: Path) -> GuardSettings:
    """Read board.toml; raise BadSettings with a sentence. Fields that are the agent's are left to the agent."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise BadSettings(f"{path}: {exc}") from exc
    try:
        state_dir = path.parent / _text(table, "state_dir")
        guard = _table(table, "guard", optional=True)
        outputs = _each(table, "valve", _output)
        if not outputs:
            raise BadSettings("valve: at least one [[valve]] is needed")
        settings = GuardSettings(
            factory=_text(_table(table, "gpio"), "factory", "gpio."),
            state_dir=state_dir,
            socket=state_dir / str(guard.get("socket", "guard.sock")),
            renew_s=_number(guard, "renew_s", 0.5, 60, "guard.", default=2.0),
            outputs=outputs,
            supplies=_each(table, "supply", _supply),
            reserve=_reserve(_table(table, "reserve")) if "reserve" in table else None,
        )
        _check(settings)
    except BadSettings as exc:
        raise BadSettings(f"{path}: {exc}") from None
    return settings


def _check(settings: GuardSettings) -> None:
    names = [output.channel for output in settings.outputs] + [supply.name for supply in settings.supplies]
    latches = [output.latch for output in settings.outputs if output.latch is not None]
    pins = [output.pin for output in settings.outputs] + [supply.pin for supply in settings.supplies]
    pins += [latch.close_pin for latch in latches]
    pins += [settings.reserve.pin] if settings.reserve is not None else []
    for what, values in (("channel", names), ("pin", pins)):
        if len(set(values)) != len(values):
            raise BadSettings(f"{what}: each needs its own, not {values}")
    for output in settings.outputs:
        if output.supply is not None and output.supply not in names[len(settings.outputs) :]:
            raise BadSettings(f"valve {output.channel}: there is no [[supply]] {output.supply!r}")
    if latches and settings.reserve is None:
        raise BadSettings("valve.latch needs [reserve]: a valve that stays open without current must be able to close")
    if sum(latch.pulse_s for latch in latches) > PULSES_MOST_S:
        raise BadSettings(f"valve.latch.pulse_ms: all pulses together must be {PULSES_MOST_S * 1000:g} ms at most")


def _each(table: dict[str, Any], name: str, read: Callable[[dict[str, Any], str], T]) -> tuple[T, ...]:
    parts = table.get(name, [])
    if not isinstance(parts, list):
        raise BadSettings(f"{name} must be given as [[{name}]]")
    for place, part in enumerate(parts):
        if not isinstance(part, dict):
            raise BadSettings(f"{name}[{place}] must be a table")
    return tuple(read(part, f"{name}[{place}].") for place, part in enumerate(parts))


def _output(valve: dict[str, Any], where: str) -> Output:
    max_open_s, max_day_s = _caps(valve, where)
    return Output(
        channel=_text(valve, "channel", where),
        pin=_pin(valve, "pin", where),
        max_open_s=max_open_s,
        max_day_s=max_day_s,
        active_high=_flag(valve, "active_high", where),
        supply=_text(valve, "supply", where) if "supply" in valve else None,
        latch=_latch(_table(valve, "latch"), f"{where}latch.") if "latch" in valve else None,
    )


def _latch(latch: dict[str, Any], where: str) -> Latch:
    return Latch(
        close_pin=_pin(latch, "close_pin", where),
        pulse_s=_number(latch, "pulse_ms", 10, 200, where, default=60.0, unit="ms") / 1000,
        reclose_s=_number(latch, "reclose_s", 60, 86_400, where, default=600.0),
    )


def _supply(supply: dict[str, Any], where: str) -> SupplyOutput:
    max_open_s, max_day_s = _caps(supply, where)
    return SupplyOutput(
        name=_text(supply, "name", where),
        pin=_pin(supply, "pin", where),
        max_open_s=max_open_s,
        max_day_s=max_day_s,
        active_high=_flag(supply, "active_high", where),
        start_after_s=_number(supply, "start_after_s", -60, 60, where, default=0.0),
        stop_after_s=_number(supply, "stop_after_s", -60, 60, where, default=0.0),
    )


def _reserve(reserve: dict[str, Any]) -> Reserve:
    return Reserve(_pin(reserve, "pin", "reserve."), _flag(reserve, "active_high", "reserve."))


def _caps(table: dict[str, Any], where: str) -> tuple[float, float]:
    max_open_s = _number(table, "max_open_s", 1, 86_400, where)
    usual_s = min(86_400.0, 4 * max_open_s)
    return max_open_s, _number(table, "max_day_s", max_open_s, 86_400, where, default=usual_s)


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


def _pin(table: dict[str, Any], name: str, where: str) -> int:
    value = table.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 53:
        raise BadSettings(f"{where}{name} must be a GPIO number from 0 to 53, not {value!r}")
    return value


def _flag(table: dict[str, Any], name: str, where: str) -> bool:
    value = table.get(name, True)
    if not isinstance(value, bool):
        raise BadSettings(f"{where}{name} must be true or false, not {value!r}")
    return value


def _number(
    table: dict[str, Any],
    name: str,
    low: float,
    high: float,
    where: str,
    default: float | None = None,
    unit: str = "s",
) -> float:
    value = table.get(name, default)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise BadSettings(f"{where}{name} must be between {low:g} and {high:g} {unit}, not {value!r}")
    return float(value)
