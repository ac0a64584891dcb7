"""Pulses and resets from the server to the board that they name, and how they ended back again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.link import Incoming
from contract.messages import Outcome, Pulse, Reason, Reply, Reset, Restart
from contract.topics import Channel
from gateway.boards import SILENCE
from gateway.planning.dispatch import Wishes, due_sends
from irrigation.model import Hold
from tests.fixtures.mosquitto import Mosquitto
from tests.unit.gateway import farm as f
from tests.unit.gateway.office import NOW, Office
from tests.unit.gateway.scripted import Board, Server, running, settings_for, utc

MINUTE = timedelta(minutes=1)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "journal.sqlite3")
    made.configure(f.farm())
    made.hear("board-1")
    yield made
    made.db.close()


def pulse(now: datetime = NOW, **more: Any) -> Pulse:
    given: dict[str, Any] = {"id": "p", "issued_at": now, "expires_at": now + MINUTE, "actor": "tuan", "channel": "v1"}
    return Pulse(**(given | {"node_id": "board-1", "seconds": 2.0} | more))


def reply(outcome: Outcome, code: str | None = None, command_id: str = "p") -> Reply:
    return Reply(command_id=command_id, at=NOW, outcome=outcome, reason=Reason(code=code) if code else None)


def test_it_goes_to_its_board_again_and_again_until_that_answers(office: Office) -> None:
    order = pulse()
    assert office.orders.handle(order, NOW).outcome is Outcome.ACCEPTED
    (waiting,) = office.orders.errands.waiting()
    sends, wait_s = due_sends(Wishes(errands=(waiting,)), {}, NOW, 5.0, lambda: "new")
    assert [(send.node_id, send.channel, send.message, send.expires_s) for send in sends] == [
        ("board-1", Channel.COMMAND, order, 60)
    ]
    assert wait_s is not None
    assert due_sends(Wishes(errands=(waiting,)), {"errand:p": 5.0}, NOW, 6.0, lambda: "new")[0] == ()
    assert due_sends(Wishes(errands=(waiting,)), {}, NOW + MINUTE, 5.0, lambda: "new")[0] == ()
    assert office.orders.answered("board-1", reply(Outcome.ACCEPTED), None, NOW) == ()
    assert office.orders.errands.waiting() == ()


@pytest.mark.parametrize("end", [reply(Outcome.DONE), reply(Outcome.REFUSED, "zone-busy"), reply(Outcome.FAILED, "x")])
def test_its_end_is_told_and_is_the_answer_from_then_on(office: Office, end: Reply) -> None:
    order = pulse()
    office.orders.handle(order, NOW)
    office.orders.answered("board-1", reply(Outcome.ACCEPTED), None, NOW)
    assert office.orders.answered("board-2", end, None, NOW) == ()  # another board has no say
    assert office.orders.answered("board-1", end, None, NOW) == (end,)
    assert office.orders.answered("board-1", end, None, NOW) == ()
    assert office.orders.handle(order, NOW) == end
    assert office.orders.next_expiry() is None


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"node_id": None}, "unknown-board"),
        ({"node_id": "board-9"}, "unknown-board"),
        ({"issued_at": NOW - 2 * MINUTE, "expires_at": NOW - MINUTE}, "expired"),
    ],
)
def test_one_that_nobody_can_do_is_refused(office: Office, more: dict[str, Any], code: str) -> None:
    refused = office.orders.handle(pulse(**more), NOW)
    assert refused.reason is not None
    assert (refused.outcome, refused.reason.code) == (Outcome.REFUSED, code)
    assert office.orders.errands.waiting() == ()


def test_for_a_board_out_of_hearing_it_is_refused_at_once(office: Office) -> None:
    late = NOW + SILENCE
    refused = office.orders.handle(pulse(late), late)
    assert refused.reason == Reason(code="board-away", params={"node_id": "board-1"})


def test_in_an_emergency_stop_nothing_is_pulsed(office: Office) -> None:
    stop = Hold(until=NOW + 10 * MINUTE, reason="burst pipe", emergency=True)
    office.configure(replace(f.farm(), hold=stop), version=2)
    refused = office.orders.handle(pulse(), NOW)
    assert refused.reason == Reason(code="emergency-stop", params={"reason": "burst pipe"})


def test_a_reset_is_carried_like_a_pulse_and_in_an_emergency_too(office: Office) -> None:
    stop = Hold(until=NOW + 10 * MINUTE, reason="burst pipe", emergency=True)
    office.configure(replace(f.farm(), hold=stop), version=2)
    order = Reset(id="p", issued_at=NOW, expires_at=NOW + MINUTE, actor="thanh", channel="v1", node_id="board-1")
    assert office.orders.handle(order, NOW).outcome is Outcome.ACCEPTED  # it opens nothing
    (send,), _ = due_sends(Wishes(errands=office.orders.errands.waiting()), {}, NOW, 5.0, lambda: "new")
    assert (send.node_id, send.message) == ("board-1", order)
    done = reply(Outcome.DONE)
    assert office.orders.answered("board-1", done, None, NOW) == (done,)
    assert office.orders.handle(order, NOW) == done
    assert office.orders.errands.waiting() == ()


@pytest.mark.parametrize(("taken", "given_up"), [(False, timedelta(seconds=61)), (True, timedelta(minutes=3))])
def test_one_without_an_end_is_given_up(office: Office, *, taken: bool, given_up: timedelta) -> None:
    office.orders.handle(pulse(), NOW)
    if taken:
        office.orders.answered("board-1", reply(Outcome.ACCEPTED), None, NOW)
    assert office.orders.next_expiry() == NOW + given_up
    assert office.orders.errands.expire(NOW + given_up - timedelta(seconds=1)) == ()
    (lost,) = office.orders.errands.expire(NOW + given_up)
    assert (lost.outcome, lost.reason) == (Outcome.FAILED, Reason(code="board-away", params={"node_id": "board-1"}))
    assert office.orders.next_expiry() is None


def test_a_restarted_gateway_goes_on_with_it(office: Office, tmp_path: Path) -> None:
    order = pulse()
    office.orders.handle(order, NOW)
    office.db.close()
    again = Office(tmp_path / "journal.sqlite3")
    assert again.orders.errands.waiting() == (order,)
    assert again.orders.answered("board-1", reply(Outcome.DONE), None, NOW)
    again.db.close()


class PulsingBoard(Board):
    """A board that pulses, and says so."""

    async def react(self, incoming: Incoming) -> None:
        await super().react(incoming)
        if isinstance(incoming.message, Pulse):
            await self._answer(incoming.message.id, Outcome.ACCEPTED)
            await self._answer(incoming.message.id, Outcome.DONE)


@pytest.mark.uses_broker
async def test_over_the_wire_it_reaches_the_board_and_its_end_the_server(mosquitto: Mosquitto, tmp_path: Path) -> None:
    port = mosquitto.port
    async with running(settings_for(port, tmp_path)), Server(port, tmp_path) as server:
        await server.configure(f.farm())
        async with PulsingBoard(port) as board, Board(port, node_id="board-2") as other:
            await server.online("board-1")
            await server.online("board-2")
            order = pulse(utc())
            await server.order(order)
            done = await server.wait_for(Reply, lambda one: one.command_id == "p" and one.outcome is Outcome.DONE)
            assert done.reason is None
            assert board.got(Pulse) == [order]
            assert other.got(Pulse) == []
            assert board.got(Restart) == []
