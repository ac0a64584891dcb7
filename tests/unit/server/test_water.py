"""Water now and stop, from the phone's order to what it shows."""

import asyncio
from datetime import timedelta

import pytest

from contract.messages import Close, CloseAll, Open, Outcome, Reason, Reply, RunProgress
from contract.topics import Channel
from irrigation.model import Hold
from irrigation.run import RunState
from tests.unit.server.coop import NOW, Coop, run_event

KEY = {"Idempotency-Key": "order-0001"}


async def test_an_order_is_written_down_sent_and_shown_as_asked(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        answer = await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)
        run = answer.json()
        assert answer.status_code == 202
        assert (run["state"], run["max_s"], run["actor"], run["origin"]) == ("asked", 1200, "mai", "person")
        (order,) = coop.link.commands()
        assert isinstance(order, Open)
        assert (order.run_id, order.zone_id, order.dose.minutes, order.actor) == (run["id"], "dau-tay", 20, "mai")
        assert order.expires_at - order.issued_at == timedelta(seconds=90)
        home = (await mai.get("/farms/mai/snapshot")).json()
        assert home["runs"][run["id"]] == run
        assert home["zones"]["dau-tay"]["run_id"] == run["id"]
        assert home["zones"]["dau-tay"]["last_dose"] == {"minutes": 20}
        assert (await mai.get(f"/runs/{run['id']}")).json() == run


async def test_the_same_key_gives_the_same_run_and_one_order(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        first = await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)
        coop.clock.move(5)
        again = await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)
        assert again.status_code == 202
        assert again.json() == first.json()
        assert len(coop.link.commands()) == 1


async def test_the_same_key_for_another_order_is_refused(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)
        for path, dose in (("dau-tay", {"minutes": 21}), ("rau-cai-meo", {"minutes": 20})):
            answer = await mai.post(f"/zones/{path}/runs", json={"dose": dose}, headers=KEY)
            assert answer.status_code == 409
            assert answer.json()["type"].endswith("/key-reused")
        assert len(coop.link.commands()) == 1


async def test_two_people_may_use_the_same_key(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai, coop.client("thanh") as thanh:
        one = await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)
        other = await thanh.post("/zones/dau-tay/runs", json={"dose": {"minutes": 9}}, headers=KEY)
        assert one.json()["id"] != other.json()["id"]


@pytest.mark.parametrize(
    ("dose", "field", "code"),
    [
        ({"minutes": 61}, "dose.minutes", "dose-above-cap"),
        ({"litres": 900, "max_minutes": 61}, "dose.max_minutes", "dose-above-cap"),
        ({"until_moisture_pct": 36, "max_minutes": 90}, "dose.max_minutes", "dose-above-cap"),
        ({"litres": 48 * 61}, "dose.litres", "litres-above-cap"),
    ],
)
async def test_a_dose_above_the_zones_cap_is_refused_and_the_field_named(
    coop: Coop, dose: dict[str, float], field: str, code: str
) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        answer = await mai.post("/zones/dau-tay/runs", json={"dose": dose}, headers=KEY)
        said = answer.json()
        assert answer.status_code == 422
        assert said["type"].endswith(code)
        assert said["field"] == field
        assert said["params"]["max_minutes"] == 60
        assert "60" in said["detail"]
        assert coop.link.commands() == []


async def test_an_order_is_refused_when_the_gateway_is_away_and_nothing_is_kept(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        answer = await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("/gateway-away")
        assert (await mai.get("/farms/mai/snapshot")).json()["runs"] == {}
        await coop.gateway_up()
        assert (await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)).status_code == 202


async def test_an_order_that_could_not_be_sent_is_expired_at_once(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        real, coop.link.publish = coop.link.publish, _breaks  # type: ignore[method-assign]
        answer = await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)
        assert answer.status_code == 503
        (run,) = (await mai.get("/farms/mai/snapshot")).json()["runs"].values()
        assert (run["state"], run["reason"]["code"]) == ("expired", "gateway-away")
        coop.link.publish = real  # type: ignore[method-assign]


async def _breaks(*_args: object, **_more: object) -> None:
    from contract.errors import NotConnected

    raise NotConnected("the connection broke")


