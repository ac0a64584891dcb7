"""Charts, tables and CSV about the past."""

import csv
import io
from datetime import timedelta

from contract.messages import Batch, Lane, Origin, Quality, Quantity, RunEvent
from irrigation.model import Dose
from irrigation.run import RunState
from tests.unit.server.coop import NOW, Coop, reading

SPAN = "from=2026-11-20T00:00:00Z&to=2026-11-24T00:00:00Z"


def ran(seq: int, zone_id: str, hours: float, litres: float | None, minutes: float) -> RunEvent:
    at = NOW + timedelta(hours=hours)
    return RunEvent(
        seq=seq, node_id="board-1", at=at, run_id=f"run-{seq}", zone_id=zone_id, channel="v1", state=RunState.DONE,
        origin=Origin.PROGRAM, actor="p", dose=Dose(minutes=minutes), max_s=minutes * 60,
        opened_at=at - timedelta(minutes=minutes), litres=litres, open_s=minutes * 60,
    )  # fmt: skip


async def test_a_zones_chart_is_of_its_own_probes(coop: Coop) -> None:
    await coop.readings(
        reading(1, 20, NOW),
        reading(2, 24, NOW + timedelta(seconds=5), sensor="soil-2"),
        reading(3, 50, NOW, sensor="soil-3"),
    )
    async with coop.client("mai") as mai:
        got = (await mai.get(f"/zones/dau-tay/series?{SPAN}")).json()
        assert (got["quantity"], got["unit"]) == ("soil_moisture", "%")
        assert [point[1:] for point in got["points"]] == [[22, 20, 24]]
        assert got["last_at"] == "2026-11-23T05:00:05.000Z"
        single = (await mai.get(f"/zones/rau-cai-meo/series?{SPAN}")).json()
        assert (single["step_s"], single["points"]) == (0, [[1795410000, 50, 50, 50]])


async def test_readings_are_served_word_for_word_with_raw_values_and_reasons(coop: Coop) -> None:
    await coop.readings(
        reading(1, 31.4, NOW, raw=0.59, raw_unit="share", temperature_c=24.5, supply_v=12.6),
        reading(2, None, NOW + timedelta(minutes=1), sensor="soil-2", quality=Quality.BAD, reason="no-answer"),
        reading(3, 50, NOW, sensor="soil-3"),
    )
    async with coop.client("mai") as mai:
        got = (await mai.get(f"/zones/dau-tay/readings?{SPAN}")).json()
        assert (got["quantity"], got["unit"]) == ("soil_moisture", "%")
        assert got["readings"] == [
            {
                "at": "2026-11-23T05:00:00.000Z", "sensor": "soil-1", "value": 31.4, "quality": "good", "reason": None,
                "raw": 0.59, "raw_unit": "share", "temperature_c": 24.5, "supply_v": 12.6,
            },
            {
                "at": "2026-11-23T05:01:00.000Z", "sensor": "soil-2", "value": None, "quality": "bad",
                "reason": "no-answer", "raw": None, "raw_unit": None, "temperature_c": None, "supply_v": None,
            },
        ]  # fmt: skip
        text = (await mai.get(f"/zones/dau-tay/readings?{SPAN}", headers={"Accept": "text/csv"})).text
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [(row["sensor"], row["raw"], row["reason"], row["unit"]) for row in rows] == [
            ("soil-1", "0.59", "", "%"),
            ("soil-2", "", "no-answer", "%"),
        ]
        assert (await mai.get("/zones/dau-tay/readings?limit=0")).status_code == 422


async def test_the_usual_span_is_the_last_day(coop: Coop) -> None:
    await coop.readings(reading(1, 20, NOW - timedelta(hours=25)), reading(2, 30, NOW - timedelta(hours=23)))
    async with coop.client("mai") as mai:
        got = (await mai.get("/zones/dau-tay/series")).json()
        assert [point[1] for point in got["points"]] == [30]


async def test_a_valves_meter_is_found_by_its_channel(coop: Coop) -> None:
    await coop.readings(
        reading(1, 48, NOW, sensor="v1", quantity=Quantity.FLOW),
        reading(2, 20, NOW, sensor="meter-v2", quantity=Quantity.FLOW),
    )
    async with coop.client("mai") as mai:
        for zone_id, flow in (("dau-tay", 48), ("rau-cai-meo", 20)):
            got = (await mai.get(f"/zones/{zone_id}/series?quantity=flow&{SPAN}")).json()
            assert (got["unit"], [point[1] for point in got["points"]]) == ("L/min", [flow])


