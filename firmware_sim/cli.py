"""`tuoi field`, `tuoi demo` and `tuoi replay`."""

import argparse
import sys
from pathlib import Path

from contract.errors import ConfigError
from contract.logs import start_log
from contract.settings import load_toml
from firmware_sim.settings import FieldSettings

FIELD = """The simulated field: soil, pipes, weather and batteries, and the pins of the boards in it.
Boards connect with GPIOZERO_PIN_FACTORY=sim, TUOI_FIELD_SOCKET and TUOI_FIELD_NODE."""


def main(argv: list[str]) -> int:
    """Run `field`, `demo` or `replay` with its arguments; return the exit code."""
    command, rest = (argv[0], argv[1:]) if argv else ("", [])
    if command == "demo":
        from firmware_sim.demo.cli import main as demo

        return demo(rest)
    if command == "replay":
        from firmware_sim.replay.cli import main as replay

        return replay(rest)
    if command == "field":
        return _field(rest)
    print(
        "tuoi field --config FIELD.toml | tuoi demo [--port 8080] [--data DIR] | tuoi replay SCENARIO.toml",
        file=sys.stderr,
    )
    return 2


def _field(argv: list[str]) -> int:
    parser = argparse.ArgumentParser("tuoi field", description=FIELD)
    parser.add_argument("--config", type=Path, required=True, help="field.toml; see configs/field.toml")
    settings_file = parser.parse_args(argv).config
    start_log()
    try:
        settings = load_toml(settings_file, FieldSettings)
    except ConfigError as exc:
        print(exc, file=sys.stderr)
        return 2
    from firmware_sim.field import serve

    return serve(settings)