async def test_a_run_is_followed_from_asked_to_done_with_litres(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)).json()["id"]
        (order,) = coop.link.commands()
        closes_at = NOW + timedelta(minutes=20)
        steps = [RunState.ACCEPTED, RunState.OPENING, RunState.OPEN, RunState.WATERING]
        for seq, state in enumerate(steps, 1):
            coop.clock.move(1)
            opened = {"opened_at": NOW, "closes_at": closes_at} if state not in steps[:2] else {}
            await coop.events(run_event(seq, order, state, coop.clock(), **opened))
            assert (await mai.get(f"/runs/{run_id}")).json()["state"] == state.value
        assert isinstance(order, Open)
        progress = RunProgress(
            run_id=run_id, zone_id="dau-tay", state=RunState.WATERING, origin=order.origin, actor="mai",
            dose=order.dose, max_s=1200.0, litres=96.04, flow_l_min=47.96,
        )  # fmt: skip
        await coop.link.says("mai", Channel.STATE, coop.state(v1=progress))
        run = (await mai.get(f"/runs/{run_id}")).json()
        assert (run["litres"], run["flow_l_min"], run["closes_at"]) == (96.0, 48.0, "2026-11-23T05:20:00.000Z")
        coop.clock.move(1200)
        await coop.events(run_event(5, order, RunState.DONE, coop.clock(), litres=960.0, open_s=1200.0))
        run = (await mai.get(f"/runs/{run_id}")).json()
        assert (run["state"], run["litres"], run["flow_l_min"]) == ("done", 960.0, None)
        assert run["ended_at"] == run["at"]
        assert (await mai.get("/farms/mai/snapshot")).json()["zones"]["dau-tay"]["run_id"] is None


async def test_a_refusal_says_why(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)).json()["id"]
        (order,) = coop.link.commands()
        reason = Reason(code="source-busy", params={"capacity_l_min": 60.0})
        reply = Reply(command_id=order.id, at=coop.clock(), outcome=Outcome.REFUSED, reason=reason)
        await coop.link.says("mai", Channel.REPLY, reply)
        run = (await mai.get(f"/runs/{run_id}")).json()
        assert run["state"] == "refused"
        assert run["reason"] == {"code": "source-busy", "params": {"capacity_l_min": 60.0}}
        await coop.events(run_event(1, order, RunState.REFUSED, coop.clock(), reason=reason))
        assert (await mai.get(f"/runs/{run_id}")).json() == run


async def test_an_order_that_nobody_answers_expires_by_the_servers_own_timer(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)).json()["id"]
        for wait_s, state in ((92.9, "asked"), (0.2, "expired")):
            coop.clock.move(wait_s)
            coop.app.services.watering.tick(coop.clock())
            assert (await mai.get(f"/runs/{run_id}")).json()["state"] == state
        assert (await mai.get(f"/runs/{run_id}")).json()["reason"]["code"] == "gateway-away"


async def test_a_report_of_what_really_happened_takes_the_place_of_our_guess(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)).json()["id"]
        (order,) = coop.link.commands()
        coop.clock.move(100)
        coop.app.services.watering.tick(coop.clock())
        await coop.events(run_event(1, order, RunState.WATERING, coop.clock(), opened_at=NOW))
        run = (await mai.get(f"/runs/{run_id}")).json()
        assert (run["state"], run["reason"], run["ended_at"]) == ("watering", None, None)


async def test_a_stop_is_said_again_until_the_run_has_ended(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)).json()["id"]
        (order,) = coop.link.commands()
        await coop.events(run_event(1, order, RunState.WATERING, coop.clock(), opened_at=NOW))
        answer = await mai.post(f"/runs/{run_id}/stop")
        assert answer.status_code == 202
        assert answer.json()["stopping"] is True
        watering = coop.app.services.watering
        await watering.say_stops(coop.clock())
        closes = coop.link.commands("close")
        assert [close.run_id for close in closes if isinstance(close, Close)] == [run_id, run_id]
        assert len({close.id for close in closes}) == 2
        await coop.events(run_event(2, order, RunState.STOPPED, coop.clock(), litres=10.0))
        await watering.say_stops(coop.clock())
        assert len(coop.link.commands("close")) == 2
        assert (await mai.get(f"/runs/{run_id}")).json()["state"] == "stopped"


