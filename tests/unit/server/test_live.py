"""What a phone that watches a farm is told: the snapshot, then each change once, at once."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from contract.messages import FaultEvent, GapEvent, NodeReport, Quality, Quantity, Status
from contract.topics import Channel
from irrigation.planner import compile_timetable
from irrigation.run import RunState
from server import live
from server.shapes import planned
from tests.unit.server.coop import NOW, Coop, reading, run_event

KEY = {"Idempotency-Key": "order-0001"}


class Watcher:
    """One who watches farm mai."""

    def __init__(self, coop: Coop) -> None:
        self._live = coop.app.services.live
        self.subscription = self._live.subscribe("mai")
        self._messages = self.subscription.messages()

    async def next(self) -> tuple[str, int, Any]:
        async with asyncio.timeout(5):
            event, number, text = await anext(self._messages)
        return event, number, json.loads(text)

    async def close(self) -> None:
        await self._messages.aclose()

    async def delta(self) -> Any:
        event, _, data = await self.next()
        assert event == "delta"
        return data


@pytest.fixture
async def phone(coop: Coop) -> AsyncIterator[Watcher]:
    """A phone that watches farm mai."""
    watcher = Watcher(coop)
    yield watcher
    await watcher.close()


async def test_the_snapshot_comes_first_then_each_change_whole_and_numbered(coop: Coop, phone: Watcher) -> None:
    await coop.gateway_up()
    event, first, snapshot = await phone.next()
    assert event == "snapshot"
    assert snapshot["link"]["gateway_online"] is True
    async with coop.client("mai") as mai:
        run = (await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)).json()
    event, number, delta = await phone.next()
    assert (event, number > first) == ("delta", True)
    assert delta["runs"] == {run["id"]: run}
    assert delta["zones"]["dau-tay"]["run_id"] == run["id"]
    assert set(delta) == {"at", "runs", "zones"} | (set(delta) & {"farm", "hold", "link", "nodes", "sources"})
    (order,) = coop.link.commands()
    await coop.events(run_event(1, order, RunState.WATERING, NOW, opened_at=NOW))
    delta = await phone.delta()
    assert delta["runs"][run["id"]]["state"] == "watering"


async def test_what_has_not_changed_is_not_told_again(coop: Coop, phone: Watcher) -> None:
    await coop.gateway_up()
    await phone.next()
    view = coop.app.services.live.view("mai")
    assert view is not None
    view.tidy(NOW)
    coop.app.services.live.tell("mai")
    view.tidy(NOW)
    assert view.delta(NOW) is None


async def test_moisture_is_the_median_of_the_probes_latest_good_readings(coop: Coop) -> None:
    await coop.readings(reading(1, 20, NOW), reading(2, 26, NOW, sensor="soil-2"))
    async with coop.client("mai") as mai:
        zone = (await mai.get("/farms/mai/snapshot")).json()["zones"]["dau-tay"]
        expected = {"value": 23.0, "at": "2026-11-23T05:00:00.000Z", "quality": "good", "reason": None, "sensors": 2}
        assert zone["moisture"] == expected
        later = NOW + timedelta(minutes=1)
        await coop.readings(reading(3, 99, later, quality=Quality.BAD))
        zone = (await mai.get("/farms/mai/snapshot")).json()["zones"]["dau-tay"]
        assert (zone["moisture"]["value"], zone["moisture"]["sensors"]) == (26.0, 1)  # the bad one has no say
        await coop.readings(reading(4, 30, NOW + timedelta(minutes=10)))
        zone = (await mai.get("/farms/mai/snapshot")).json()["zones"]["dau-tay"]
        assert (zone["moisture"]["value"], zone["moisture"]["sensors"]) == (30.0, 1)  # the other fell silent


@pytest.mark.parametrize("reason", ["open-circuit", "no-answer"])
async def test_a_zone_whose_probes_are_bad_keeps_the_last_believed_number_its_age_and_the_reason(
    coop: Coop, reason: str
) -> None:
    await coop.readings(reading(1, 24, NOW), reading(2, 26, NOW, sensor="soil-2", quality=Quality.SUSPECT))
    later = NOW + timedelta(minutes=2)
    value = None if reason == "no-answer" else 0.0
    await coop.readings(
        reading(3, value, later, quality=Quality.BAD, reason=reason),
        reading(4, value, later, sensor="soil-2", quality=Quality.BAD, reason=reason),
    )
    async with coop.client("mai") as mai:
        zone = (await mai.get("/farms/mai/snapshot")).json()["zones"]["dau-tay"]
        assert zone["moisture"] == {
            "value": 25.0, "at": "2026-11-23T05:00:00.000Z", "quality": "bad", "reason": reason, "sensors": 2,
        }  # fmt: skip


async def test_a_zone_that_was_only_ever_told_badly_has_no_number(coop: Coop) -> None:
    await coop.readings(reading(1, None, NOW, quality=Quality.BAD, reason="no-answer"))
    async with coop.client("mai") as mai:
        zone = (await mai.get("/farms/mai/snapshot")).json()["zones"]["dau-tay"]
        assert zone["moisture"] == {
            "value": None, "at": "2026-11-23T05:00:00.000Z", "quality": "bad", "reason": "no-answer", "sensors": 0,
        }  # fmt: skip


async def test_a_doubt_passes_through_with_its_reason(coop: Coop) -> None:
    await coop.readings(reading(1, 24, NOW, quality=Quality.SUSPECT, reason="drift"))
    async with coop.client("mai") as mai:
        zone = (await mai.get("/farms/mai/snapshot")).json()["zones"]["dau-tay"]
        assert (zone["moisture"]["value"], zone["moisture"]["quality"]) == (24.0, "suspect")
        assert zone["moisture"]["reason"] == "drift"


async def test_what_was_said_six_intervals_ago_is_stale_and_the_phone_is_told(coop: Coop, phone: Watcher) -> None:
    await coop.readings(reading(1, 24, NOW))
    await phone.next()
    view = coop.app.services.live.view("mai")
    assert view is not None
    for intervals, quality in ((6, "good"), (6.1, "stale")):
        now = NOW + timedelta(seconds=intervals * view.farm.report_every_s)
        view.tidy(now)
        moisture = view.snapshot(now)["zones"]["dau-tay"]["moisture"]
        assert (moisture["value"], moisture["quality"]) == (24.0, quality)
    told = view.delta(now)
    assert told is not None
    assert told["zones"]["dau-tay"]["moisture"]["reason"] == "too-old"


async def test_a_zone_without_a_word_from_its_probes_has_no_moisture(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        home = (await mai.get("/farms/mai/snapshot")).json()
        assert {zone["moisture"] for zone in home["zones"].values()} == {None}
        assert home["weather"] is None
        assert {valve["state"] for node in home["nodes"].values() for valve in node["valves"]} == {"unknown"}


async def test_weather_is_what_the_farm_measured_today(coop: Coop) -> None:
    yesterday = NOW - timedelta(hours=13)  # it is noon in Sơn La
    await coop.readings(
        reading(1, 4.0, yesterday, sensor="rain", quantity=Quantity.RAIN),
        reading(2, 0.4, NOW, sensor="rain", quantity=Quantity.RAIN),
        reading(3, 0.2, NOW, sensor="rain", quantity=Quantity.RAIN),
        reading(4, 21.44, NOW, sensor="air", quantity=Quantity.AIR_TEMPERATURE),
    )
    async with coop.client("mai") as mai:
        weather = (await mai.get("/farms/mai/snapshot")).json()["weather"]
        assert weather == {"rain_mm_today": 0.6, "air_temperature_c": 21.4, "at": "2026-11-23T05:00:00.000Z"}


async def test_a_restarted_server_shows_the_farm_before_the_gateway_speaks(coop: Coop) -> None:
    await coop.gateway_up()
    await coop.readings(reading(1, 22, NOW), reading(2, 0.6, NOW, sensor="rain", quantity=Quantity.RAIN))
    async with coop.client("mai") as mai:
        await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)
        before = (await mai.get("/farms/mai/snapshot")).json()
    coop.app.services.gateways.write_said()
    coop.close()
    again = Coop.open(coop.folder)
    again.clock.move(60)
    await again.app.services.live.warm(again.app.services.series)
    async with again.client("mai") as mai:
        after = (await mai.get("/farms/mai/snapshot")).json()
    for section in ("runs", "zones", "sources", "farm", "weather"):
        assert after[section] == before[section]
    assert after["link"] == {"gateway_online": False, "last_heard": before["link"]["last_heard"]}
    assert after["nodes"]["board-1"]["valves"] == before["nodes"]["board-1"]["valves"]
    assert after["nodes"]["board-1"]["online"] is False
    again.close()


async def test_the_next_run_is_the_plans_next_entry(coop: Coop) -> None:
    view = coop.app.services.live.view("mai")
    assert view is not None
    plan = compile_timetable(planned(view.farm), view.plan_state(NOW), NOW, days=7, version=3)
    await coop.link.says("mai", Channel.PLAN, plan)
    async with coop.client("mai") as mai:
        zones = (await mai.get("/farms/mai/snapshot")).json()["zones"]
        assert zones["dau-tay"]["next"] == {
            "entry_id": "sang-dau-tay:20261124:0530:dau-tay", "start": "2026-11-23T22:30:00.000Z", "duration_s": 1200,
            "program_id": "sang-dau-tay", "rule": "as-programmed", "params": {},
        }  # fmt: skip
        table = (await mai.get("/farms/mai/timetable?days=2")).json()
        assert table["version"] == 3
        assert table["entries"][0]["start"] < "2026-11-25T05:00"
        coop.clock.move(86_400)
        zones = (await mai.get("/farms/mai/snapshot")).json()["zones"]
        assert zones["dau-tay"]["next"]["start"] == "2026-11-24T22:30:00.000Z"


async def test_a_slow_phone_gets_a_new_snapshot_instead_of_a_backlog(coop: Coop, phone: Watcher) -> None:
    await coop.gateway_up()
    await phone.next()
    for value in range(100):
        coop.clock.move(60)
        await coop.readings(reading(value + 1, 20 + value % 10, coop.clock()))
        coop.app.services.live.tell("mai")
    event, _, data = await phone.next()
    while event == "delta":
        event, _, data = await phone.next()
    assert event == "snapshot"
    assert data["zones"]["dau-tay"]["moisture"]["value"] == 20 + 99 % 10


async def test_a_quiet_farm_has_a_heartbeat(coop: Coop, phone: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.01)
    await phone.next()
    event, _, data = await phone.next()
    assert (event, data) == ("heartbeat", {"at": "2026-11-23T05:00:00.000Z"})


async def test_watching_ends_when_the_server_does(coop: Coop, phone: Watcher) -> None:
    await phone.next()
    coop.app.services.live.close()
    with pytest.raises(StopAsyncIteration):
        await phone.next()


async def test_a_fault_raises_an_alert_once_and_its_end_clears_it(coop: Coop, phone: Watcher) -> None:
    def fault(seq: int, *, cleared: bool = False) -> FaultEvent:
        return FaultEvent(seq=seq, node_id="board-1", at=NOW, code="close-failed", channel="v1", cleared=cleared)

    await phone.next()
    await coop.events(fault(1), fault(2))
    ((alert_id, alert),) = (await phone.delta())["alerts"].items()
    assert (alert["kind"], alert["severity"], alert["node_id"]) == ("close-failed", "critical", "board-1")
    async with coop.client("mai") as mai:
        seen = (await mai.post(f"/alerts/{alert_id}/acknowledge")).json()
        assert seen["acknowledged_at"] is not None
        assert seen["cleared_at"] is None  # it lasts until the valve is closed
        assert (await phone.delta())["alerts"][alert_id] == seen
    await coop.events(fault(3, cleared=True))
    assert (await phone.delta())["alerts"] == {alert_id: None}


async def test_an_alert_about_what_has_only_happened_goes_when_a_person_has_seen_it(coop: Coop) -> None:
    gap = GapEvent(seq=1, node_id="board-1", at=NOW, count=5, first_at=NOW, last_at=NOW)
    await coop.events(gap, gap.model_copy(update={"seq": 2}))
    async with coop.client("mai") as mai:
        ((alert_id, alert),) = (await mai.get("/farms/mai/snapshot")).json()["alerts"].items()
        assert (alert["kind"], alert["params"]["count"]) == ("outbox-gap", 10)
        assert (await mai.post(f"/alerts/{alert_id}/acknowledge")).json()["cleared_at"] is not None
        assert (await mai.get("/farms/mai/snapshot")).json()["alerts"] == {}


async def test_an_interrupted_run_is_an_alert_until_its_zone_waters_again(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 20}}, headers=KEY)
        (order,) = coop.link.commands()
        await coop.events(run_event(1, order, RunState.INTERRUPTED, NOW))
        (alert,) = (await mai.get("/farms/mai/snapshot")).json()["alerts"].values()
        assert (alert["kind"], alert["zone_id"]) == ("interrupted", "dau-tay")
        await coop.events(run_event(2, order, RunState.DONE, NOW, run_id="run-later"))
        assert (await mai.get("/farms/mai/snapshot")).json()["alerts"] == {}


async def test_long_silence_is_an_alert_and_a_word_clears_it(coop: Coop) -> None:
    watering = coop.app.services.watering
    await coop.gateway_up()
    state = coop.state()
    silent = [NodeReport(node_id="board-3", online=False, last_heard=NOW, state=None), *state.nodes[:2]]
    await coop.link.says("mai", Channel.STATE, state.model_copy(update={"nodes": tuple(silent)}))

    async def kinds() -> list[tuple[str, str | None]]:
        async with coop.client("mai") as mai:
            alerts = (await mai.get("/farms/mai/snapshot")).json()["alerts"].values()
            return [(alert["kind"], alert["node_id"]) for alert in alerts]

    coop.clock.move(119)
    watering.tick(coop.clock())
    assert await kinds() == []
    coop.clock.move(2)
    watering.tick(coop.clock())
    assert await kinds() == [("node-offline", "board-3")]
    await coop.link.says("mai", Channel.STATE, coop.state())
    watering.tick(coop.clock())
    assert await kinds() == []
    await coop.link.says("mai", Channel.STATUS, Status(online=False, boot_id="g1", at=coop.clock()))
    coop.clock.move(121)
    watering.tick(coop.clock())
    assert await kinds() == [("gateway-offline", None)]
