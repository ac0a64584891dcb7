"""The topic table and its inverse: the only place where a topic, a QoS or a retain flag is spelt."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from contract.errors import BadTopic
from contract.messages import Ack, Batch, Command, Config, Hello, Reply, State, Status
from irrigation.model import Timetable

GATEWAY = "gateway"
"""The node id of a farm's gateway: what a board is to the gateway, the gateway is to the server."""


class Channel(StrEnum):
    """The last level of a topic. `up` goes towards the server, `down` towards the valves."""

    STATUS = "up/status"
    HELLO = "up/hello"
    BATCH = "up/batch"
    STATE = "up/state"
    REPLY = "up/reply"
    PLAN = "up/plan"
    ACK = "down/ack"
    COMMAND = "down/command"
    CONFIG = "down/config"
    TIMETABLE = "down/timetable"


@dataclass(frozen=True, slots=True)
class Rules:
    """How a channel travels: its payload's type, QoS, retained or not, largest payload in bytes."""

    payload: Any
    retain: bool = False
    qos: int = 1
    max_bytes: int = 64 * 1024


TABLE: dict[Channel, Rules] = {
    Channel.STATUS: Rules(Status, retain=True),
    Channel.HELLO: Rules(Hello),
    Channel.BATCH: Rules(Batch, max_bytes=1024 * 1024),
    Channel.STATE: Rules(State, retain=True, max_bytes=256 * 1024),
    Channel.REPLY: Rules(Reply),
    Channel.PLAN: Rules(Timetable, retain=True, max_bytes=1024 * 1024),
    Channel.ACK: Rules(Ack),
    Channel.COMMAND: Rules(Command),
    Channel.CONFIG: Rules(Config, max_bytes=1024 * 1024),
    Channel.TIMETABLE: Rules(Timetable, max_bytes=1024 * 1024),
}

_SLUG = r"[a-z0-9][a-z0-9-]{0,47}"
_TOPIC = re.compile(rf"tuoi/1/(?P<farm>{_SLUG})/(?P<node>{_SLUG})/(?P<channel>(?:up|down)/[a-z]+)")


@dataclass(frozen=True, slots=True)
class Address:
    """Who (farm and node) and what (channel) a topic is about."""

    farm_id: str
    node_id: str
    channel: Channel


def topic(farm_id: str, node_id: str, channel: Channel) -> str:
    """Return the topic; raise BadTopic if an id is not a slug."""
    text = f"tuoi/1/{farm_id}/{node_id}/{channel}"
    parse(text)
    return text


def parse(text: str) -> Address:
    """Return what a topic is about; raise BadTopic if it is not one of ours. The inverse of `topic`."""
    match = _TOPIC.fullmatch(text)
    if match is None:
        raise BadTopic(f"{text[:200]!r} is not tuoi/1/FARM/NODE/(up|down)/CHANNEL")
    try:
        channel = Channel(match["channel"])
    except ValueError:
        raise BadTopic(f"{text!r} names no channel of the wire table") from None
    return Address(match["farm"], match["node"], channel)


def down_filter(farm_id: str, node_id: str) -> str:
    """The subscription of a node: all that is said to it."""
    return f"tuoi/1/{farm_id}/{node_id}/down/+"


def farm_up_filter(farm_id: str) -> str:
    """The subscription of a gateway: all that the boards of its farm say (and, on a shared broker, its own echo)."""
    return f"tuoi/1/{farm_id}/+/up/+"


def gateways_up_filter() -> str:
    """The subscription of the server: all that the gateways of all farms say."""
    return f"tuoi/1/+/{GATEWAY}/up/+"
