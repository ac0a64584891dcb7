"""`python -OO -m edge.guard BOARD.toml`: the guard and nothing that it does not need (-OO: no docstrings)."""

import ctypes
import gc
import sys
from pathlib import Path

from edge.guard.process import Guard
from edge.guard.settings import BadSettings, read_settings
from edge.hardware.errors import HardwareError
from edge.hardware.lean import pins_only


def main(path: Path) -> int:
    """Guard the valves of the board until told to end; return 2 for a file or pins that cannot be used."""
    try:
        settings = read_settings(path)
        pins_only()
        from edge.hardware.outputs import GpioValve, load_factory

        factory = load_factory(settings.factory)
        outputs = {output.channel: GpioValve(factory, output.pin) for output in settings.outputs}
    except (BadSettings, HardwareError) as exc:
        print(f"tuoi edge guard: {exc}", file=sys.stderr)  # noqa: T201 - the sentence for the person who started it
        return 2
    give_memory_back()
    Guard(settings, dict(outputs)).run()
    return 0


def give_memory_back() -> None:
    """Return to the kernel what loading needed for a moment: 2 MB of 22, on a board that has 512."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, others do without
    if trim is not None:
        trim(0)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -OO -m edge.guard BOARD.toml", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    sys.exit(main(Path(sys.argv[1])))
