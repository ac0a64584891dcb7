"""`tuoi gateway`: reads the configuration, runs the gateway until it is told to end."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from contract.errors import ConfigError, ContractError
from contract.logs import start_log
from contract.service import notify, watched
from contract.settings import load_toml
from gateway.app import Gateway
from gateway.settings import Settings

ABOUT = """\
The gateway of one farm. It hears the boards in the field, compiles the farm's programs into a timetable and sends each
board its part, passes on orders to water and to stop, and keeps all news until the server has stored it.

It needs an MQTT broker that its boards reach, and the server's (often the same). Everything else it is told by the
server; what it knows survives its end, in the directory `data_dir`."""

EXAMPLE = """\
example:
  cp configs/gateway.toml /etc/tuoi/gateway.toml     then set farm_id and the broker
  tuoi gateway --config /etc/tuoi/gateway.toml --check
  tuoi gateway --config /etc/tuoi/gateway.toml

exit code: 0 after SIGTERM or Ctrl-C, 2 when the configuration is at fault, 1 for any other error"""


def main(argv: list[str]) -> int:
    """Run `tuoi gateway`; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="tuoi gateway", description=ABOUT, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="gateway.toml")
    parser.add_argument("--check", action="store_true", help="only read the configuration, say what is in it, and end")
    parser.add_argument("--log", default="info", choices=["debug", "info", "warning"], help="how much to tell (info)")
    args = parser.parse_args(argv)
    try:
        settings = load_toml(args.config, Settings)
    except ConfigError as exc:
        return _complain(str(exc), 2)
    if args.check:
        uplink = settings.uplink or settings.mqtt
        print(
            f"farm {settings.farm_id}, boards at {settings.mqtt.host}:{settings.mqtt.port}, "
            f"server at {uplink.host}:{uplink.port}, journal in {settings.data_dir}"
        )
        return 0
    start_log(args.log)
    try:
        asyncio.run(_run(settings))
    except ConfigError as exc:  # a certificate or key that it names cannot be used
        return _complain(f"{args.config}: {exc}", 2)
    except ContractError as exc:  # the journal's place cannot be written
        return _complain(str(exc), 1)
    return 0


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gateway = Gateway(settings)
    async with watched():
        notify("READY=1")
        await gateway.run(stop)


def _complain(sentence: str, code: int) -> int:
    print(f"tuoi gateway: {sentence}", file=sys.stderr)
    return code
