"""`tuoi edge check`: a look at everything that is wired and everything around it, as a table with what to do."""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bench.language import LANGUAGES, Words, choose

if TYPE_CHECKING:
    from edge.bench.findings import Finding
    from edge.bench.running import Running
    from edge.config import BoardSettings

NAME = "check"
HELP = "looks at everything that is wired and around it, and says what to do; opens no valve without --click"
ABOUT = """\
Looks at one board as a technician would: guard and agent, kernel, pins (free, or held by whom), buses and what answers
on them, every probe raw and converted, meters, clock, disk, database and broker. Each row says OK, LOOK or BROKEN, and
what to do. Nothing is opened, written or disturbed; a guard and an agent that run go on.

--click opens a valve for a second and a half so that you can hear it, one after the other, always by a valve guard that
closes it whatever happens to this command: the one that runs, or one that is started for it. Not while the agent runs:
stop it first, and it is refused while a watering is under way. On a terminal you are asked whether you heard it."""
EXAMPLE = """\
example:
  sudo tuoi edge check --config /etc/tuoi/board.toml
  sudo systemctl stop tuoi-agent
  sudo tuoi edge check --config /etc/tuoi/board.toml --click v1        or: --click all
  sudo systemctl start tuoi-agent

As root it becomes the owner of the board's state folder first, so that it sees what the services see.

exit code: 0 all OK, 1 something to look at, 2 something broken (or wrong usage)"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "--click", action="append", default=[], metavar="VALVE", help="open this valve for 1.5 s (repeat it, or: all)"
    )
    parser.add_argument(
        "--listen", type=float, default=3.0, metavar="S",
        help="how long to count each meter's pulses while the agent is stopped (3 s); let water run meanwhile",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object for a program, instead of the table")
    parser.add_argument("--language", choices=LANGUAGES, help="without it that of the terminal, or Vietnamese")


def main(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from contract.errors import ConfigError
    from edge.bench.findings import worst
    from edge.bench.table import as_json, table
    from edge.cli import read_board

    words = Words(choose(args.language))
    try:
        board = read_board(args.config)
        channels = _channels(board, args.click)
        if not 0 < args.listen <= 3600:
            raise ConfigError(f"--listen must be above 0 and at most 3600 s, not {args.listen:g}")
    except ConfigError as exc:
        print(f"tuoi edge check: {exc}", file=sys.stderr)
        return 2
    _as_owner(board.state_dir)
    os.environ.setdefault("LG_WD", tempfile.gettempdir())  # where lgpio puts its pipe
    findings = list(_look(args, board, channels, words))
    if args.json:
        print(as_json(board.node_id, findings, words))
    else:
        verdict = worst(findings)
        width = min(140, shutil.get_terminal_size((110, 24)).columns)
        print(words.say("check.title", node=board.node_id, farm=board.farm_id, path=args.config) + "\n")
        print(table(findings, words, width=width, colour=sys.stdout.isatty()))
        count = sum(finding.verdict == verdict for finding in findings)
        print("\n" + words.say(f"check.end.{verdict.name.lower()}", count=count))
    return int(worst(findings))


def _channels(board: "BoardSettings", asked: list[str]) -> list[str]:
    from contract.errors import ConfigError

    known = [valve.channel for valve in board.valve]
    for name in asked:
        if name not in {*known, "all"}:
            raise ConfigError(f"--click {name}: there is no such valve; there is {', '.join(known)} (or: all)")
    return known if "all" in asked else list(dict.fromkeys(asked))


def _look(args: argparse.Namespace, board: "BoardSettings", channels: list[str], words: Words) -> "Iterator[Finding]":
    from edge.app import DATABASE
    from edge.bench import clicks, machine, wires
    from edge.bench.findings import broken
    from edge.bench.running import running
    from edge.hardware.errors import HardwareError
    from edge.hardware.gpio import GpioHardware

    database = board.state_dir / DATABASE
    runs = running(board.guard_socket)
    yield from _processes(runs)
    yield from machine.kernel(board)
    try:
        hardware = GpioHardware(board.gpio.factory)
    except HardwareError as exc:
        yield broken("pin", board.gpio.factory, "no-factory", why=str(exc))
    else:
        yield from wires.pins(board, hardware, runs)
        yield from wires.buses(board)
        yield from wires.probes(board, hardware, runs)
        yield from wires.meters(board, hardware, runs, machine.litres(database), args.listen)
    yield from (one for one in asyncio.run(clicks.look_at(board, runs)) if one.what not in channels)
    if channels:
        yield from _click(args.config, board, channels, runs, machine.open_leases(database), words)
    yield from machine.clock(database)
    yield from machine.disk(board)
    yield from machine.database(database)
    yield asyncio.run(_broker(board, runs))


def _processes(runs: "Running") -> "Iterator[Finding]":
    from edge.bench.findings import look, ok

    yield (
        ok("process", "guard", "guard-runs", pid=runs.guard_pid or "?")
        if runs.guard
        else look("process", "guard", "guard-away")
    )
    yield ok("process", "agent", "agent-runs") if runs.agent else look("process", "agent", "agent-away")


def _click(
    path: Path, board: "BoardSettings", channels: list[str], runs: "Running", leases: int, words: Words
) -> "Iterator[Finding]":
    from edge.bench import clicks
    from edge.bench.findings import broken, look
    from edge.errors import EdgeError

    refused = clicks.refusal(runs, leases)
    if refused is not None:
        yield from (look("valve", channel, refused) for channel in channels)
        return

    def heard(channel: str) -> bool | None:
        if not sys.stdin.isatty():
            return None
        print(words.say("click.heard", channel=channel), end=" ", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower()[:1] not in {"n", "k"}  # no, non, không

    print(words.say("click.begin", channels=", ".join(channels)), file=sys.stderr)
    try:
        yield from asyncio.run(clicks.click(path, board, channels, heard))
    except EdgeError as exc:
        yield from (broken("valve", channel, "click-failed", why=str(exc)) for channel in channels)


async def _broker(board: "BoardSettings", runs: "Running") -> "Finding":
    from contract.errors import ConfigError, NotConnected
    from contract.link import reach, try_once
    from edge.bench.findings import broken, ok

    where = f"{board.mqtt.host}:{board.mqtt.port}"
    tls = "TLS" if board.mqtt.ca_file else "no TLS"
    try:
        await reach(board.mqtt)
    except ConfigError as exc:
        return broken("broker", where, "broker-files", why=str(exc))
    except NotConnected as exc:
        return broken("broker", where, "broker-away", why=str(exc))
    if runs.agent:  # its place would be taken: one certificate makes one connection at a time
        return ok("broker", where, "broker-reached", tls=tls)
    try:
        await try_once(board.mqtt, f"{board.farm_id}-{board.node_id}")
    except (NotConnected, ConfigError, OSError) as exc:
        return broken("broker", where, "broker-refuses", why=str(exc))
    return ok("broker", where, "broker-accepts", tls=tls)


def _as_owner(folder: Path) -> None:
    """As root, become the user whose folder it is: what it may not read, the services may not either."""
    import pwd

    if os.geteuid() != 0 or not folder.is_dir() or folder.stat().st_uid == 0:
        return
    owner = folder.stat()
    try:
        os.initgroups(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    except KeyError:
        os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
