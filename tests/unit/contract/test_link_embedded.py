"""The link in MQTT 3.1.1 over the demo's embedded broker: the basics, and no more is promised there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from amqtt.broker import Broker

from contract.errors import NotConnected
from contract.topics import Channel, down_filter, farm_up_filter
from tests.unit.contract.links import ack, linked, settings, status

pytestmark = pytest.mark.uses_broker


@asynccontextmanager
async def embedded(port: int) -> AsyncIterator[Broker]:
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    try:
        yield broker
    finally:
        await broker.shutdown()


async def test_messages_pass_in_order(free_port: int) -> None:
    old = settings(free_port, protocol="3.1.1")
    async with (
        embedded(free_port),
        linked(old, "board", [down_filter("mai", "east")]) as (_, ear),
        linked(old, "gateway") as (gateway, _),
    ):
        for seq in range(50):
            await gateway.publish("mai", "east", Channel.ACK, ack(seq), expires_s=60)
        assert [(await ear.next()).message.seq for _ in range(50)] == list(range(50))


async def test_retained_messages_and_farewells_are_heard(free_port: int) -> None:
    old = settings(free_port, protocol="3.1.1")
    async with embedded(free_port):
        async with linked(old, "board", will=("mai", "east", status(online=False))) as (board, _):
            await board.publish("mai", "east", Channel.STATUS, status(online=True))
        async with linked(old, "gateway", [farm_up_filter("mai")]) as (_, ear):
            incoming = await ear.next()
            assert incoming.retained
            assert not incoming.message.online


async def test_the_link_comes_back_when_the_broker_does(free_port: int) -> None:
    old = settings(free_port, protocol="3.1.1")
    async with embedded(free_port), linked(old, "board", [down_filter("mai", "east")]) as (board, ear):
        assert board.connected
        connection = board._connection
        assert connection is not None
        connection.close()
        with pytest.raises(NotConnected):
            await board.publish("mai", "east", Channel.STATUS, status(online=True))
        await ear.next_connection()
        await board.publish("mai", "east", Channel.STATUS, status(online=True))
        async with linked(old, "gateway") as (gateway, _):
            await gateway.publish("mai", "east", Channel.ACK, ack(3))
            assert (await ear.next()).message == ack(3)
