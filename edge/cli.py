"""`tuoi edge`: the two processes of a board, and what a technician does at its bench."""

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

  guard      a tiny process that owns the valves' lines. It closes each at its deadline, when the agent goes silent,
             when it is told to, when it starts and when it ends.
  agent      reads probes and meters, keeps the timetable, speaks with the gateway, and asks the guard to open.

and two commands for the technician:

  check      looks at everything that is wired and everything around it, and says what to do where something is wrong.
  calibrate  teaches a probe its own soil, and writes that into board.toml."""

EXAMPLE = """\
example:
  cp configs/board.toml /etc/tuoi/board.toml      then set farm_id, node_id, pins and the broker
  tuoi edge agent --config /etc/tuoi/board.toml --check
  sudo tuoi edge check --config /etc/tuoi/board.toml
  sudo tuoi edge check --config /etc/tuoi/board.toml --click v1
  sudo tuoi edge calibrate --config /etc/tuoi/board.toml --sensor soil-1
  sudo systemctl enable --now tuoi-guard tuoi-agent

exit code: 0 after SIGTERM or Ctrl-C, 1 when a new life is needed, 2 when the configuration or the pins
are at fault; `check` has its own (--help)"""

PARTS = {
    "guard": "holds the valves, closes them at their deadline whatever happens",
    "agent": "reads the probes, waters by its timetable, tells the gateway; SIGHUP reads the file again",
}


def main(argv: list[str]) -> int:
    """Run `tuoi edge ...`; return the exit code."""
    from edge.bench import calibrating, checking

    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="tuoi edge", description=ABOUT, epilog=EXAMPLE, formatter_class=raw)
    parts = parser.add_subparsers(dest="part", required=True, metavar="guard|agent|check|calibrate")
    for name, what in PARTS.items():
        part = parts.add_parser(name, help=what, description=f"The board's {name}: {what}.")
        part.add_argument("--check", action="store_true", help="only read the configuration, say what is in it, end")
        if name == "guard":
            part.add_argument("--all-off", action="store_true", help="close every output and end")
        part.set_defaults(run=_check if name == "check" else None)
    for bench in (checking, calibrating):
        made = parts.add_parser(
            bench.NAME, help=bench.HELP, description=bench.ABOUT, epilog=bench.EXAMPLE, formatter_class=raw
        )
        bench.add_options(made)
    for part in parts.choices.values():
        part.add_argument("--config", type=Path, required=True, metavar="FILE", help="board.toml")
    args = parser.parse_args(argv)
    if args.part == checking.NAME:
        return checking.main(args)
    if args.part == calibrating.NAME:
        return calibrating.main(args)
    if args.check:
        return _check(args.config)
    return _guard(args.config, all_off=args.all_off) if args.part == "guard" else _agent(args.config)


def _check(path: Path) -> int:
    from contract.errors import ConfigError

    try:
        board = read_board(path)
    except ConfigError as exc:
        return _complain(str(exc))
    print(
        f"farm {board.farm_id}, node {board.node_id}, {len(board.valve)} valves and "
        f"{len(board.supply)} supplies on {board.gpio.factory}, "
        f"{len(board.probe)} probes, broker at {board.mqtt.host}:{board.mqtt.port}, state in {board.state_dir}"
    )
    return 0


def read_board(path: Path) -> "BoardSettings":
    """Read board.toml as both processes do; raise ConfigError."""
    from contract.errors import ConfigError
    from edge.config import load_board
    from edge.guard.settings import BadSettings, read_settings

    board = load_board(path)
    try:
        read_settings(path)
    except BadSettings as exc:
        raise ConfigError(str(exc)) from exc
    return board


def _guard(path: Path, *, all_off: bool) -> int:
    # In place of this process, which has loaded more than a guard needs; -OO leaves the docstrings out of memory.
    options = ["--all-off"] if all_off else []
    os.execv(sys.executable, [sys.executable, "-OO", "-m", "edge.guard", *options, str(path)])  # noqa: S606


def _agent(path: Path) -> int:
    from contract.errors import ConfigError, ContractError, StoreUnavailable
    from contract.logs import start_log
    from edge.config import load_board
    from edge.hardware.errors import HardwareError
    from edge.hardware.gpio import GpioHardware

    try:
        settings = load_board(path)
        start_log(settings.log)
        hardware = GpioHardware(settings.gpio.factory)
        asyncio.run(_run(settings, hardware, path))
    except StoreUnavailable as exc:
        _complain(str(exc))
        return 1  # not the configuration: the service manager begins a new life
    except (ConfigError, ContractError, HardwareError) as exc:
        return _complain(str(exc))
    return 0


async def _run(settings: "BoardSettings", hardware: "Hardware", path: Path) -> None:
    from contract.service import notify, watched
    from edge.app import Agent
    from edge.heartbeat import beat

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    agent = Agent(settings, hardware)
    loop.add_signal_handler(signal.SIGHUP, agent.reread, lambda: read_board(path))
    beating = asyncio.create_task(beat(), name="heartbeat")
    try:
        async with watched():
            notify("READY=1")
            await agent.run(stop)
    finally:
        beating.cancel()


def _complain(sentence: str) -> int:
    print(f"tuoi edge: {sentence}", file=sys.stderr)
    return 2
