"""The gateway between a scripted board and a scripted server, over a real broker."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.link import Incoming
from contract.messages import (
    Ack,
    CloseAll,
    DecisionEvent,
    FarmConfig,
    FarmState,
    Lane,
    NodeConfig,
    Open,
    Outcome,
    Reason,
    Reply,
    Status,
)
from contract.topics import GATEWAY, Address, Channel
from irrigation.model import Hold, Result, Source, Timetable
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.unit.gateway import farm as f
from tests.unit.gateway.scripted import Board, Server, running, settings_for, utc

pytestmark = pytest.mark.uses_broker


def now_order(zone_id: str = "beans", **more: Any) -> Open:
    return f.open_order(zone_id, utc(), **more)


async def test_an_order_goes_to_its_board_and_its_life_to_the_server(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with Server(mosquitto.port, tmp_path) as server, running(settings_for(mosquitto.port, tmp_path / "g")):
        await server.configure(f.FARM)
        async with Board(mosquitto.port) as board:
            await server.online("board-1")
            order = now_order()
            assert (await server.order(order)).outcome is Outcome.ACCEPTED
            told = await board.wait_for(Open)
            assert (told.id, told.channel, told.max_s, told.expires_at) == (order.id, "v1", 1200, order.expires_at)
            await server.wait_run(order.run_id, RunState.OPEN)
            await board.tell_run(told, RunState.DONE, litres=800.0, open_s=1200.0)
            done = await server.wait_run(order.run_id, RunState.DONE)
            assert done.litres == 800.0
            states = [event.state for event in server.runs(order.run_id)]
            assert states == [RunState.ACCEPTED, RunState.OPEN, RunState.DONE]
            assert [node for node, event in server.stored.events if event in server.runs()] == [
                None,
                "board-1",
                "board-1",
            ]
            assert len(board.got(Open)) == 1


async def test_an_order_said_twice_is_carried_out_once_and_answered_twice(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with Server(mosquitto.port, tmp_path) as server, running(settings_for(mosquitto.port, tmp_path / "g")):
        await server.configure(f.FARM)
        async with Board(mosquitto.port) as board:
            order = now_order()
            await server.order(order)
            await server.say(Channel.COMMAND, order)
            await server.heard.wait(lambda: len([r for r in server.got(Reply) if r.command_id == order.id]) == 2)
            await server.wait_run(order.run_id, RunState.OPEN)
            assert len(board.got(Open)) == 1
            assert len(server.runs(order.run_id)) == 2


async def test_what_the_source_cannot_give_is_refused_with_the_numbers(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with Server(mosquitto.port, tmp_path) as server, running(settings_for(mosquitto.port, tmp_path / "g")):
        await server.configure(f.farm(sources=(replace(f.FARM.sources[0], capacity_l_min=50), f.FARM.sources[1])))
        async with Board(mosquitto.port) as board:
            first = now_order()
            await server.order(first)
            second = now_order("plums")
            reply = await server.order(second)
            assert reply.outcome is Outcome.REFUSED
            assert reply.reason is not None
            assert (reply.reason.code, reply.reason.params["capacity_l_min"]) == ("source-busy", 50.0)
            event = await server.wait_run(second.run_id, RunState.REFUSED)
            assert event.reason == reply.reason
            assert (await board.wait_for(Open)).run_id == first.run_id
            assert len(board.got(Open)) == 1


async def test_an_order_that_no_board_answers_expires_and_is_closed_for_good(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    async with Server(mosquitto.port, tmp_path) as server, running(settings_for(mosquitto.port, tmp_path / "g")):
        await server.configure(f.FARM)
        order = now_order(expires_at=utc() + timedelta(seconds=1.5))
        assert (await server.order(order)).outcome is Outcome.ACCEPTED
        expired = await server.wait_run(order.run_id, RunState.EXPIRED)
        assert expired.reason == Reason(code="board-away", params={"node_id": "board-1"})
        assert utc() >= order.expires_at
        async with Board(mosquitto.port) as board:
            await board.heard.wait(
                lambda: any(
                    one.message.kind == "close" for one in board.heard.all if one.address.channel is Channel.COMMAND
                )
            )
            assert board.got(Open) == []
        assert (await server.order(now_order())).outcome is Outcome.ACCEPTED


async def test_a_board_that_refuses_ends_the_run_with_its_reason(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with Server(mosquitto.port, tmp_path) as server, running(settings_for(mosquitto.port, tmp_path / "g")):
        await server.configure(f.FARM)
        async with Board(mosquitto.port) as board:
            board.refuses = Reason(code="daily-cap", params={"max_s": 7200.0})
            order = now_order()
            await server.order(order)
            assert (await server.wait_run(order.run_id, RunState.REFUSED)).reason == board.refuses


async def test_a_stop_is_repeated_until_the_run_has_ended(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with Server(mosquitto.port, tmp_path) as server, running(settings_for(mosquitto.port, tmp_path / "g")):
        await server.configure(f.FARM)
        async with Board(mosquitto.port) as board:
            order = now_order()
            await server.order(order)
            await server.wait_run(order.run_id, RunState.OPEN)
            board.deaf = True
            stop = f.close_order(order.run_id, utc())
            assert (await server.order(stop)).outcome is Outcome.ACCEPTED
            closes = await board.heard.wait(lambda: len(ids := {c.id for c in _closes(board)}) >= 2 and ids)
            assert len(closes) == 2
            board.deaf = False
            await server.wait_run(order.run_id, RunState.STOPPED)
            await server.wait_for(Reply, lambda reply: (reply.command_id, reply.outcome) == (stop.id, Outcome.DONE))


def _closes(board: Board) -> list[Any]:
    return [one.message for one in board.heard.all if getattr(one.message, "kind", "") == "close"]


async def test_close_all_reaches_every_board_and_is_done_when_all_show_it(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with Server(mosquitto.port, tmp_path) as server, running(settings_for(mosquitto.port, tmp_path / "g")):
        await server.configure(f.FARM)
        async with Board(mosquitto.port) as first, Board(mosquitto.port, node_id="board-2") as second:
            order = now_order()
            await server.order(order)
            await server.wait_run(order.run_id, RunState.OPEN)
            stop = f.close_all_order(utc())
            assert (await server.order(stop)).outcome is Outcome.ACCEPTED
            await server.wait_run(order.run_id, RunState.STOPPED)
            await server.wait_for(Reply, lambda reply: (reply.command_id, reply.outcome) == (stop.id, Outcome.DONE))
            assert first.got(CloseAll)
            assert second.got(CloseAll)


async def test_an_emergency_stop_in_the_settings_closes_what_is_open(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with Server(mosquitto.port, tmp_path) as server, running(settings_for(mosquitto.port, tmp_path / "g")):
        await server.configure(f.FARM)
        async with Board(mosquitto.port) as board:
            order = now_order()
            await server.order(order)
            await server.wait_run(order.run_id, RunState.OPEN)
            hold = Hold(until=utc() + timedelta(hours=1), reason="burst", emergency=True)
            await server.configure(f.farm(hold=hold), version=2)
            await board.wait_for(CloseAll)
            await server.wait_run(order.run_id, RunState.STOPPED)
            reply = await server.order(now_order())
            assert reply.reason == Reason(code="emergency-stop", params={"reason": "burst"})


def acks(board: Board) -> list[Ack]:
    """Of readings; the greeting is an acknowledgement of events."""
    return [ack for ack in board.got(Ack) if ack.lane is Lane.READINGS]


async def test_a_board_that_appears_is_told_what_is_held_of_it(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with running(settings_for(mosquitto.port, tmp_path / "g")), Board(mosquitto.port) as board:
        greeting = await board.wait_for(Ack)
        assert (greeting.boot_id, greeting.lane, greeting.seq) == (board.boot_id, Lane.EVENTS, 0)


async def test_a_batch_is_acknowledged_and_a_repeated_one_is_not_doubled(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with (
        Server(mosquitto.port, tmp_path) as server,
        running(settings_for(mosquitto.port, tmp_path / "g")),
        Board(mosquitto.port) as board,
    ):
        batch = await board.measure(f.readings(1, 500, utc()))
        await board.heard.wait(lambda: len(acks(board)) == 1)
        assert (acks(board)[0].boot_id, acks(board)[0].seq) == (board.boot_id, 500)
        await board.say(Channel.BATCH, batch)
        await board.heard.wait(lambda: len(acks(board)) == 2)
        assert acks(board)[1].seq == 500
        await board.measure(f.readings(1, 1, utc()))
        await server.heard.wait(lambda: len(server.stored.readings) >= 501)
        assert len(server.stored.readings) == 501
        assert {node for node, _ in server.stored.readings} == {"board-1"}
        assert [reading.seq for _, reading in server.stored.readings] == list(range(1, 502))


async def test_settings_become_timetables_and_only_the_board_concerned_gets_a_new_one(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    programs = (f.program("p", "beans", since=utc()), f.program("q", "tea", start="08:00", since=utc()))
    async with (
        Server(mosquitto.port, tmp_path) as server,
        running(settings_for(mosquitto.port, tmp_path / "g")),
        Board(mosquitto.port) as first,
        Board(mosquitto.port, node_id="board-2") as second,
    ):
        await server.configure(f.farm(programs=programs))
        mine = await first.wait_for(Timetable)
        assert {entry.zone_id for entry in mine.entries} == {"beans"}
        await second.wait_for(Timetable)
        plan = await server.wait_for(Timetable, lambda plan: bool(plan.entries))
        assert {entry.zone_id for entry in plan.entries} == {"beans", "tea"}
        await server.wait_for(FarmState, lambda state: _versions(state) == {"board-1": 1, "board-2": 1})
        changed = (f.program("p", "beans", minutes=30, since=utc()), programs[1])
        await server.configure(f.farm(programs=changed), version=2)
        newer = await first.wait_for(Timetable, lambda table: table.version == 2)
        assert newer.entries[-1].max_s == 1800
        await server.wait_for(FarmState, lambda state: _versions(state) == {"board-1": 2, "board-2": 1})
        assert len(second.got(Timetable)) == 1


def _versions(state: FarmState) -> dict[str, int]:
    return {node.node_id: node.state.timetable_version for node in state.nodes if node.state}


async def test_a_board_that_comes_back_with_another_version_is_told_again(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with Server(mosquitto.port, tmp_path) as server, running(settings_for(mosquitto.port, tmp_path / "g")):
        await server.configure(f.FARM)
        async with Board(mosquitto.port) as board:
            await board.wait_for(Timetable)
        async with Board(mosquitto.port) as anew:
            await anew.wait_for(Timetable)


async def test_settings_of_another_farm_are_refused_and_the_last_good_ones_kept(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    async with (
        Server(mosquitto.port, tmp_path) as server,
        running(settings_for(mosquitto.port, tmp_path / "g")) as gateway,
        Board(mosquitto.port) as board,
    ):
        await server.configure(f.FARM)
        await server.say(Channel.CONFIG, FarmConfig(version=2, farm=f.farm(id="other")))
        faults = await server.heard.wait(lambda: [e for _, e in server.stored.events if e.kind == "fault"])
        assert (faults[0].code, faults[0].cleared) == ("config-refused", False)
        assert "other" in faults[0].params["why"]
        assert gateway.plan.config_version == 1
        assert (await server.order(now_order())).outcome is Outcome.ACCEPTED
        await board.wait_for(Open)
        await server.configure(f.FARM, version=3)
        await server.heard.wait(lambda: [e for _, e in server.stored.events if e.kind == "fault" and e.cleared])


async def test_a_board_that_no_zone_needs_is_heard_but_not_commanded(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with Server(mosquitto.port, tmp_path) as server, running(settings_for(mosquitto.port, tmp_path / "g")):
        await server.configure(f.FARM)
        async with Board(mosquitto.port, node_id="stranger") as board:
            await board.measure(f.readings(1, 3, utc()))
            await board.wait_for(Ack)
            await server.heard.wait(lambda: len(server.stored.readings) == 3)
            await server.order(f.close_all_order(utc()))
            await server.online("stranger")
            assert {one.address.channel for one in board.heard.all} == {Channel.ACK}


async def test_a_retained_order_is_refused(mosquitto: Mosquitto, tmp_path: Path) -> None:
    order = now_order()
    async with (
        Server(mosquitto.port, tmp_path) as server,
        running(settings_for(mosquitto.port, tmp_path / "g")) as gateway,
    ):
        await server.configure(f.FARM)
        reply = gateway.orders.handle(order, utc(), retained=True)
        assert (reply.outcome, reply.reason) == (Outcome.REFUSED, Reason(code="retained"))
        assert gateway.journal.run(order.run_id) is None


async def test_a_watering_by_the_timetable_has_a_decision(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with (
        Server(mosquitto.port, tmp_path) as server,
        running(settings_for(mosquitto.port, tmp_path / "g")),
        Board(mosquitto.port) as board,
    ):
        await server.configure(f.farm(programs=(f.program("p", "beans", since=utc()),)))
        entry = (await board.wait_for(Timetable)).entries[0]
        await board.tell(f.due_report(entry, RunState.OPEN, utc()))
        events = await server.heard.wait(lambda: [e for _, e in server.stored.events if isinstance(e, DecisionEvent)])
        decision = events[0].decision
        assert (decision.id, decision.result, decision.due) == (entry.id, Result.RAN, entry.due)


async def test_the_server_learns_of_the_gateways_end(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with Server(mosquitto.port, tmp_path) as server:
        async with running(settings_for(mosquitto.port, tmp_path / "g")):
            await server.wait_for(Status, lambda status: status.online)
        await server.wait_for(Status, lambda status: not status.online)


async def test_news_wait_for_the_server_through_a_restart_and_come_once(mosquitto: Mosquitto, tmp_path: Path) -> None:
    settings = settings_for(mosquitto.port, tmp_path / "g")
    async with running(settings) as gateway, Board(mosquitto.port) as board:
        await board.measure(f.readings(1, 50, utc()))
        await board.wait_for(Ack)
        first = gateway.outbox.boot_id
    async with Server(mosquitto.port, tmp_path) as server, running(settings):
        await server.heard.wait(lambda: len(server.stored.readings) >= 50)
        boots = await server.heard.wait(
            lambda: len(found := [e for _, e in server.stored.events if e.kind == "boot"]) == 2 and found
        )
        assert boots[0].boot_id == first
        assert len(server.stored.readings) == 50


async def test_two_brokers_one_for_the_boards_and_one_for_the_server(
    mosquitto: Mosquitto, start_mosquitto: Any, tmp_path: Path
) -> None:
    upper = start_mosquitto()
    settings = settings_for(mosquitto.port, tmp_path / "g").model_copy(
        update={"uplink": settings_for(upper.port, tmp_path).mqtt}
    )
    async with Server(upper.port, tmp_path) as server, running(settings), Board(mosquitto.port) as board:
        await server.configure(f.FARM)
        order = now_order()
        await server.order(order)
        await board.wait_for(Open)
        await server.wait_run(order.run_id, RunState.OPEN)


async def test_the_broker_may_die_and_come_back_without_its_memory(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with Server(mosquitto.port, tmp_path) as server, running(settings_for(mosquitto.port, tmp_path / "g")):
        await server.configure(f.FARM)
        async with Board(mosquitto.port) as board:
            await board.measure(f.readings(1, 10, utc()))
            await server.heard.wait(lambda: len(server.stored.readings) == 10)
            for end in (board, server):
                end.expect_loss()
            mosquitto.kill()
            (mosquitto.folder / "mosquitto.db").unlink(missing_ok=True)
            mosquitto.start()
            await board.back()
            await server.back()
            order = now_order()
            await _until_said(server, order)
            await server.wait_run(order.run_id, RunState.OPEN)


async def _until_said(server: Server, order: Open) -> None:
    """Say it until the gateway is back too: before that the broker knows no subscription of it."""
    async with asyncio.timeout(10):
        while not any(reply.command_id == order.id for reply in server.got(Reply)):
            await server.say(Channel.COMMAND, order)
            await asyncio.sleep(0.1)


def test_the_farm_of_these_tests_has_a_source_that_is_too_small_for_one_zone() -> None:
    assert f.FARM.source("well") == Source(id="well", name="Well", capacity_l_min=30)


async def test_a_message_of_another_farm_is_refused_and_its_own_echo_is_passed_over(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    order = now_order()
    birth = Status(online=True, boot_id="b", at=utc())
    async with running(settings_for(mosquitto.port, tmp_path / "g")) as gateway:
        await gateway.on_message(Incoming(Address("other", GATEWAY, Channel.COMMAND), order, retained=False))
        await gateway.on_message(Incoming(Address("other", "board-1", Channel.STATUS), birth, retained=False))
        assert gateway.refused == 2
        await gateway.on_message(Incoming(Address("mai", GATEWAY, Channel.STATUS), birth, retained=False))
        assert gateway.refused == 2
        assert gateway.boards.all() == ()
        assert gateway.journal.run(order.run_id) is None


async def test_what_is_not_for_a_gateway_is_refused(mosquitto: Mosquitto, tmp_path: Path) -> None:
    config = NodeConfig(version=1, tz="UTC", channels=())
    plan = Timetable(version=1, compiled_at=utc(), valid_until=utc(), tz="UTC", entries=())
    async with running(settings_for(mosquitto.port, tmp_path / "g")) as gateway:
        await gateway.on_message(Incoming(Address("mai", GATEWAY, Channel.CONFIG), config, retained=False))
        await gateway.on_message(Incoming(Address("mai", "board-1", Channel.PLAN), plan, retained=False))
        assert gateway.refused == 2


async def test_a_journal_that_cannot_be_read_is_set_aside_and_told(mosquitto: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "journal.sqlite3").write_bytes(b"no database" * 1000)
    async with Server(mosquitto.port, tmp_path) as server, running(settings_for(mosquitto.port, tmp_path / "g")):
        faults = await server.heard.wait(lambda: [e for _, e in server.stored.events if e.kind == "fault"])
        assert faults[0].code == "database-replaced"
        assert (tmp_path / "g" / str(faults[0].params["file"])).exists()
        await server.configure(f.FARM)


async def test_now_and_then_the_server_sees_a_fresh_snapshot_and_the_journal_keeps_the_time(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    async with (
        Server(mosquitto.port, tmp_path) as server,
        running(settings_for(mosquitto.port, tmp_path / "g")) as gateway,
    ):
        first = await server.wait_for(FarmState)
        gateway._ticked.set()
        await server.wait_for(FarmState, lambda state: state.at > first.at)
        kept = gateway.journal.fact("last_time", datetime)
        assert kept is not None
        assert kept >= first.at


async def test_while_the_clock_is_not_trusted_the_snapshot_says_so(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with (
        Server(mosquitto.port, tmp_path) as server,
        running(settings_for(mosquitto.port, tmp_path / "g")) as gateway,
    ):
        await server.configure(f.FARM)
        long_ago = utc().replace(year=1970)
        gateway.clock._read = lambda: long_ago
        gateway._replan()
        gateway._ticked.set()
        await server.wait_for(FarmState, lambda state: not state.clock_trusted)
        assert gateway.plan.timetable_version == 1


async def test_a_plan_that_cannot_be_compiled_leaves_the_last_one_and_is_told_once(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    def unable(*_: Any, **__: Any) -> Timetable:
        raise ValueError("the planner cannot")

    async with (
        Server(mosquitto.port, tmp_path) as server,
        running(settings_for(mosquitto.port, tmp_path / "g")) as gateway,
    ):
        await server.configure(f.FARM)
        gateway.plan._compile = unable
        for _ in range(2):
            gateway._replan()
            await server.heard.wait(lambda: [e for _, e in server.stored.events if e.kind == "fault"])
        assert (await server.order(now_order())).outcome is Outcome.ACCEPTED
        assert gateway.plan.timetable_version == 1
        assert len([e for _, e in server.stored.events if e.kind == "fault"]) == 1