async def test_a_soil_probe_tells_temperature_and_conductivity_of_its_own_zone(coop: Coop) -> None:
    await coop.readings(
        reading(1, 30, NOW),
        reading(2, 19.5, NOW, quantity=Quantity.SOIL_TEMPERATURE),
        reading(3, 0.25, NOW, quantity=Quantity.SOIL_EC),
        reading(4, 18.0, NOW, sensor="soil-3", quantity=Quantity.SOIL_TEMPERATURE),
    )
    async with coop.client("mai") as mai:
        for quantity, unit, value in (("soil_temperature", "°C", 19.5), ("soil_ec", "dS/m", 0.25)):
            got = (await mai.get(f"/zones/dau-tay/series?quantity={quantity}&{SPAN}")).json()
            assert (got["unit"], [point[1] for point in got["points"]]) == (unit, [value])


async def test_weather_is_the_farms_where_the_zones_board_measures_none(coop: Coop) -> None:
    await coop.readings(reading(1, 21, NOW, sensor="air", node_id="board-3", quantity=Quantity.AIR_TEMPERATURE))
    async with coop.client("mai") as mai:
        got = (await mai.get(f"/zones/dau-tay/series?quantity=air_temperature&{SPAN}")).json()
        assert (got["unit"], [point[1] for point in got["points"]]) == ("°C", [21])


async def test_the_chart_as_csv(coop: Coop) -> None:
    await coop.readings(reading(1, 20.25, NOW, sensor="soil-3"))
    async with coop.client("mai") as mai:
        answer = await mai.get(f"/zones/rau-cai-meo/series?{SPAN}", headers={"Accept": "text/csv"})
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert "rau-cai-meo-soil_moisture.csv" in answer.headers["content-disposition"]
        assert list(csv.reader(io.StringIO(answer.text))) == [
            ["at", "mean", "min", "max", "unit"], ["2026-11-23T05:00:00+00:00", "20.25", "20.25", "20.25", "%"],
        ]  # fmt: skip


async def test_water_is_summed_by_farm_local_day_and_by_zone(coop: Coop) -> None:
    events = (
        ran(1, "dau-tay", -13, 100.0, 5),  # Sunday evening in Sơn La is Sunday noon in UTC
        ran(2, "dau-tay", 0, 200.0, 10),
        ran(3, "xoai-doi", 0, None, 10),  # no meter: 30 L/min by its nominal flow
        ran(4, "dau-tay", 13, 50.0, 1),  # past midnight in Sơn La
    )
    coop.app.ingest.batch("mai", Batch(boot_id="g", lane=Lane.EVENTS, after_seq=0, events=events))
    async with coop.client("mai") as mai:
        days = (await mai.get(f"/farms/mai/water-use?by=day&{SPAN}")).json()
        assert days == {"by": "day", "rows": [
            {"day": "2026-11-22", "litres": 100.0, "minutes": 5.0, "metered": True},
            {"day": "2026-11-23", "litres": 500.0, "minutes": 20.0, "metered": False},
            {"day": "2026-11-24", "litres": 50.0, "minutes": 1.0, "metered": True},
        ]}  # fmt: skip
        zones = (await mai.get(f"/farms/mai/water-use?by=zone&{SPAN}")).json()["rows"]
        assert zones == [
            {"zone_id": "dau-tay", "litres": 350.0, "minutes": 16.0, "metered": True},
            {"zone_id": "xoai-doi", "litres": 300.0, "minutes": 10.0, "metered": False},
        ]
        table = (await mai.get(f"/farms/mai/water-use?by=zone&{SPAN}", headers={"Accept": "text/csv"})).text
        assert table.splitlines()[:2] == ["zone_id,litres,minutes,metered", "dau-tay,350.0,16.0,True"]


async def test_a_refused_run_used_no_water(coop: Coop) -> None:
    refused = ran(1, "dau-tay", 0, None, 10).model_copy(
        update={"state": RunState.REFUSED, "opened_at": None, "open_s": None}
    )
    coop.app.ingest.batch("mai", Batch(boot_id="g", lane=Lane.EVENTS, after_seq=0, events=(refused,)))
    async with coop.client("mai") as mai:
        assert (await mai.get(f"/farms/mai/water-use?{SPAN}")).json()["rows"] == []
        (run,) = (await mai.get("/zones/dau-tay/runs")).json()["runs"]
        assert (run["state"], run["litres"], run["opened_at"]) == ("refused", None, None)
