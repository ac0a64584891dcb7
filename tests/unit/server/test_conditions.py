"""Conditions through the API: taken or refused whole, and previewed by what the gateway said that it knows."""

from datetime import timedelta
from typing import Any

import pytest

from contract.messages import DecisionEvent, FarmConfig
from contract.topics import Channel
from irrigation.condition import ConditionKind, Observed
from irrigation.model import Decision, Farm, Knowledge, Moisture, Result, Rule, Timetable
from irrigation.run import RunState
from irrigation.verdict import seen
from server import shapes
from server.farms import load_farm
from server.ledger import farms
from tests.unit.server.coop import FARM_FILE, NOW, Coop, run_event

RAIN: dict[str, Any] = {"kind": "rain-fallen", "limit": 5, "release": 2, "hours": 24, "missing": "ask"}
NOON: dict[str, Any] = {
    "name": "Trưa", "calendar": {"kind": "weekly", "days": [1, 2, 3, 4, 5, 6, 7]}, "starts": ["13:00"],
    "zones": [{"zone_id": "rau-cai-meo", "dose": {"minutes": 10}}], "conditions": [RAIN],
}  # fmt: skip
DUE = NOW + timedelta(hours=1)  # 12:00 at the farm now


async def knows(coop: Coop, known: Knowledge) -> None:
    """Have the gateway say what it goes by."""
    table = Timetable(
        version=3, compiled_at=NOW, valid_until=NOW + timedelta(days=3), tz="Asia/Ho_Chi_Minh", entries=(), known=known
    )
    await coop.link.says("mai", Channel.PLAN, table)


def rained(mm: float, age_min: int = 20) -> Observed:
    return Observed(kind=ConditionKind.RAIN_FALLEN, value=mm, hours=24, at=NOW - timedelta(minutes=age_min))


