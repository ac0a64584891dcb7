"""Water that waits its turn, from the phone's order to what it shows of it."""

from datetime import timedelta
from typing import Any

import pytest

from contract.messages import Close, Enqueue, Open, Outcome, Reason, Reply
from contract.topics import Channel
from irrigation.model import QueuePlace, QueuePolicy, Timetable
from irrigation.run import RunState
from tests.unit.server.coop import NOW, Coop, run_event

KEY = {"Idempotency-Key": "order-0001"}
WATER: dict[str, Any] = {"dose": {"minutes": 20}, "queue": "append"}


def enqueued(coop: Coop) -> Enqueue:
    (order,) = coop.link.commands()
    assert isinstance(order, Enqueue)
    return order


def plan(*places: QueuePlace) -> Timetable:
    return Timetable(
        version=3, compiled_at=NOW, valid_until=NOW + timedelta(days=2), tz="Asia/Ho_Chi_Minh", entries=(), queue=places
    )


def opened(order: Enqueue, place: int = 0) -> Open:
    """The order that one of the parts becomes when its turn has come."""
    part = order.parts[place]
    return Open(
        id=f"turn-{part.run_id}", issued_at=order.issued_at, expires_at=order.expires_at, actor=order.actor,
        run_id=part.run_id, zone_id=part.zone_id, dose=part.dose, max_s=1200,
    )  # fmt: skip


async def queued(coop: Coop) -> None:
    await coop.events(run_event(1, opened(enqueued(coop)), RunState.QUEUED, NOW))


@pytest.mark.parametrize("policy", list(QueuePolicy))
async def test_an_order_says_where_it_stands_and_when_it_is_given_up(coop: Coop, policy: QueuePolicy) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        answer = await mai.post("/zones/dau-tay/runs", json=WATER | {"queue": policy.value}, headers=KEY)
        assert (answer.status_code, answer.json()["state"]) == (202, "asked")
        order = enqueued(coop)
        assert (order.policy, order.actor, order.give_up_at) == (policy, "mai", NOW + timedelta(hours=6))
        (part,) = order.parts
        assert (part.run_id, part.zone_id, part.dose.minutes) == (answer.json()["id"], "dau-tay", 20)
        again = await mai.post("/zones/dau-tay/runs", json=WATER | {"queue": policy.value}, headers=KEY)
        assert again.json() == answer.json()
        assert len(coop.link.commands()) == 1


async def test_it_shows_as_queued_with_its_expected_start_until_it_opens(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json=WATER, headers=KEY)).json()["id"]
        await queued(coop)
        turn, until = NOW + timedelta(minutes=12), NOW + timedelta(hours=6)
        await coop.link.says(
            "mai", Channel.PLAN, plan(QueuePlace(run_id=run_id, zone_id="dau-tay", start=turn, until=until))
        )
        (waiting,) = (await mai.get("/farms/mai/queue")).json()["queue"]
        assert (waiting["id"], waiting["state"], waiting["turn_at"]) == (run_id, "queued", "2026-11-23T05:12:00.000Z")
        home = (await mai.get("/farms/mai/snapshot")).json()
        assert home["runs"][run_id] == waiting
        assert home["zones"]["dau-tay"]["run_id"] == run_id
        order = enqueued(coop)
        for seq, state in ((2, RunState.ACCEPTED), (3, RunState.OPEN)):
            coop.clock.move(360)
            more = {"opened_at": coop.clock()} if state is RunState.OPEN else {}
            await coop.events(run_event(seq, opened(order), state, coop.clock(), **more))
        assert (await mai.get("/farms/mai/queue")).json() == {"queue": []}
        assert (await mai.get(f"/runs/{run_id}")).json()["state"] == "open"


async def test_a_new_expected_start_is_told_live(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json=WATER, headers=KEY)).json()["id"]
        await queued(coop)
        view = coop.app.services.live.view("mai")
        assert view is not None
        view.delta(NOW)
        until = NOW + timedelta(hours=6)
        await coop.link.says(
            "mai", Channel.PLAN, plan(QueuePlace(run_id=run_id, zone_id="dau-tay", start=until, until=until))
        )
        delta = view.delta(NOW) or {}
        assert (await mai.get(f"/runs/{run_id}")).json()["turn_at"] == "2026-11-23T11:00:00.000Z"
        assert delta["runs"][run_id]["turn_at"] == "2026-11-23T11:00:00.000Z"


async def test_one_of_the_queue_is_cancelled_by_stopping_it(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json=WATER, headers=KEY)).json()["id"]
        await queued(coop)
        assert (await mai.post(f"/runs/{run_id}/stop")).status_code == 202
        order, close = coop.link.commands()
        assert isinstance(order, Enqueue)
        assert isinstance(close, Close)
        assert close.run_id == run_id
        reason = Reason(code="stopped-before-opening")
        await coop.events(run_event(2, opened(order), RunState.STOPPED, NOW, reason=reason))
        run = (await mai.get(f"/runs/{run_id}")).json()
        assert (run["state"], run["stopping"], run["reason"]["code"]) == ("stopped", False, "stopped-before-opening")


