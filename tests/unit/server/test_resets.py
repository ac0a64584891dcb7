"""A locked valve from its board's word to the technician's reset, and what became of that."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from contract.messages import FarmState, FaultEvent, Outcome, Reason, Reply, Reset, ValvePosition
from contract.topics import Channel
from irrigation.run import RunState
from server.ledger.tables import audit
from tests.unit.server.coop import NOW, Coop, run_event

PATH = "/farms/mai/nodes/board-1/channels/v1/reset"
LOCKED = Reason(code="burst", params={"since": "2026-11-23T04:00:00Z"})


def with_valve(state: FarmState, **changes: Any) -> FarmState:
    """The farm's state with v1 of board-1 changed."""
    nodes = []
    for report in state.nodes:
        if report.node_id != "board-1" or report.state is None:
            nodes.append(report)
            continue
        valves = [v.model_copy(update=changes) if v.channel == "v1" else v for v in report.state.valves]
        shown = report.state.model_copy(update={"valves": tuple(valves)})
        nodes.append(report.model_copy(update={"state": shown}))
    return state.model_copy(update={"nodes": tuple(nodes)})


async def locked(coop: Coop) -> None:
    await coop.gateway_up()
    await coop.link.says("mai", Channel.STATE, with_valve(coop.state(), quarantine=LOCKED))


async def valve(client: httpx.AsyncClient) -> dict[str, Any]:
    valves = (await client.get("/farms/mai/snapshot")).json()["nodes"]["board-1"]["valves"]
    found: dict[str, Any] = next(one for one in valves if one["channel"] == "v1")
    return found


async def test_a_locked_valve_is_shown_with_its_reason(coop: Coop) -> None:
    await locked(coop)
    async with coop.client("mai") as mai:
        shown = await valve(mai)
        assert shown["quarantine"] == {"code": "burst", "params": {"since": "2026-11-23T04:00:00Z"}}
        assert (shown["state"], shown["reset"]) == ("closed", None)


@pytest.mark.parametrize("name", ["thanh", "hoa"], ids=["technician", "manager"])
async def test_a_technician_s_or_manager_s_reset_is_sent_to_the_board_and_written_down(coop: Coop, name: str) -> None:
    await locked(coop)
    async with coop.client(name) as person:
        answer = await person.post(PATH)
        assert answer.status_code == 202
        assert answer.json() == {"by": name, "at": "2026-11-23T05:00:00.000Z", "refused": None}
        (order,) = coop.link.commands("reset")
        assert isinstance(order, Reset)
        assert (order.node_id, order.channel, order.actor) == ("board-1", "v1", name)
        assert order.expires_at - order.issued_at == timedelta(seconds=60)
        assert (await valve(person))["reset"] == answer.json()
        with coop.app.services.ledger.read() as connection:
            acts = connection.execute(select(audit).where(audit.c.act == "reset")).all()
        assert [(row.account, row.farm_id, row.subject) for row in acts] == [(name, "mai", "board-1/v1")]


async def test_the_board_s_answer_ends_the_asking(coop: Coop) -> None:
    await locked(coop)
    async with coop.client("thanh") as thanh:
        await thanh.post(PATH)
        (order,) = coop.link.commands("reset")
        await coop.link.says("mai", Channel.REPLY, Reply(command_id=order.id, at=NOW, outcome=Outcome.ACCEPTED))
        assert (await valve(thanh))["reset"] is not None
        await coop.link.says("mai", Channel.REPLY, Reply(command_id=order.id, at=NOW, outcome=Outcome.DONE))
        await coop.link.says("mai", Channel.STATE, coop.state())
        shown = await valve(thanh)
        assert (shown["quarantine"], shown["reset"]) == (None, None)


async def test_a_board_that_shows_the_valve_unlocked_ends_the_asking_too(coop: Coop) -> None:
    await locked(coop)
    async with coop.client("thanh") as thanh:
        await thanh.post(PATH)
        await coop.link.says("mai", Channel.STATE, coop.state())
        assert (await valve(thanh))["reset"] is None


async def test_a_board_that_refuses_says_why(coop: Coop) -> None:
    await locked(coop)
    async with coop.client("thanh") as thanh:
        await thanh.post(PATH)
        (order,) = coop.link.commands("reset")
        why = Reason(code="close-failed", params={"channel": "v1"})
        reply = Reply(command_id=order.id, at=NOW, outcome=Outcome.REFUSED, reason=why)
        await coop.link.says("mai", Channel.REPLY, reply)
        assert (await valve(thanh))["reset"]["refused"] == {"code": "close-failed", "params": {"channel": "v1"}}


async def test_a_farmer_may_not_reset(coop: Coop) -> None:
    await locked(coop)
    async with coop.client("mai") as mai:
        answer = await mai.post(PATH)
        assert (answer.status_code, answer.json()["type"].split("/")[-1]) == (403, "not-allowed")
    assert coop.link.commands() == []


@pytest.mark.parametrize("path", ["board-1/channels/v9", "board-9/channels/v1"])
async def test_a_valve_that_is_not_there_is_not_found(coop: Coop, path: str) -> None:
    await locked(coop)
    async with coop.client("thanh") as thanh:
        assert (await thanh.post(f"/farms/mai/nodes/{path}/reset")).status_code == 404
    assert coop.link.commands() == []


async def test_without_its_gateway_nothing_is_asked_and_the_person_is_told(coop: Coop) -> None:
    await locked(coop)
    coop.link.connected = False
    async with coop.client("thanh") as thanh:
        answer = await thanh.post(PATH)
        assert (answer.status_code, answer.json()["type"].split("/")[-1]) == (503, "gateway-away")


async def test_a_failed_run_whose_fault_is_an_alert_already_raises_no_second_one(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers={"Idempotency-Key": "order-0001"})
        (order,) = coop.link.commands()
        fault = FaultEvent(seq=1, node_id="board-1", at=NOW, code="burst", channel="v1", zone_id="dau-tay")
        ended = run_event(2, order, RunState.FAILED, NOW, reason=Reason(code="burst"))
        await coop.events(fault, ended)
        alerts = (await mai.get("/farms/mai/snapshot")).json()["alerts"].values()
        assert [(alert["kind"], alert["severity"]) for alert in alerts] == [("burst", "critical")]


async def test_a_valve_that_runs_on_is_shown_as_not_closed(coop: Coop) -> None:
    await coop.gateway_up()
    state = with_valve(coop.state(), position=ValvePosition.CLOSE_FAILED, quarantine=Reason(code="flow-while-closed"))
    await coop.link.says("mai", Channel.STATE, state)
    async with coop.client("mai") as mai:
        assert (await valve(mai))["state"] == "close_failed"
