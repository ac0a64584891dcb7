"""`python -OO -m edge.guard BOARD.toml`: the guard and nothing that it does not need (-OO: no docstrings)."""

import logging
import sys
from pathlib import Path

from edge.guard.process import Guard
from edge.guard.settings import BadSettings, read_settings
from edge.hardware.errors import HardwareError
from edge.hardware.gpio import GpioHardware


def main(path: Path) -> int:
    """Guard the valves of the board until told to end; return 2 for a file or pins that cannot be used."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s level=%(levelname)s %(name)s: %(message)s")
    try:
        settings = read_settings(path)
        hardware = GpioHardware(settings.factory)
        outputs = {output.channel: hardware.valve(output.pin) for output in settings.outputs}
    except (BadSettings, HardwareError) as exc:
        print(f"tuoi edge guard: {exc}", file=sys.stderr)  # noqa: T201 - the sentence for the person who started it
        return 2
    Guard(settings, dict(outputs)).run()
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -OO -m edge.guard BOARD.toml", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    sys.exit(main(Path(sys.argv[1])))