async def test_a_stop_survives_a_restart_of_the_server(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)).json()["id"]
        (order,) = coop.link.commands()
        await coop.events(run_event(1, order, RunState.WATERING, coop.clock(), opened_at=NOW))
        coop.link.connected = False
        assert (await mai.post(f"/runs/{run_id}/stop")).status_code == 202
    coop.close()
    again = Coop.open(coop.folder)
    await again.app.services.watering.say_stops(again.clock())
    (close,) = again.link.commands("close")
    assert isinstance(close, Close)
    assert close.run_id == run_id
    again.close()


async def test_a_stop_of_what_has_ended_changes_nothing(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)).json()["id"]
        (order,) = coop.link.commands()
        await coop.events(run_event(1, order, RunState.DONE, coop.clock()))
        answer = await mai.post(f"/runs/{run_id}/stop")
        assert (answer.status_code, answer.json()["state"]) == (202, "done")
        assert coop.link.commands("close") == []


async def test_stop_all_closes_everything_and_is_said_until_the_gateway_has_it(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        answer = await mai.post("/farms/mai/stop-all")
        assert answer.status_code == 202
        assert [(valve["node_id"], valve["channel"], valve["state"]) for valve in answer.json()["valves"]] == [
            ("board-1", "v1", "closed"), ("board-1", "v2", "closed"), ("board-2", "v1", "closed"),
            ("board-2", "v2", "closed"), ("board-3", "v1", "closed"), ("board-3", "v2", "closed"),
        ]  # fmt: skip
        watering = coop.app.services.watering
        await watering.say_stops(coop.clock())
        orders = coop.link.commands("close-all")
        assert len(orders) == 2
        assert all(isinstance(order, CloseAll) for order in orders)
        reply = Reply(command_id=orders[-1].id, at=coop.clock(), outcome=Outcome.ACCEPTED)
        await coop.link.says("mai", Channel.REPLY, reply)
        await watering.say_stops(coop.clock())
        assert len(coop.link.commands("close-all")) == 2


async def test_stop_all_is_taken_with_the_gateway_away_and_said_when_it_returns(coop: Coop) -> None:
    coop.link.connected = False
    async with coop.client("mai") as mai:
        answer = await mai.post("/farms/mai/stop-all")
        assert answer.status_code == 202
        assert {valve["state"] for valve in answer.json()["valves"]} == {"unknown"}
        coop.link.connected = True
        await coop.app.services.watering.say_stops(coop.clock())
        assert len(coop.link.commands("close-all")) == 1


async def test_stop_all_is_said_again_by_a_server_that_was_started_anew(coop: Coop) -> None:
    coop.link.connected = False
    async with coop.client("mai") as mai:
        assert (await mai.post("/farms/mai/stop-all")).status_code == 202
    coop.close()
    for taken in (False, True):
        again = Coop.open(coop.folder)
        await again.app.services.watering.say_stops(again.clock())
        orders = again.link.commands("close-all")
        assert [order.actor for order in orders] == ["mai"]
        if taken:
            reply = Reply(command_id=orders[0].id, at=again.clock(), outcome=Outcome.ACCEPTED)
            await again.link.says("mai", Channel.REPLY, reply)
        again.close()
    third = Coop.open(coop.folder)
    await third.app.services.watering.say_stops(third.clock())
    assert third.link.commands("close-all") == []
    third.close()


async def test_a_wish_to_close_everything_ends_with_its_time(coop: Coop) -> None:
    coop.link.connected = False
    async with coop.client("mai") as mai:
        assert (await mai.post("/farms/mai/stop-all")).status_code == 202
    coop.close()
    again = Coop.open(coop.folder)
    again.clock.move(601)
    await again.app.services.watering.say_stops(again.clock())
    assert again.link.commands("close-all") == []
    again.close()


async def test_nobody_waters_during_an_emergency_stop(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        until = (NOW + timedelta(days=1)).isoformat()
        held = await mai.put("/farms/mai/hold", json={"until": until, "reason": "vỡ ống", "emergency": True})
        assert held.status_code == 200
        answer = await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)
        assert (answer.status_code, answer.json()["type"].rsplit("/")[-1]) == (409, "farm-held-by-stop")
        assert (await mai.delete("/farms/mai/hold")).status_code == 204
        assert (await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)).status_code == 202