async def test_conditions_are_kept_shown_and_told_to_the_gateway(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        program = (await mai.post("/farms/mai/programs", json=NOON)).json()
        assert program["conditions"] == [RAIN]
        kept = await mai.put(
            f"/programs/{program['id']}", json={**program, "conditions": None} | {"conditions": [RAIN]}
        )
        assert kept.json()["conditions"] == [RAIN]
        without = {name: value for name, value in kept.json().items() if name != "conditions"}
        assert (await mai.put(f"/programs/{program['id']}", json=without)).json()["conditions"] == [RAIN]
        configs = [message for _, channel, message in coop.link.sent if channel is Channel.CONFIG]
        config = configs[-1]
        assert isinstance(config, FarmConfig)
        (planned,) = [one for one in config.farm.programs if one.id == program["id"]]
        assert planned.conditions[0].limit == 5


@pytest.mark.parametrize(
    ("wrong", "field", "why"),
    [
        ({"limit": 900}, "conditions.0", "condition rain-fallen: limit must be between 0.1 and 500 mm, not 900"),
        ({"release": 9}, "conditions.0", "release must be at most the limit 5 mm, not 9"),
        ({"kind": "moon"}, "conditions.0.kind", "kind"),
        ({"kind": "wind"}, "conditions.0", "hours goes with rain-fallen and rain-forecast, not with wind"),
        ({"missing": "guess"}, "conditions.0.missing", "missing"),
    ],
)
async def test_a_wrong_condition_is_refused_by_its_field_and_nothing_is_changed(
    coop: Coop, wrong: dict[str, Any], field: str, why: str
) -> None:
    async with coop.client("mai") as mai:
        before = (await mai.get("/farms/mai/programs")).json()
        answer = await mai.post("/farms/mai/programs", json=NOON | {"conditions": [RAIN | wrong]})
        assert answer.status_code == 422
        problem = answer.json()
        assert problem["field"] == field
        assert why in problem["detail"]
        assert (await mai.get("/farms/mai/programs")).json() == before
        ruled = await mai.put("/farms/mai/rules", json={"conditions": [RAIN | wrong]})
        assert ruled.status_code == 422
        assert (await mai.get("/farms/mai/rules")).json()["conditions"] == []


async def test_two_conditions_that_look_at_the_same_are_refused_for_program_and_farm(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        twice = [RAIN, RAIN | {"limit": 8}]
        for answer in (
            await mai.post("/farms/mai/programs", json=NOON | {"conditions": twice}),
            await mai.put("/farms/mai/rules", json={"conditions": twice}),
        ):
            assert answer.status_code == 422
            assert "conditions must each look at something else" in answer.json()["detail"]
            assert answer.json()["field"] == "conditions"


async def test_a_farms_conditions_bind_every_program_of_the_preview(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        assert (await mai.put("/farms/mai/rules", json={"conditions": [RAIN]})).json()["conditions"] == [RAIN]
        await knows(coop, Knowledge(observed=(rained(7.5),)))
        table = (await mai.post("/farms/mai/preview", json={"programs": [NOON | {"conditions": []}]})).json()
        (skip, *_) = [one for one in table["skipped"] if one["program_id"] == "new-1"]
        assert (skip["rule"], skip["params"]["rain_mm"], skip["params"]["age_min"]) == ("rain-fallen", 7.5, 80)


async def test_the_preview_goes_by_what_the_gateway_knows_and_by_its_latches(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        name = "rain-fallen:24:180:5:2:"

        async def first(**known: Any) -> tuple[str, Any]:
            await knows(coop, Knowledge(**known))
            table = (await mai.post("/farms/mai/preview?days=1", json={"programs": [NOON]})).json()
            (one,) = [each for each in (*table["entries"], *table["skipped"]) if each["program_id"] == "new-1"]
            return one["rule"], one.get("awaits")

        assert await first() == ("as-programmed", "rain-fallen")
        assert await first(observed=(rained(3),)) == ("as-programmed", None)
        assert await first(observed=(rained(3),), latches={name: NOW - timedelta(hours=1)}) == ("rain-fallen", None)
        assert await first(observed=(rained(3),), latches={name: NOW - timedelta(hours=9)}) == ("as-programmed", None)
        assert await first(observed=(rained(9, age_min=150),)) == ("as-programmed", "rain-fallen")
        coop.clock.move(59 * 60)
        assert await first(observed=(rained(9, age_min=150),)) == ("ask-person", None)


async def test_in_the_preview_too_what_was_taken_away_keeps_its_place(coop: Coop) -> None:
    await coop.gateway_up()
    both = [{"zone_id": "rau-cai-meo", "dose": {"minutes": 20}}, {"zone_id": "dau-tay", "dose": {"minutes": 10}}]
    async with coop.client("mai") as mai:
        wet = NOON | {"zones": both, "conditions": [{"kind": "soil-wet", "limit": 34}]}
        program = (await mai.post("/farms/mai/programs", json=wet)).json()
        await knows(coop, Knowledge(moistures={"rau-cai-meo": Moisture(pct=40.0, at=NOW)}))

        async def starts() -> list[str]:
            table = (await mai.post("/farms/mai/preview?days=1", json={"programs": []})).json()
            due = DUE.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            return [one["start"] for one in table["entries"] if (one["program_id"], one["due"]) == (program["id"], due)]

        before = await starts()
        assert len(before) == 1
        table = (await mai.post("/farms/mai/preview?days=1", json={"programs": []})).json()
        (skip,) = [one for one in table["skipped"] if one["program_id"] == program["id"]]
        decision = Decision(
            id=skip["id"], program_id=program["id"], zone_id="rau-cai-meo", due=DUE, result=Result.SKIPPED,
            rule=Rule.SOIL_WET, params=skip["params"],
        )  # fmt: skip
        coop.clock.move(65 * 60)
        await coop.events(DecisionEvent(seq=1, at=DUE, decision=decision))
        assert await starts() == before


FORECAST: dict[str, Any] = {"issued_at": "2026-11-23T03:30:00Z", "rain": [{"hours": 24, "mm": 14.0}]}


async def test_a_forecast_is_given_by_staff_kept_and_told_to_the_gateway_and_the_preview_goes_by_it(coop: Coop) -> None:
    await coop.gateway_up()
    ahead = NOON | {"conditions": [{"kind": "rain-forecast", "limit": 10, "hours": 24}]}
    async with coop.client("hoa") as hoa, coop.client("mai") as mai:
        answer = await hoa.put("/farms/mai/forecast", json=FORECAST)
        assert (answer.status_code, answer.json()["rain"]) == (200, FORECAST["rain"])
        assert (await mai.get("/farms/mai/forecast")).json()["issued_at"] == "2026-11-23T03:30:00.000Z"
        config = [message for _, channel, message in coop.link.sent if channel is Channel.CONFIG][-1]
        assert config.farm.forecast.rain[0].mm == 14
        (skip,) = (await mai.post("/farms/mai/preview?days=1", json={"programs": [ahead]})).json()["skipped"]
        assert (skip["rule"], skip["params"]["rain_mm"], skip["params"]["age_min"]) == ("rain-forecast", 14, 150)
        assert (await hoa.delete("/farms/mai/forecast")).status_code == 204
        assert (await mai.get("/farms/mai/forecast")).json() is None


@pytest.mark.parametrize(
    ("who", "wrong", "status", "said"),
    [
        ("mai", {}, 403, "Your role may not do this"),
        ("hoa", {"issued_at": "2026-11-23T05:06:00Z"}, 422, "issued_at: "),
        ("hoa", {"issued_at": "2026-11-23T03:30:00"}, 422, "issued_at: "),
        ("hoa", {"issued_at": "2026-11-10T03:30:00Z"}, 422, "issued_at: "),
        ("hoa", {"rain": []}, 422, "rain"),
        ("hoa", {"rain": [{"hours": 24, "mm": -3.0}]}, 422, "mm must be between 0 and 1000 mm, not -3"),
        ("hoa", {"rain": [{"hours": 48, "mm": 3.0}, {"hours": 24, "mm": 9.0}]}, 422, "no less mm in more of them"),
    ],
)
async def test_a_forecast_that_is_wrong_or_nobodys_business_changes_nothing(
    coop: Coop, who: str, wrong: dict[str, Any], status: int, said: str
) -> None:
    async with coop.client("hoa") as hoa:
        before = (await hoa.put("/farms/mai/forecast", json=FORECAST)).json()
    async with coop.client(who) as person:
        answer = await person.put("/farms/mai/forecast", json=FORECAST | wrong)
        assert answer.status_code == status
        assert said in answer.json()["detail"]
        assert (await person.get("/farms/mai/forecast")).json() == before


async def test_a_farm_that_is_set_up_anew_keeps_its_forecast(coop: Coop) -> None:
    async with coop.client("hoa") as hoa:
        before = (await hoa.put("/farms/mai/forecast", json=FORECAST)).json()
        load_farm(coop.app.services.ledger, FARM_FILE, NOW)
        with coop.app.services.ledger.read() as connection:
            kept = farms.get(connection, "mai")
        assert kept is not None
        assert shapes.forecast(kept.forecast) == before


async def test_people_are_asked_about_what_was_left_out_until_they_have_seen_it_or_watered(coop: Coop) -> None:
    await coop.gateway_up()

    def left_out(seq: int, due: Any) -> DecisionEvent:
        decision = Decision(
            id=f"d{seq}", program_id="sang-dau-tay", zone_id="dau-tay", due=due, result=Result.SKIPPED,
            rule=Rule.ASK_PERSON, params={"of": "frost", "age_min": 140.0},
        )  # fmt: skip
        return DecisionEvent(seq=seq, at=due, decision=decision)

    async with coop.client("mai") as mai:
        await coop.events(left_out(1, NOW), left_out(2, NOW + timedelta(hours=1)))
        (alert,) = (await mai.get("/farms/mai/snapshot")).json()["alerts"].values()
        assert (alert["kind"], alert["zone_id"], alert["params"]["of"]) == ("ask-person", "dau-tay", "frost")
        assert alert["params"]["due"] == (NOW + timedelta(hours=1)).isoformat()
        await mai.post(f"/alerts/{alert['id']}/acknowledge")
        assert (await mai.get("/farms/mai/snapshot")).json()["alerts"] == {}
        await coop.events(left_out(3, NOW + timedelta(hours=2)))
        assert (await mai.get("/farms/mai/snapshot")).json()["alerts"]
        await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 1}}, headers={"Idempotency-Key": "order-0001"})
        (order,) = coop.link.commands()
        await coop.events(run_event(4, order, RunState.DONE, NOW + timedelta(hours=3)))
        assert (await mai.get("/farms/mai/snapshot")).json()["alerts"] == {}


def test_what_is_known_of_soil_counts_as_a_value() -> None:
    known = Knowledge(moistures={"tea": Moisture(pct=31.0, at=NOW)})
    farm = Farm(id="f", name="F", tz="UTC", lat=0, lon=0, sources=(), zones=())
    (found,) = seen(farm, known).values()
    assert (found.kind, found.subject_id, found.value, found.at) == (ConditionKind.SOIL_WET, "tea", 31.0, NOW)
