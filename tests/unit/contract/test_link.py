"""The link over a real mosquitto, which is killed, starved of rights and fed with rubbish."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish as paho_publish

from contract.codec import encode
from contract.errors import BadPayload, BadTopic, ConfigError, NotAllowed, NotConnected, TooLarge
from contract.link import RECEIVE_MAXIMUM, Incoming, Link, LinkSettings
from contract.messages import NodeConfig, Restart
from contract.topics import Channel, down_filter, farm_up_filter, topic
from tests.fixtures.mosquitto import Mosquitto
from tests.unit.contract.links import NOON, Ear, ack, linked, settings, status

pytestmark = pytest.mark.uses_broker


async def say(broker: Mosquitto, name: str, payload: bytes, *, retain: bool = False) -> None:
    """Publish past the link, as a stranger can."""
    await asyncio.to_thread(
        paho_publish.single, name, payload, qos=1, retain=retain, hostname="127.0.0.1", port=broker.port
    )


async def test_what_one_publishes_the_other_gets_in_order(mosquitto: Mosquitto) -> None:
    async with (
        linked(settings(mosquitto.port), "board", [down_filter("mai", "east")]) as (_, ear),
        linked(settings(mosquitto.port), "gateway") as (gateway, _),
    ):
        for seq in range(200):
            await gateway.publish("mai", "east", Channel.ACK, ack(seq))
        for seq in range(200):
            incoming = await ear.next()
            assert incoming.address.channel is Channel.ACK
            assert incoming.message == ack(seq)
            assert not incoming.retained


async def test_publishes_that_overlap_keep_their_order(mosquitto: Mosquitto) -> None:
    async with (
        linked(settings(mosquitto.port), "board", [down_filter("mai", "east")]) as (_, ear),
        linked(settings(mosquitto.port), "gateway") as (gateway, _),
    ):
        await asyncio.gather(*(gateway.publish("mai", "east", Channel.ACK, ack(seq)) for seq in range(500)))
        assert [(await ear.next()).message.seq for _ in range(500)] == list(range(500))


async def test_bytes_are_published_as_they_are(mosquitto: Mosquitto) -> None:
    async with (
        linked(settings(mosquitto.port), "board", [down_filter("mai", "east")]) as (_, ear),
        linked(settings(mosquitto.port), "gateway") as (gateway, _),
    ):
        await gateway.publish("mai", "east", Channel.ACK, encode(Channel.ACK, ack(4)))
        assert (await ear.next()).message == ack(4)
        with pytest.raises(BadPayload, match="bytes is more than"):
            await gateway.publish("mai", "east", Channel.ACK, b" " * 70_000)
        with pytest.raises(BadTopic):
            await gateway.publish("mai", "+", Channel.ACK, ack(1))


async def test_a_retained_message_is_known_as_one(mosquitto: Mosquitto) -> None:
    async with linked(settings(mosquitto.port), "board") as (board, _):
        await board.publish("mai", "east", Channel.STATUS, status(online=True))
    async with linked(settings(mosquitto.port), "gateway", [farm_up_filter("mai")]) as (_, ear):
        assert (await ear.next()).retained


async def test_a_retained_command_of_a_stranger_is_seen_as_retained(mosquitto: Mosquitto) -> None:
    command = Restart(id="c1", issued_at=NOON, expires_at=NOON.replace(minute=1), actor="lan")
    name = topic("mai", "east", Channel.COMMAND)
    await say(mosquitto, name, encode(Channel.COMMAND, command), retain=True)
    async with linked(settings(mosquitto.port), "board", [down_filter("mai", "east")]) as (_, ear):
        assert (await ear.next()).retained
        await say(mosquitto, name, encode(Channel.COMMAND, command), retain=True)
        assert not (await ear.next()).retained


async def test_a_link_does_not_hear_its_own_words(mosquitto: Mosquitto) -> None:
    async with linked(settings(mosquitto.port), "gateway", [farm_up_filter("mai")]) as (gateway, ear):
        await gateway.publish("mai", "gateway", Channel.STATUS, status(online=True))
        await say(mosquitto, topic("mai", "east", Channel.STATUS), encode(Channel.STATUS, status(online=True)))
        assert (await ear.next()).address.node_id == "east"


# --- the broker goes away -------------------------------------------------------------------------------------------


async def test_the_link_comes_back_after_the_broker_was_killed(mosquitto: Mosquitto) -> None:
    async with (
        linked(settings(mosquitto.port), "board", [down_filter("mai", "east")]) as (board, ear),
        linked(settings(mosquitto.port), "gateway") as (gateway, other),
    ):
        for life in range(2):
            await asyncio.to_thread(mosquitto.kill)
            with pytest.raises(NotConnected):
                for _ in range(1000):  # the first ones may still find room in the socket
                    await gateway.publish("mai", "east", Channel.ACK, ack(0))
            await asyncio.to_thread(mosquitto.start)
            await other.next_connection()
            await ear.next_connection()
            assert gateway.connected
            assert board.connected
            await gateway.publish("mai", "east", Channel.ACK, ack(life + 1))
            while (incoming := await ear.next()).message.seq == 0:
                pass  # repeated by the broker from before it was killed
            assert incoming.message == ack(life + 1)
        assert ear.connections == 3


async def test_nothing_that_was_published_without_a_broker_is_sent_later(mosquitto: Mosquitto) -> None:
    async with (
        linked(settings(mosquitto.port), "board", [down_filter("mai", "east")]) as (_, ear),
        linked(settings(mosquitto.port), "gateway") as (gateway, other),
    ):
        await asyncio.to_thread(mosquitto.kill)
        late = [asyncio.create_task(gateway.publish("mai", "east", Channel.ACK, ack(66))) for _ in range(50)]
        results = await asyncio.gather(*late, return_exceptions=True)
        assert {type(result) for result in results} == {NotConnected}
        await asyncio.to_thread(mosquitto.start)
        await other.next_connection()
        await ear.next_connection()
        await gateway.publish("mai", "east", Channel.ACK, ack(1))
        assert (await ear.next()).message == ack(1)
        assert ear.heard.empty()


async def test_before_the_first_connection_nothing_is_published(free_port: int) -> None:
    ear = Ear()
    link = Link(
        LinkSettings(port=free_port, retry_least_s=0.01, retry_most_s=0.02),
        client_id="board",
        subscriptions=(),
        on_message=ear.on_message,
        on_connect=ear.on_connect,
    )
    with pytest.raises(NotConnected, match="no broker"):
        await link.publish("mai", "east", Channel.ACK, ack(1))
    task = asyncio.create_task(link.run())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ear.connected.wait(), 0.3)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_failure_is_said_once_and_its_end_once(mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "contract.link")
    async with linked(settings(mosquitto.port), "board") as (_, ear):
        await asyncio.to_thread(mosquitto.kill)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ear.connected.wait(), 1.0)
        await asyncio.to_thread(mosquitto.start)
        await ear.next_connection()
    levels = [record.levelname for record in caplog.records]
    assert levels[0] == levels[-1] == "INFO"
    assert 1 <= levels.count("ERROR") <= 2  # lost, then refused: two different failures
    assert levels.count("INFO") == 2


async def test_a_broker_that_hangs_is_noticed(mosquitto: Mosquitto) -> None:
    async with linked(settings(mosquitto.port, keepalive_s=1), "board") as (board, ear):
        mosquitto.process.signal(signal.SIGSTOP)
        with pytest.raises(NotConnected):
            await board.publish("mai", "east", Channel.STATUS, status(online=True))
        assert not board.connected
        mosquitto.process.signal(signal.SIGCONT)
        await ear.next_connection()
        await board.publish("mai", "east", Channel.STATUS, status(online=True))


async def test_the_session_survives_a_restart_of_the_client(mosquitto: Mosquitto) -> None:
    async with linked(settings(mosquitto.port), "gateway") as (gateway, _):
        async with linked(settings(mosquitto.port), "board", [down_filter("mai", "east")]):
            pass
        await gateway.publish("mai", "east", Channel.ACK, ack(7))
        async with linked(settings(mosquitto.port), "board", [down_filter("mai", "east")]) as (_, ear):
            assert (await ear.next()).message == ack(7)


async def test_a_command_that_expired_while_the_board_was_away_is_not_delivered(mosquitto: Mosquitto) -> None:
    async with linked(settings(mosquitto.port), "gateway") as (gateway, _):
        async with linked(settings(mosquitto.port), "board", [down_filter("mai", "east")]):
            pass
        await gateway.publish("mai", "east", Channel.ACK, ack(1), expires_s=1)
        await gateway.publish("mai", "east", Channel.ACK, ack(2), expires_s=100)
        await asyncio.sleep(2.1)  # the broker's clock, which nobody can wind on
        async with linked(settings(mosquitto.port), "board", [down_filter("mai", "east")]) as (_, ear):
            assert (await ear.next()).message == ack(2)
            assert ear.heard.empty()


async def test_the_will_is_said_at_a_death_and_at_a_clean_end(mosquitto: Mosquitto) -> None:
    will = ("mai", "east", status(online=False))
    once = LinkSettings(port=mosquitto.port, retry_least_s=60, retry_most_s=60)
    async with linked(settings(mosquitto.port), "gateway", [farm_up_filter("mai")]) as (_, ear):
        async with linked(once, "board", will=will) as (board, _):
            await board.publish("mai", "east", Channel.STATUS, status(online=True))
            assert (await ear.next()).message.online
            connection = board._connection
            assert connection is not None
            connection.close()  # as a process that dies: no DISCONNECT
            assert not (await ear.next()).message.online
        async with linked(settings(mosquitto.port), "board2", will=will) as (board, _):
            await board.publish("mai", "east", Channel.STATUS, status(online=True))
            assert (await ear.next()).message.online
        assert not (await ear.next()).message.online


async def test_a_cancellation_in_the_moment_of_a_failure_is_not_lost(mosquitto: Mosquitto) -> None:
    ear = Ear()
    link = Link(
        settings(mosquitto.port),
        client_id="board",
        subscriptions=(),
        on_message=ear.on_message,
        on_connect=ear.on_connect,
    )
    task = asyncio.create_task(link.run())
    await ear.next_connection()
    connection = link._connection
    assert connection is not None
    connection.close()
    for _ in range(3):  # until the failure is on its way through the link's own tasks
        await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


# --- what is not taken ----------------------------------------------------------------------------------------------

RUBBISH: list[tuple[str, bytes]] = [
    (topic("mai", "east", Channel.ACK), b"\xff\xfe"),
    (topic("mai", "east", Channel.ACK), b"[" * 60_000),
    (topic("mai", "east", Channel.ACK), b'{"boot_id": "b", "lane": "events", "seq": 1, "seq": 2}'),
    (topic("mai", "east", Channel.ACK), b'{"boot_id": "b", "lane": "events", "seq": 1e999}'),
    (topic("mai", "east", Channel.ACK), b" " * 70_000),
    (topic("mai", "east", Channel.ACK) + "s", b"{}"),
]


async def test_rubbish_is_counted_kept_and_does_not_come_back(mosquitto: Mosquitto) -> None:
    how = settings(mosquitto.port)
    async with linked(how, "board", [down_filter("mai", "east")]) as (board, ear):
        for name, payload in RUBBISH:
            await say(mosquitto, name, payload)
        await say(mosquitto, topic("mai", "east", Channel.ACK), encode(Channel.ACK, ack(1)))
        assert (await ear.next()).message == ack(1)
        assert board.refused == len(RUBBISH)
        assert [kept.topic for kept in board.refusals] == [name for name, _ in RUBBISH]
        assert max(len(kept.payload) for kept in board.refusals) == 2000
        assert board.connected
        assert ear.connections == 1
    async with linked(how, "board", [down_filter("mai", "east")]) as (board, ear):
        await say(mosquitto, topic("mai", "east", Channel.ACK), encode(Channel.ACK, ack(2)))
        assert (await ear.next()).message == ack(2)
        assert board.refused == 0


async def test_a_flood_of_rubbish_leaves_a_bounded_heap(mosquitto: Mosquitto) -> None:
    async with (
        linked(settings(mosquitto.port), "board", [down_filter("mai", "east")]) as (board, ear),
        linked(settings(mosquitto.port), "gateway") as (gateway, _),
    ):
        await asyncio.gather(*(gateway.publish("mai", "east", Channel.COMMAND, b"{}") for _ in range(300)))
        await gateway.publish("mai", "east", Channel.ACK, ack(1))
        assert (await ear.next()).message == ack(1)
        assert board.refused == 300
        assert len(board.refusals) == 20


async def test_a_strangers_flood_at_qos_0_does_not_cost_the_connection(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    busy, go = asyncio.Event(), asyncio.Event()

    async def on_message(_: Incoming) -> None:
        busy.set()
        await go.wait()

    name = topic("mai", "east", Channel.ACK)
    async with linked(settings(mosquitto.port), "board", [down_filter("mai", "east")], on_message=on_message) as (
        board,
        ear,
    ):
        await say(mosquitto, name, encode(Channel.ACK, ack(1)))
        await busy.wait()
        flood: list[Any] = [{"topic": name, "payload": b"{}", "qos": 0} for _ in range(3000)]
        # The broker's answers to the last of the flood, and then to us, stand behind the flood itself.
        flood.append({"topic": topic("mai", "west", Channel.ACK), "payload": b"{}", "qos": 1})
        await asyncio.to_thread(paho_publish.multiple, flood, hostname="127.0.0.1", port=mosquitto.port)
        await board.publish("mai", "east", Channel.STATUS, status(online=True))
        assert board.refused > 2000
        go.set()
        assert board.connected
        assert ear.connections == 1
        assert len(caplog.records) < 30


async def test_a_message_above_what_the_broker_takes_is_too_large_and_the_link_stays(
    start_mosquitto: Callable[..., Mosquitto],
) -> None:
    broker = start_mosquitto(extra="max_packet_size 2000")
    async with linked(settings(broker.port), "gateway") as (gateway, ear):
        config = NodeConfig(version=1, tz="Asia/Ho_Chi_Minh", channels=())
        with pytest.raises(TooLarge, match="2000"):
            await gateway.publish("mai", "east", Channel.CONFIG, encode(Channel.CONFIG, config) + b" " * 2000)
        await gateway.publish("mai", "east", Channel.CONFIG, config)
        assert ear.connections == 1
        # The largest that passes our check must not end the connection either.
        most = 2000 - len(topic("mai", "east", Channel.CONFIG)) - 32
        await gateway.publish("mai", "east", Channel.CONFIG, b" " * most, expires_s=60)
        assert gateway.connected


async def test_what_the_access_control_refuses_is_not_allowed(
    start_mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite tuoi/1/mai/east/#\n")
    # mosquitto 2.0.11 with max_queued_messages 0 ends the connection at the next packet after a refusal.
    broker = start_mosquitto(extra=f"acl_file {acl}\nmax_queued_messages 1000")
    async with linked(settings(broker.port), "board", [down_filter("mai", "east")]) as (board, ear):
        with pytest.raises(NotAllowed, match=r"tuoi/1/mai/west/up/status.*board"):
            await board.publish("mai", "west", Channel.STATUS, status(online=True))
        await board.publish("mai", "east", Channel.STATUS, status(online=True))
        assert board.connected
        assert ear.connections == 1


async def test_what_nobody_hears_is_counted(mosquitto: Mosquitto) -> None:
    async with linked(settings(mosquitto.port), "gateway") as (gateway, _):
        await gateway.publish("mai", "east", Channel.ACK, ack(1))
        assert gateway.unheard == 1


async def test_wrong_credentials_are_tried_again_until_they_are_right(
    start_mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    passwords = tmp_path / "passwords"
    # mosquitto_passwd's format 7: PBKDF2 with SHA-512; the password is "tưới nước".
    passwords.write_text("")
    broker = start_mosquitto(extra=f"password_file {passwords}", anonymous=False)
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    ear = Ear()
    link = Link(
        settings(broker.port, username="board", password_file=secret),
        client_id="board",
        subscriptions=(),
        on_message=ear.on_message,
        on_connect=ear.on_connect,
    )
    task = asyncio.create_task(link.run())
    try:
        await asyncio.to_thread(broker.process.wait_for, "not authori[sz]ed")
        assert not link.connected
        making = await asyncio.create_subprocess_exec("mosquitto_passwd", "-b", str(passwords), "board", "tưới nước")
        assert await making.wait() == 0
        broker.process.signal(signal.SIGHUP)  # read the passwords again
        secret.write_text("tưới nước\n")
        await ear.next_connection()
        assert link.connected
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_certificates_that_cannot_be_read_are_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ca\.pem cannot be used"):
        Link(
            LinkSettings(ca_file=tmp_path / "ca.pem"),
            client_id="board",
            subscriptions=(),
            on_message=Ear().on_message,
            on_connect=Ear().on_connect,
        )


# --- handlers -------------------------------------------------------------------------------------------------------


async def test_a_message_comes_again_when_its_handler_failed(mosquitto: Mosquitto) -> None:
    seen: list[int] = []
    done = asyncio.Event()

    async def on_message(incoming: Incoming) -> None:
        seen.append(incoming.message.seq)
        if seen.count(1) == 1 and incoming.message.seq == 1:
            raise RuntimeError("disk full")
        if incoming.message.seq == 2:
            done.set()

    async with (
        linked(settings(mosquitto.port), "board", [down_filter("mai", "east")], on_message=on_message) as (board, ear),
        linked(settings(mosquitto.port), "gateway") as (gateway, _),
    ):
        await gateway.publish("mai", "east", Channel.ACK, ack(1))
        await gateway.publish("mai", "east", Channel.ACK, ack(2))
        async with asyncio.timeout(20):
            await done.wait()
        assert seen == [1, 1, 2]
        assert board.refused == 0
        await ear.next_connection()
        assert ear.connections == 2


async def test_a_message_that_no_handler_can_take_is_given_up_after_three_tries(mosquitto: Mosquitto) -> None:
    seen: list[int] = []
    done = asyncio.Event()

    async def on_message(incoming: Incoming) -> None:
        seen.append(incoming.message.seq)
        if incoming.message.seq == 1:
            raise RuntimeError("poison")
        done.set()

    async with (
        linked(settings(mosquitto.port), "board", [down_filter("mai", "east")], on_message=on_message) as (board, _),
        linked(settings(mosquitto.port), "gateway") as (gateway, _),
    ):
        await gateway.publish("mai", "east", Channel.ACK, ack(1))
        await gateway.publish("mai", "east", Channel.ACK, ack(2))
        async with asyncio.timeout(20):
            await done.wait()
        assert seen == [1, 1, 1, 2]
        assert board.refused == 1
        assert "poison" in board.refusals[0].reason


async def test_handlers_run_one_after_the_other_and_the_broker_waits(
    start_mosquitto: Callable[..., Mosquitto],
) -> None:
    mosquitto = start_mosquitto(extra="max_inflight_messages 0")  # no limit but the one that we ask for
    under_way = most = handled = 0
    go = asyncio.Event()
    done = asyncio.Event()
    many = 3 * RECEIVE_MAXIMUM

    async def on_message(_: Incoming) -> None:
        nonlocal under_way, most, handled
        under_way += 1
        most = max(most, under_way)
        await go.wait()
        under_way -= 1
        handled += 1
        if handled == many:
            done.set()

    async with (
        linked(settings(mosquitto.port), "board", [down_filter("mai", "east")], on_message=on_message) as (board, ear),
        linked(settings(mosquitto.port), "gateway") as (gateway, _),
    ):
        for seq in range(many):
            await gateway.publish("mai", "east", Channel.ACK, ack(seq))
        assert (under_way, handled) == (1, 0)
        go.set()
        async with asyncio.timeout(20):
            await done.wait()
        assert most == 1
        assert board.connected
        assert ear.connections == 1


async def test_when_on_connect_fails_the_connection_is_made_anew(mosquitto: Mosquitto) -> None:
    tries = 0
    good = asyncio.Event()

    async def on_connect() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise RuntimeError("not ready")
        good.set()

    async def on_message(_: Incoming) -> None: ...

    link = Link(
        settings(mosquitto.port), client_id="board", subscriptions=(), on_message=on_message, on_connect=on_connect
    )
    task = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(20):
            await good.wait()
        assert link.connected
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not link.connected


async def test_a_handler_may_publish(mosquitto: Mosquitto) -> None:
    links: list[Link] = []

    async def answer(incoming: Incoming) -> None:
        await links[0].publish("mai", "east", Channel.STATUS, status(online=incoming.message.seq == 1))

    async with (
        linked(settings(mosquitto.port), "gateway", [farm_up_filter("mai")]) as (gateway, ear),
        linked(settings(mosquitto.port), "board", [down_filter("mai", "east")], on_message=answer) as (board, _),
    ):
        links.append(board)
        await gateway.publish("mai", "east", Channel.ACK, ack(1))
        assert (await ear.next()).message.online