async def test_a_program_is_run_whole_each_zone_behind_the_one_before(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        answer = await mai.post("/programs/sang-dau-tay/run", headers=KEY)
        runs = answer.json()["runs"]
        assert answer.status_code == 202
        assert [(run["zone_id"], run["program_id"], run["state"]) for run in runs] == [
            ("dau-tay", "sang-dau-tay", "asked"), ("rau-cai-meo", "sang-dau-tay", "asked"),
        ]  # fmt: skip
        order = enqueued(coop)
        assert (order.policy, order.program_id) == (QueuePolicy.APPEND, "sang-dau-tay")
        assert [(part.run_id, part.behind) for part in order.parts] == [
            (runs[0]["id"], None),
            (runs[1]["id"], runs[0]["id"]),
        ]
        assert (await mai.post("/programs/sang-dau-tay/run", headers=KEY)).json()["runs"] == runs
        assert len(coop.link.commands()) == 1


async def test_a_programs_cycles_and_shares_are_in_it(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        program = (await mai.get("/programs/sang-dau-tay")).json()
        program["zones"] = [
            {"zone_id": "dau-tay", "dose": {"minutes": 20}, "cycle": {"on_minutes": 5, "soak_minutes": 10}}
        ]  # fmt: skip
        program["adjust"] = {"pct": 50}
        assert (await mai.put("/programs/sang-dau-tay", json=program)).status_code == 200
        await mai.post("/programs/sang-dau-tay/run", json={"queue": "front"}, headers=KEY)
        (order,) = coop.link.commands("enqueue")
        assert isinstance(order, Enqueue)
        assert order.policy is QueuePolicy.FRONT
        assert [(part.dose.minutes, part.soak_s) for part in order.parts] == [(5.0, 0), (5.0, 600)]
        assert order.parts[1].after == order.parts[0].run_id
        program["adjust"], program["version"] = {"pct": 0}, 2
        await mai.put("/programs/sang-dau-tay", json=program)
        answer = await mai.post("/programs/sang-dau-tay/run")
        assert (answer.status_code, answer.json()["type"].rsplit("/")[-1]) == (409, "nothing-to-give")


async def test_what_a_program_would_give_is_told_before_it_is_asked_for_and_is_what_is_then_asked_for(
    coop: Coop,
) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        told = (await mai.get("/programs/sang-dau-tay/run")).json()["parts"]
        assert [(part["zone_id"], part["duration_s"], part["litres"], part["turn_at"]) for part in told] == [
            ("dau-tay", 1200, 960.0, "2026-11-23T05:00:00.000Z"),
            ("rau-cai-meo", 720, 240.0, "2026-11-23T05:20:00.000Z"),
        ]
        assert coop.link.commands() == []
        runs = (await mai.post("/programs/sang-dau-tay/run", headers=KEY)).json()["runs"]
        assert [(run["zone_id"], run["dose"]) for run in runs] == [(part["zone_id"], part["dose"]) for part in told]


async def test_what_is_told_before_follows_the_policy(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 40}}, headers=KEY)).json()["id"]
        first = {}
        for policy in QueuePolicy:
            parts = (await mai.get("/programs/sang-dau-tay/run", params={"queue": policy.value})).json()["parts"]
            first[policy.value] = parts[0]["turn_at"]
        assert first == {
            "append": "2026-11-23T05:40:00.000Z", "front": "2026-11-23T05:40:00.000Z",
            "replace": "2026-11-23T05:00:00.000Z",
        }  # fmt: skip
        assert (await mai.get(f"/runs/{run_id}")).json()["state"] == "asked"
        assert (await mai.get("/programs/sang-dau-tay/run", params={"queue": "now"})).status_code == 422


async def test_a_refusal_is_shown_at_once(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json=WATER, headers=KEY)).json()["id"]
        reason = Reason(code="queue-full", params={"most": 400.0})
        reply = Reply(command_id=enqueued(coop).id, at=NOW, outcome=Outcome.REFUSED, reason=reason)
        await coop.link.says("mai", Channel.REPLY, reply)
        run = (await mai.get(f"/runs/{run_id}")).json()
        assert (run["state"], run["reason"]["code"]) == ("refused", "queue-full")


async def test_what_the_gateway_never_takes_expires_and_what_waits_does_not(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json=WATER, headers=KEY)).json()["id"]
        await queued(coop)
        lost = (
            await mai.post("/zones/rau-cai-meo/runs", json=WATER, headers={"Idempotency-Key": "order-0002"})
        ).json()["id"]
        coop.clock.move(5 * 3600)
        await coop.gateway_up()
        coop.app.services.watering.tick(coop.clock())
        assert (await mai.get(f"/runs/{run_id}")).json()["state"] == "queued"
        assert (await mai.get(f"/runs/{lost}")).json()["state"] == "expired"
        coop.clock.move(2 * 3600)
        coop.app.services.watering.tick(coop.clock())
        assert (await mai.get(f"/runs/{run_id}")).json()["state"] == "expired"


async def test_one_accepted_long_after_it_was_asked_is_not_taken_for_lost(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json=WATER, headers=KEY)).json()["id"]
        await queued(coop)
        coop.clock.move(3 * 3600)
        await coop.events(run_event(2, opened(enqueued(coop)), RunState.ACCEPTED, coop.clock()))
        await coop.gateway_up()
        coop.app.services.watering.tick(coop.clock())
        assert (await mai.get(f"/runs/{run_id}")).json()["state"] == "accepted"


async def test_without_a_gateway_nothing_is_queued(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        answer = await mai.post("/zones/dau-tay/runs", json=WATER, headers=KEY)
        assert answer.status_code == 503
        await coop.gateway_up()
        coop.link.connected = False
        answer = await mai.post("/zones/dau-tay/runs", json=WATER, headers=KEY)
        assert answer.status_code == 503
        assert (await mai.get("/farms/mai/queue")).json() == {"queue": []}


@pytest.mark.parametrize("queue", ["now", 3, True])
async def test_a_policy_must_be_one_of_the_three(coop: Coop, queue: Any) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        answer = await mai.post("/zones/dau-tay/runs", json=WATER | {"queue": queue}, headers=KEY)
        assert (answer.status_code, answer.json()["field"]) == (422, "queue")
        answer = await mai.post("/programs/sang-dau-tay/run", json={"queue": queue})
        assert (answer.status_code, answer.json()["field"]) == (422, "queue")