async def test_a_hold_goes_to_the_gateway_and_people_may_still_water(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        until = NOW + timedelta(days=1)
        await mai.put("/farms/mai/hold", json={"until": until.isoformat(), "reason": "mưa"})
        config = [message for _, channel, message in coop.link.sent if channel is Channel.CONFIG][-1]
        assert config.farm.hold == Hold(until=until, reason="mưa")
        home = (await mai.get("/farms/mai/snapshot")).json()
        assert home["hold"] == {
            "until": "2026-11-24T05:00:00.000Z",
            "reason": "mưa",
            "emergency": False,
            "pause": False,
        }
        answer = await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)
        assert answer.status_code == 202
        coop.clock.move(86_400)
        assert (await mai.get("/farms/mai/snapshot")).json()["hold"] is None


@pytest.mark.parametrize("days", [-1, 0, 181])
async def test_a_hold_ends_in_the_future_and_within_reason(coop: Coop, days: int) -> None:
    async with coop.client("mai") as mai:
        until = (NOW + timedelta(days=days)).isoformat()
        answer = await mai.put("/farms/mai/hold", json={"until": until, "reason": ""})
        assert (answer.status_code, answer.json()["field"]) == (422, "until")


async def test_a_run_whose_report_is_lost_ends_when_its_board_shows_the_valve_closed(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        run_id = (await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)).json()["id"]
        (order,) = coop.link.commands()
        closes_at = NOW + timedelta(minutes=20)
        await coop.events(run_event(1, order, RunState.WATERING, NOW, opened_at=NOW, closes_at=closes_at))
        coop.clock.move(31 * 60)
        coop.app.services.watering.tick(coop.clock())
        assert (await mai.get(f"/runs/{run_id}")).json()["state"] == "watering"  # the board was not heard since
        await coop.link.says("mai", Channel.STATE, coop.state())
        coop.app.services.watering.tick(coop.clock())
        run = (await mai.get(f"/runs/{run_id}")).json()
        assert (run["state"], run["reason"]["code"]) == ("interrupted", "report-lost")


async def test_the_resending_task_ends_when_it_is_told_to(coop: Coop) -> None:
    tasks = [
        asyncio.create_task(coop.app.services.watering.resend()),
        asyncio.create_task(coop.app.services.watering.run()),
    ]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True))


async def test_a_pause_goes_to_the_gateway_and_ends_by_itself(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        until = NOW + timedelta(minutes=30)
        answer = await mai.put("/farms/mai/hold", json={"until": until.isoformat(), "pause": True})
        assert (answer.status_code, answer.json()["pause"]) == (200, True)
        config = [message for _, channel, message in coop.link.sent if channel is Channel.CONFIG][-1]
        assert config.farm.hold == Hold(until=until, pause=True)
        now = await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)
        assert (now.status_code, now.json()["type"].rsplit("/")[-1]) == (409, "farm-paused")
        waits = {"dose": {"minutes": 20}, "queue": "append"}
        assert (await mai.post("/zones/dau-tay/runs", json=waits, headers=KEY)).status_code == 202
        coop.clock.move(1800)
        assert (await mai.get("/farms/mai/snapshot")).json()["hold"] is None
        key = {"Idempotency-Key": "order-0002"}
        assert (await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=key)).status_code == 202


async def test_a_pause_is_short_and_does_not_end_a_hold(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        late = (NOW + timedelta(minutes=121)).isoformat()
        long = await mai.put("/farms/mai/hold", json={"until": late, "pause": True})
        assert (long.status_code, long.json()["field"]) == (422, "until")
        until = (NOW + timedelta(minutes=30)).isoformat()
        both = await mai.put("/farms/mai/hold", json={"until": until, "pause": True, "emergency": True})
        assert (both.status_code, both.json()["field"]) == (422, "pause")
        await mai.put("/farms/mai/hold", json={"until": (NOW + timedelta(days=1)).isoformat(), "reason": "mưa"})
        held = await mai.put("/farms/mai/hold", json={"until": until, "pause": True})
        assert (held.status_code, held.json()["type"].rsplit("/")[-1]) == (409, "farm-held-already")
        assert (await mai.get("/farms/mai/snapshot")).json()["hold"]["reason"] == "mưa"
