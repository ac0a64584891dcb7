"""`tuoi edge guard` and `tuoi edge agent`: the two processes of a board."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.config import BoardSettings
    from edge.hardware.ports import Hardware

ABOUT = """\
One board in the field is two processes that read the same board.toml:

  guard   a tiny process that owns the valves' lines. It closes each at its deadline, when the agent goes silent,
          when it is told to, when it starts and when it ends.
  agent   reads probes and meters, keeps the timetable, speaks with the gateway, and asks the guard to open."""

EXAMPLE = """\
example:
  cp configs/board.toml /etc/tuoi/board.toml      then set farm_id, node_id, pins and the broker
  tuoi edge agent --config /etc/tuoi/board.toml --check
  tuoi edge guard --config /etc/tuoi/board.toml
  tuoi edge agent --config /etc/tuoi/board.toml

exit code: 0 after SIGTERM or Ctrl-C, 2 when the configuration or the pins are at fault"""


def main(argv: list[str]) -> int:
    """Run `tuoi edge ...`; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="tuoi edge", description=ABOUT, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["guard", "agent"], help="which of the board's two processes")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="board.toml")
    parser.add_argument("--check", action="store_true", help="only read the configuration, say what is in it, and end")
    args = parser.parse_args(argv)
    return _check(args.config) if args.check else _guard(args.config) if args.part == "guard" else _agent(args.config)


def _check(path: Path) -> int:
    from contract.errors import ConfigError
    from edge.config import load_board
    from edge.guard.settings import BadSettings, read_settings

    try:
        board = load_board(path)
        read_settings(path)
    except (ConfigError, BadSettings) as exc:
        return _complain(str(exc))
    print(
        f"farm {board.farm_id}, node {board.node_id}, {len(board.valve)} valves on {board.gpio.factory}, "
        f"{len(board.probe)} probes, broker at {board.mqtt.host}:{board.mqtt.port}, state in {board.state_dir}"
    )
    return 0


def _guard(path: Path) -> int:
    # In place of this process, which has loaded more than a guard needs; -OO leaves the docstrings out of memory.
    os.execv(sys.executable, [sys.executable, "-OO", "-m", "edge.guard", str(path)])  # noqa: S606


def _agent(path: Path) -> int:
    from contract.errors import ConfigError, ContractError
    from contract.logs import start_log
    from edge.config import load_board
    from edge.hardware.errors import HardwareError
    from edge.hardware.gpio import GpioHardware

    start_log()
    try:
        settings = load_board(path)
        hardware = GpioHardware(settings.gpio.factory)
        asyncio.run(_run(settings, hardware))
    except (ConfigError, ContractError, HardwareError) as exc:
        return _complain(str(exc))
    return 0


async def _run(settings: "BoardSettings", hardware: "Hardware") -> None:
    from contract.service import notify, watched
    from edge.app import Agent

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    agent = Agent(settings, hardware)
    async with watched():
        notify("READY=1")
        await agent.run(stop)


def _complain(sentence: str) -> int:
    print(f"tuoi edge: {sentence}", file=sys.stderr)
    return 2
