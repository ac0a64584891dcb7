"""Programs: edited by people, sent to the gateway, previewed by the function that plans."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from contract.messages import FarmConfig, Hello
from contract.topics import Channel
from irrigation.planner import compile_timetable
from irrigation.run import RunState
from server import shapes
from tests.unit.server.coop import NOW, Coop, run_event

DRAFT: dict[str, Any] = {
    "name": "Tưới tối cải mèo", "enabled": True, "calendar": {"kind": "every_n_days", "n": 2, "anchor": "2026-11-01"},
    "starts": ["19:00", "20:15"], "zones": [{"zone_id": "rau-cai-meo", "dose": {"litres": 100, "max_minutes": 20}}],
}  # fmt: skip


def configs(coop: Coop) -> list[FarmConfig]:
    return [message for _, channel, message in coop.link.sent if channel is Channel.CONFIG]


async def test_a_program_is_added_read_changed_and_taken_away(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        added = await mai.post("/farms/mai/programs", json=DRAFT)
        program = added.json()
        assert added.status_code == 201
        assert program == DRAFT | {
            "id": "tuoi-toi-cai-meo", "version": 1, "updated_at": "2026-11-23T05:00:00.000Z", "updated_by": "mai",
        }  # fmt: skip
        assert (await mai.get(f"/programs/{program['id']}")).json() == program
        coop.clock.move(60)
        changed = (await mai.put(f"/programs/{program['id']}", json=program | {"enabled": False})).json()
        assert changed == program | {"enabled": False, "version": 2, "updated_at": "2026-11-23T05:01:00.000Z"}
        listed = (await mai.get("/farms/mai/programs")).json()["programs"]
        assert changed in listed
        assert (await mai.delete(f"/programs/{program['id']}")).status_code == 204
        assert (await mai.get(f"/programs/{program['id']}")).status_code == 404


async def test_two_programs_of_one_name_have_ids_of_their_own(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        first, second = [(await mai.post("/farms/mai/programs", json=DRAFT)).json()["id"] for _ in range(2)]
        assert first != second
        assert second.startswith(first)


async def test_an_edit_of_a_version_that_is_no_longer_there_is_refused(coop: Coop) -> None:
    async with coop.client("mai") as mai, coop.client("hoa") as hoa:
        seen = (await mai.get("/programs/sang-dau-tay")).json()
        assert (await hoa.put("/programs/sang-dau-tay", json=seen | {"name": "Sáng"})).status_code == 200
        answer = await mai.put("/programs/sang-dau-tay", json=seen | {"name": "Trưa"})
        assert (answer.status_code, answer.json()["type"].rsplit("/")[-1]) == (409, "edited-meanwhile")
        assert (await mai.get("/programs/sang-dau-tay")).json()["name"] == "Sáng"


async def test_a_change_goes_to_the_gateway_with_a_higher_version(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        before = len(configs(coop))
        program_id = (await mai.post("/farms/mai/programs", json=DRAFT)).json()["id"]
        config = configs(coop)[-1]
        assert len(configs(coop)) == before + 1
        program = next(one for one in config.farm.programs if one.id == program_id)
        assert program.since == NOW  # what was due before it was made does not run by it
        await mai.delete(f"/programs/{program_id}")
        assert configs(coop)[-1].version == config.version + 1


async def test_a_gateway_that_holds_another_version_is_told_and_one_that_holds_it_is_not(coop: Coop) -> None:
    await coop.gateway_up()
    assert configs(coop) == []
    hello = Hello(boot_id="g2", at=NOW, clock_trusted=True, software="0.1.0", config_version=0)
    await coop.link.says("mai", Channel.HELLO, hello)
    await coop.link.says("mai", Channel.HELLO, hello)  # once is enough for a while
    (config,) = configs(coop)
    held = Hello(boot_id="g2", at=NOW, clock_trusted=True, software="0.1.0", config_version=config.version)
    await coop.link.says("mai", Channel.HELLO, held)
    assert len(configs(coop)) == 1


async def test_after_a_backup_was_put_back_the_version_goes_on_above_the_gateways(coop: Coop) -> None:
    await coop.gateway_up()
    hello = Hello(boot_id="g2", at=NOW, clock_trusted=True, software="0.1.0", config_version=70)
    await coop.link.says("mai", Channel.HELLO, hello)
    (config,) = configs(coop)
    assert config.version == 71


async def test_a_gateway_that_was_away_gets_the_change_when_it_speaks_again(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        await mai.post("/farms/mai/programs", json=DRAFT)
        assert configs(coop) == []
        hello = Hello(boot_id="g2", at=NOW, clock_trusted=True, software="0.1.0", config_version=1)
        await coop.link.says("mai", Channel.HELLO, hello)
        assert any(program.name == DRAFT["name"] for program in configs(coop)[-1].farm.programs)


async def test_the_preview_is_what_the_planner_makes_of_the_saved_program(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        shown = (
            await mai.post("/farms/mai/preview?days=14", json={"programs": [DRAFT | {"id": "tuoi-toi-cai-meo"}]})
        ).json()
        await mai.post("/farms/mai/programs", json=DRAFT)
        view = coop.app.services.live.view("mai")
        assert view is not None
        farm = shapes.planned(view.farm)
        table = compile_timetable(farm, view.plan_state(NOW), NOW, days=14, version=0)
        assert all(one.pop("sentence") for one in (*shown["entries"], *shown["skipped"]))
        assert shown == shapes.timetable(table, view.farm.zones, NOW + timedelta(days=14))
        assert any(entry["program_id"] == "tuoi-toi-cai-meo" for entry in shown["entries"])


async def test_a_preview_replaces_a_saved_program_and_changes_nothing(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        saved = (await mai.get("/programs/sang-dau-tay")).json()
        shown = (await mai.post("/farms/mai/preview", json={"programs": [saved | {"enabled": False}]})).json()
        assert not any(entry["program_id"] == "sang-dau-tay" for entry in shown["entries"])
        assert (await mai.get("/programs/sang-dau-tay")).json() == saved
        assert configs(coop) == []


async def test_a_preview_leaves_out_what_has_started_already(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        before = (await mai.post("/farms/mai/preview", json={"programs": []})).json()["entries"]
        first = next(entry for entry in before if entry["zone_id"] == "dau-tay")
        await mai.post("/zones/dau-tay/runs", json={"dose": {"minutes": 1}}, headers={"Idempotency-Key": "order-0001"})
        (order,) = coop.link.commands()
        await coop.events(run_event(1, order, RunState.DONE, NOW, run_id="run-x", entry_id=first["id"]))
        after = (await mai.post("/farms/mai/preview", json={"programs": []})).json()["entries"]
        assert first["id"] not in {entry["id"] for entry in after}


async def test_skip_next_skips_all_zones_of_the_next_due_watering_and_tells_the_gateway(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        skipped = (await mai.post("/programs/sang-dau-tay/skip-next")).json()["skipped"]
        assert skipped == {"entry_id": "sang-dau-tay:20261124:0530:dau-tay", "start": "2026-11-23T22:30:00.000Z"}
        assert configs(coop)[-1].farm.skips == (
            "sang-dau-tay:20261124:0530:dau-tay", "sang-dau-tay:20261124:0530:rau-cai-meo",
        )  # fmt: skip
        shown = (await mai.post("/farms/mai/preview", json={"programs": []})).json()
        assert {(one["id"], one["rule"]) for one in shown["skipped"]} >= {(skipped["entry_id"], "skipped-by-person")}
        second = (await mai.post("/programs/sang-dau-tay/skip-next")).json()["skipped"]
        assert second["start"] == "2026-11-24T22:30:00.000Z"


async def test_a_program_that_is_off_has_nothing_to_skip(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        saved = (await mai.get("/programs/sang-dau-tay")).json()
        await mai.put("/programs/sang-dau-tay", json=saved | {"enabled": False})
        answer = await mai.post("/programs/sang-dau-tay/skip-next")
        assert (answer.status_code, answer.json()["type"].rsplit("/")[-1]) == (409, "nothing-to-skip")


async def test_until_moisture_needs_a_probe(coop: Coop) -> None:
    view = coop.app.services.live.view("mai")
    assert view is not None
    zones = tuple(zone if zone.id != "xoai-doi" else _without_probes(zone) for zone in view.farm.zones)
    from dataclasses import replace

    view.set_farm(replace(view.farm, zones=zones))
    async with coop.client("mai") as mai:
        dose = {"until_moisture_pct": 30, "max_minutes": 20}
        draft = DRAFT | {"zones": [{"zone_id": "xoai-doi", "dose": dose}]}
        said = (await mai.post("/farms/mai/programs", json=draft)).json()
        assert (said["type"].rsplit("/")[-1], said["field"]) == ("dose-needs-probe", "zones.0.dose.until_moisture_pct")


def _without_probes(zone: Any) -> Any:
    from dataclasses import replace

    return replace(zone, sensors=())


@pytest.mark.parametrize("people", [2, 8])
async def test_people_who_edit_at_once_do_not_overwrite_one_another(coop: Coop, people: int) -> None:
    async with coop.client("mai") as mai:
        seen = (await mai.get("/programs/sang-dau-tay")).json()
        answers = await asyncio.gather(
            *(mai.put("/programs/sang-dau-tay", json=seen | {"name": f"Sáng {n}"}) for n in range(people))
        )
        assert sorted(answer.status_code for answer in answers) == [200, *[409] * (people - 1)]
