"""`tuoi demo`: a whole farm on this machine, until Ctrl-C."""

import argparse
import asyncio
import io
import signal
import sys
from pathlib import Path

import segno

from contract.errors import ConfigError
from firmware_sim.demo.files import ORDER_LIFE_S
from firmware_sim.demo.house import HISTORY_DAYS, Demo, Options
from firmware_sim.errors import DemoError, NotReady

ABOUT = """\
A whole farm on this machine, to try out: an MQTT broker, a simulated field with three boards, the farm's gateway and
the server with the phone app. It lives the last 30 days first, fast, so that there is a history to look at. Nothing
leaves this machine. Ctrl-C closes every valve and ends every process; the same folder goes on where it was."""


def main(argv: list[str]) -> int:
    """Run the demo until it is told to end; 2 = it could not start as asked, 1 = it could not become ready."""
    options = _options(argv)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace", line_buffering=True)  # type: ignore[union-attr]
    try:
        return asyncio.run(_until_told(options))
    except (DemoError, ConfigError) as exc:
        print(f"tuoi demo: {exc}", file=sys.stderr)
        return 1 if isinstance(exc, NotReady) else 2


def _options(argv: list[str]) -> Options:
    parser = argparse.ArgumentParser(
        "tuoi demo", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=8080, help="of the phone app (8080; 0 = any that is free)")
    parser.add_argument("--host", default="0.0.0.0", help="0.0.0.0 lets phones in this network in (the default)")
    parser.add_argument("--data", type=Path, default=Path("demo-data"), metavar="DIR", help="what it keeps (demo-data)")
    parser.add_argument("--no-history", action="store_true", help="begin with a farm that has no past")
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of soil and weather per second (1)")
    parser.add_argument(
        "--order-life", type=float, default=ORDER_LIFE_S, metavar="S", help="an unanswered order is void after S s (90)"
    )
    parser.add_argument("--embedded-broker", action="store_true", help="do not use mosquitto even if it is there")
    asked = parser.parse_args(argv)
    if not 0 <= asked.port <= 65_535:
        parser.error(f"--port must be between 0 and 65535, not {asked.port}")
    if not 0.01 <= asked.speed <= 100_000:
        parser.error(f"--speed must be between 0.01 and 100000, not {asked.speed:g}")
    if not 5 <= asked.order_life <= 300:
        parser.error(f"--order-life must be between 5 and 300 s, not {asked.order_life:g}")
    return Options(
        data=asked.data,
        host=asked.host,
        port=asked.port,
        days=0 if asked.no_history else HISTORY_DAYS,
        speed=asked.speed,
        embedded=asked.embedded_broker,
        order_life_s=asked.order_life,
    )


async def _until_told(options: Options) -> int:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    demo = Demo(options, lambda sentence: print(sentence, file=sys.stderr, flush=True))
    starting = asyncio.create_task(demo.start(), name="start")
    told = asyncio.create_task(stop.wait(), name="told")
    await asyncio.wait((starting, told), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()  # Ctrl-C while it starts: `start` ends what it has begun
        await asyncio.wait((starting,))
        return 0
    if starting.exception() is not None:
        told.cancel()
    starting.result()
    print(welcome(demo), flush=True)
    await told
    await demo.stop()
    return 0


def welcome(demo: Demo) -> str:
    """The address, for a phone's camera too, and who can sign in."""
    picture = io.StringIO()
    segno.make(demo.url, error="m").terminal(picture, compact=True, border=2)
    people = "\n".join(
        f"  {person.role:<11} {person.name:<6} {person.password:<22} ({person.display_name})" for person in demo.people
    )
    return f"""
{picture.getvalue()}
Tưới is ready: {demo.url}

Sign in as
{people}

Ctrl-C closes every valve and ends the demo.
"""
