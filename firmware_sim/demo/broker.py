"""The demo's MQTT broker: mosquitto where it is installed, otherwise one in Python that speaks MQTT 3.1.1 only."""

import getpass
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from firmware_sim.demo.places import Places

HOST = "127.0.0.1"
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin:/opt/homebrew/sbin"


def free_port() -> int:
    """Return a TCP port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def find_mosquitto() -> str | None:
    """Where mosquitto is; it often stands in sbin, which is not on everybody's PATH."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=_SBIN)


def link(port: int, mosquitto: str | None) -> dict[str, Any]:
    """The [mqtt] table of everybody who connects to it."""
    return {"host": HOST, "port": port, "protocol": "5" if mosquitto else "3.1.1"}


def command(places: Places, port: int, mosquitto: str | None) -> list[str]:
    """Return what starts the broker on loopback, its store in the demo's folder."""
    if mosquitto is None:
        return [sys.executable, "-m", "firmware_sim.demo.embedded_broker", str(port)]
    folder = places.data / "broker"
    folder.mkdir(exist_ok=True)
    conf = places.data / "mosquitto.conf"
    conf.write_text(_conf(folder, port), encoding="utf-8")
    return [mosquitto, "-c", str(conf)]


def _conf(folder: Path, port: int) -> str:
    return f"""\
# Started as root it would become a user who may not write here.
user {getpass.getuser()}
# On loopback only, and for this demo only: everybody on this machine may speak. docs/operations.md has the real one.
listener {port} {HOST}
allow_anonymous true
# Without it a round trip takes 40 ms: Nagle against delayed acknowledgements.
set_tcp_nodelay true
persistence true
persistence_location {folder}/
autosave_interval 30
max_packet_size 2097152
log_dest stderr
log_type error
log_type warning
log_type notice
"""
