"""Households at the API: a manager adds, renames and removes them; nobody's turns, zones or water vanish with them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.app import open_ledger
from server.farms import load_farm
from tests.unit.server.coop import FARM_FILE, NOW, Coop, settings_in
from tests.unit.server.test_turns import KEPT, LOAN, ROUND, SUOI, TODAY, at, config, run, said

HOUSEHOLDS = "/farms/mai/households"
WITHOUT_LAN = KEPT | {"shares": KEPT["shares"][:2]}


@pytest.fixture
async def hoa(coop: Coop) -> AsyncIterator[httpx.AsyncClient]:
    """The manager; the farm's gateway listens."""
    await coop.gateway_up()
    async with coop.client("hoa") as client:
        yield client


async def households(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = (await client.get(HOUSEHOLDS)).raise_for_status().json()
    return {one.pop("id"): one for one in answer["households"]}


async def test_a_manager_sees_each_household_with_its_people_zones_and_turns_and_who_may_speak(
    hoa: httpx.AsyncClient,
) -> None:
    assert await households(hoa) == {
        "tung": {"name": "Nhà anh Tùng", "people": [], "zones": [], "has_turns": ["suoi"]},
        "mai": {
            "name": "Nhà chị Mai", "people": ["mai"], "zones": ["man-hau", "xoai-doi"], "has_turns": ["suoi"],
        },
        "lan": {"name": "Nhà chị Lan", "people": ["lan"], "zones": ["ca-phe-doi"], "has_turns": ["suoi"]},
    }  # fmt: skip
    assert (await hoa.get(HOUSEHOLDS)).json()["farmers"] == [{"name": "mai", "display_name": "mai"}]


async def test_a_new_household_gets_a_share_and_its_zone_waters_in_its_turn(coop: Coop, hoa: httpx.AsyncClient) -> None:
    answer = await hoa.post(HOUSEHOLDS, json={"name": "  Nhà bác  Bình ", "zones": ["xoai-doi"], "people": ["mai"]})
    assert answer.status_code == 201
    assert answer.json() == {
        "id": "nha-bac-binh", "name": "Nhà bác Bình", "people": ["mai"], "zones": ["xoai-doi"], "has_turns": [],
    }  # fmt: skip
    assert (await households(hoa))["mai"]["zones"] == ["man-hau"]  # it was hers
    shares = [{"household_id": "nha-bac-binh", "amount": 60}]
    await hoa.put(f"{SUOI}/rota", json=KEPT | {"anchor": at(24), "shares": shares})
    assert (await households(hoa))["nha-bac-binh"]["has_turns"] == ["suoi"]
    farm = config(coop).farm
    assert (farm.households[-1].name, farm.zone("xoai-doi").household_id) == ("Nhà bác Bình", "nha-bac-binh")
    async with coop.client("mai") as mai:
        assert (await mai.get("/farms/mai/rotas")).json()["mine"] == ["mai", "nha-bac-binh"]


async def test_a_household_is_renamed_and_what_is_not_named_stays(coop: Coop, hoa: httpx.AsyncClient) -> None:
    answer = await hoa.put(f"{HOUSEHOLDS}/mai", json={"name": "Nhà cô Mai"})
    assert answer.json()["name"] == "Nhà cô Mai"
    assert (answer.json()["people"], answer.json()["zones"]) == (["mai"], ["man-hau", "xoai-doi"])
    assert [one.name for one in config(coop).farm.households] == ["Nhà anh Tùng", "Nhà cô Mai", "Nhà chị Lan"]
    assert (await hoa.put(f"{HOUSEHOLDS}/mai", json={"name": "nhà cô mai"})).status_code == 200  # its own name
    await hoa.put(f"{HOUSEHOLDS}/mai", json={"name": "Nhà cô Mai", "zones": ["xoai-doi"], "people": []})
    changed = (await households(hoa))["mai"]
    assert (changed["zones"], changed["people"]) == (["xoai-doi"], [])
    assert config(coop).farm.zone("man-hau").household_id is None


@pytest.mark.parametrize(
    ("given", "answer", "words"),
    [
        ({"name": ""}, (422, "household-name", "name"), "1 to 60 characters"),
        ({"name": "   "}, (422, "household-name", "name"), "1 to 60 characters"),
        ({"name": "x" * 61}, (422, "household-name", "name"), "1 to 60 characters"),
        ({"name": "a\u0000b"}, (422, "household-name", "name"), "1 to 60 characters"),
        ({"name": "nhà CHỊ lan"}, (409, "household-name-taken", "name"), "Nhà chị Lan"),
        ({"name": "Nhà chị Lan"}, (409, "household-name-taken", "name"), "Choose another"),
        ({"name": "B", "zones": ["dau-tay", "ca-chua"]}, (422, "unknown-zone", "zones.1"), "ca-chua"),
        ({"name": "B", "people": ["hoa"]}, (422, "unknown-person", "people.0"), "hoa"),
        ({"name": "B", "people": ["lan"]}, (422, "unknown-person", "people.0"), "lan"),
        ({"name": 5}, (422, "bad-field", "name"), "name"),
        ({"name": "B", "zone": []}, (422, "bad-field", "zone"), "no field"),
    ],
)
async def test_a_household_that_cannot_be_is_refused_in_a_sentence_and_changes_nothing(
    coop: Coop, hoa: httpx.AsyncClient, given: Any, answer: Any, words: str
) -> None:
    before, sent = await households(hoa), len(coop.link.sent)
    for refused in (await hoa.post(HOUSEHOLDS, json=given), await hoa.put(f"{HOUSEHOLDS}/mai", json=given)):
        assert said(refused) == answer, refused.text
        assert words in refused.json()["detail"]
    assert (await households(hoa), len(coop.link.sent)) == (before, sent)


async def test_only_a_manager_keeps_households(coop: Coop) -> None:
    for name in ("mai", "thanh"):
        async with coop.client(name) as client:
            assert said(await client.get(HOUSEHOLDS))[:2] == (403, "not-allowed")
            assert said(await client.post(HOUSEHOLDS, json={"name": "B"}))[:2] == (403, "not-allowed")
            assert said(await client.delete(f"{HOUSEHOLDS}/lan"))[:2] == (403, "not-allowed")


# --- leaving ---


async def test_one_that_never_had_turns_is_gone_and_its_name_is_free(coop: Coop, hoa: httpx.AsyncClient) -> None:
    made = (await hoa.post(HOUSEHOLDS, json={"name": "Nhà bác Bình"})).json()
    assert (await hoa.delete(f"{HOUSEHOLDS}/{made['id']}")).status_code == 204
    assert "nha-bac-binh" not in [one.id for one in config(coop).farm.households]
    assert said(await hoa.delete(f"{HOUSEHOLDS}/{made['id']}"))[:2] == (404, "not-found")
    assert (await hoa.post(HOUSEHOLDS, json={"name": "Nhà bác Bình"})).json() == made


async def test_one_with_turns_or_zones_cannot_leave_and_is_told_what_to_do(coop: Coop, hoa: httpx.AsyncClient) -> None:
    async def refused(*, words: str, code: str) -> None:
        answer = await hoa.delete(f"{HOUSEHOLDS}/lan")
        assert said(answer)[:2] == (409, code)
        assert words in answer.json()["detail"]

    await refused(code="household-has-turns", words="Suối đầu bản")
    await hoa.put(f"{SUOI}/rota", json=WITHOUT_LAN | {"anchor": at(24)})
    await refused(code="household-has-turns", words="until the new ones have begun")  # it has turns until then
    coop.clock.move(86_400)
    await refused(code="household-has-zones", words="Cà phê đồi")
    await hoa.put(f"{HOUSEHOLDS}/lan", json={"name": "Nhà chị Lan", "zones": []})
    await hoa.put(f"{SUOI}/rota", json=WITHOUT_LAN | {"anchor": at(72), "shares": KEPT["shares"]})
    await refused(code="household-has-turns", words="Suối")  # those are to begin
    await hoa.put(f"{SUOI}/rota", json=WITHOUT_LAN | {"anchor": at(72)})
    assert (await hoa.delete(f"{HOUSEHOLDS}/lan")).status_code == 204


async def test_one_that_has_left_keeps_its_name_in_its_rounds_and_has_no_part_in_others(
    coop: Coop, hoa: httpx.AsyncClient
) -> None:
    await hoa.put(f"{SUOI}/rota", json=WITHOUT_LAN | {"anchor": at(24)})
    coop.clock.move(86_400)
    await hoa.put(f"{HOUSEHOLDS}/lan", json={"name": "Nhà chị Lan", "zones": []})
    assert (await hoa.delete(f"{HOUSEHOLDS}/lan")).status_code == 204
    assert list(await households(hoa)) == ["tung", "mai"]
    left = (await hoa.get("/farms/mai/rotas")).json()["households"][2]
    assert (left["name"], left["left_at"]) == ("Nhà chị Lan", "2026-11-24T05:00:00.000Z")
    rounds = (await hoa.get(f"{SUOI}/account", params={"rounds": 2})).json()["rounds"]
    assert [len(one["households"]) for one in rounds] == [2, 3]
    again = KEPT | {"anchor": at(72)}
    assert said(await hoa.put(f"{SUOI}/rota", json=again)) == (422, "bad-field", "shares.2.household_id")
    assert said(await hoa.put(f"{HOUSEHOLDS}/lan", json={"name": "Lan"}))[:2] == (404, "not-found")
    new = await hoa.post(HOUSEHOLDS, json={"name": "Lan"})  # the id is the old one's for ever
    assert new.json()["id"].startswith("lan-")


async def test_one_that_is_owed_water_leaves_only_when_that_is_said_to_be_settled(
    coop: Coop, hoa: httpx.AsyncClient
) -> None:
    # Other turns begin in the middle of Lan's two hours: 11:30 to 13:30 UTC, of 90 L/min.
    await hoa.put(f"{SUOI}/rota", json=WITHOUT_LAN | {"anchor": at(12.5)})
    await hoa.put(f"{HOUSEHOLDS}/lan", json={"name": "Nhà chị Lan", "zones": []})
    coop.clock.move(86_400)
    refused = await hoa.delete(f"{HOUSEHOLDS}/lan")
    assert said(refused)[:2] == (409, "household-owed")
    assert "5400 litres" in refused.json()["detail"]
    assert said(await hoa.delete(f"{HOUSEHOLDS}/lan", params={"balance": "no"}))[:2] == (422, "bad-field")
    assert (await hoa.delete(f"{HOUSEHOLDS}/lan", params={"balance": "settled"})).status_code == 204


@pytest.mark.parametrize(("leaves", "code"), [("lan", "household-owed"), ("mai", "household-owes")])
async def test_what_was_lent_and_not_given_back_is_a_balance_of_both(
    coop: Coop, hoa: httpx.AsyncClient, leaves: str, code: str
) -> None:
    loan = (await hoa.post(f"{SUOI}/agreements", json=LOAN | {"repaid_in": ROUND + 5})).json()
    await hoa.post(f"/farms/mai/agreements/{loan['id']}/agree", json={"household_id": "lan"})
    await hoa.put(f"{SUOI}/rota", json=KEPT | {"anchor": at(48), "shares": KEPT["shares"][:1]})
    await hoa.put(f"{HOUSEHOLDS}/{leaves}", json={"name": "B", "zones": []})
    coop.clock.move(2 * 86_400)
    refused = await hoa.delete(f"{HOUSEHOLDS}/{leaves}")
    assert said(refused)[:2] == (409, code)
    assert "2700 litres" in refused.json()["detail"]  # 30 minutes of 90 L/min
    assert (await hoa.delete(f"{HOUSEHOLDS}/tung")).json()["type"].endswith("household-has-turns")


# --- whose water it was ---


async def test_a_zone_that_becomes_anothers_leaves_its_water_in_the_account_of_the_one_before(
    coop: Coop, hoa: httpx.AsyncClient
) -> None:
    async def received() -> dict[str, float]:
        (now,) = (await hoa.get(f"{SUOI}/account", params={"rounds": 1})).json()["rounds"]
        return {one["household_id"]: one["received_l"] for one in now["households"] if one["received_l"]}

    await coop.events(*run(1, "man-hau", TODAY + timedelta(hours=1), 10, 400.0))
    assert await received() == {"mai": 400}
    await hoa.put(f"{HOUSEHOLDS}/tung", json={"name": "Nhà anh Tùng", "zones": ["man-hau"]})
    assert await received() == {"mai": 400}
    coop.clock.move(3600)
    await coop.events(*run(2, "man-hau", NOW + timedelta(minutes=5), 10, 300.0))
    assert await received() == {"mai": 400, "tung": 300}
    await hoa.put(f"{HOUSEHOLDS}/tung", json={"name": "Nhà anh Tùng", "zones": []})
    coop.clock.move(3600)
    await coop.events(*run(3, "man-hau", NOW + timedelta(minutes=65), 10, 200.0))
    assert await received() == {"mai": 400, "tung": 300}  # nobody's, now


async def test_households_survive_a_restart_and_the_farms_file(tmp_path: Path) -> None:
    Coop.found(tmp_path)
    coop = Coop.open(tmp_path)
    async with coop.client("hoa") as hoa:
        await hoa.post(HOUSEHOLDS, json={"name": "Nhà bác Bình", "zones": ["xoai-doi"]})
        await hoa.put(f"{HOUSEHOLDS}/mai", json={"name": "Nhà cô Mai"})
        before = await households(hoa)
    coop.close()
    ledger = open_ledger(settings_in(tmp_path).ledger)
    load_farm(ledger, FARM_FILE, NOW)
    ledger.close()
    again = Coop.open(tmp_path)
    try:
        async with again.client("hoa") as hoa:
            assert await households(hoa) == before
    finally:
        again.close()


async def test_a_new_zone_of_the_farms_file_brings_its_household_along_and_no_other(tmp_path: Path) -> None:
    Coop.found(tmp_path)
    ledger = open_ledger(settings_in(tmp_path).ledger)
    text = FARM_FILE.read_text()
    first_zone = text.index("[[zones]]")
    zone = text[first_zone : text.index("[[zones]]", first_zone + 1)]
    more = zone.replace('"dau-tay"', '"oi-doi"').replace('"v1"', '"v9"').replace("be-chua", "suoi")
    names = "".join(f'[[households]]\nid = "{who}"\nname = "{who}"\n' for who in ("binh", "an"))
    (tmp_path / "farm.toml").write_text(f'{text}\n{names}\n{more}household_id = "binh"\n')
    load_farm(ledger, tmp_path / "farm.toml", NOW)
    ledger.close()
    coop = Coop.open(tmp_path)
    try:
        async with coop.client("hoa") as hoa:
            found = await households(hoa)
            assert list(found) == ["tung", "mai", "lan", "binh"]
            assert found["binh"]["zones"] == ["oi-doi"]
    finally:
        coop.close()
