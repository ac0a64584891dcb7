"""`python -OO -m edge.guard BOARD.toml`: the guard and nothing that it does not need (-OO: no docstrings).

`python -OO -m edge.guard --all-off BOARD.toml` closes every output and ends: for the service manager, after the guard.
"""

import contextlib
import ctypes
import gc
import sys
from pathlib import Path
from typing import Any

from edge.guard.log import tell
from edge.guard.process import Guard
from edge.guard.settings import BadSettings, GuardSettings, Output, SupplyOutput, read_settings
from edge.hardware.errors import HardwareError
from edge.hardware.lean import pins_only
from edge.hardware.lines import ValveOutput

USAGE = "usage: python -OO -m edge.guard [--all-off] BOARD.toml"


def main(*arguments: str) -> int:
    """Guard the valves of the board until told to end; return 2 for a file or pins that cannot be used."""
    if not arguments or arguments[:-1] not in {(), ("--all-off",)}:
        return _complain(USAGE)
    try:
        settings = read_settings(Path(arguments[-1]))
        pins_only()
        from edge.hardware.outputs import GpioLevel, load_factory

        factory = load_factory(settings.factory)
        if len(arguments) > 1:
            return _all_off(factory, settings)
        outputs = {name: _claim(factory, output) for name, output in _every(settings).items()}
        wired = settings.reserve
        reserve = GpioLevel(factory, wired.pin, active_high=wired.active_high) if wired is not None else None
    except (BadSettings, HardwareError) as exc:
        return _complain(f"tuoi edge guard: {exc}")
    _give_memory_back()
    Guard(settings, outputs, reserve).run()
    return 0


def _all_off(factory: Any, settings: GuardSettings) -> int:
    """Close every output, also when another one cannot be; return 2 if one could not."""
    failed = []
    for name, output in _every(settings).items():
        try:
            line = _claim(factory, output)
            line.set(is_open=False)
            line.close()
        except HardwareError as exc:
            failed.append(f"{name}: {exc}")
    if failed:
        return _complain(f"tuoi edge guard: not closed: {'; '.join(failed)}")
    tell("info", "all off")
    return 0


def _every(settings: GuardSettings) -> dict[str, Output | SupplyOutput]:
    """All outputs by name, supplies first."""
    outputs: dict[str, Output | SupplyOutput] = {supply.name: supply for supply in settings.supplies}
    return outputs | {output.channel: output for output in settings.outputs}


def _claim(factory: Any, output: Output | SupplyOutput) -> ValveOutput:
    from edge.hardware.outputs import GpioValve, LatchingValve

    latch = output.latch if isinstance(output, Output) else None
    if latch is None:
        return GpioValve(factory, output.pin, active_high=output.active_high)
    return LatchingValve(factory, output.pin, latch.close_pin, latch.pulse_s, active_high=output.active_high)


def _complain(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201 - for the person who started it
    return 2


def _give_memory_back() -> None:
    """Return to the kernel what loading needed for a moment: 2 MB of 22, on a board that has 512."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # glibc has it, others do without
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
