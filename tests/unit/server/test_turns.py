"""Shared water at the API: who may set turns, ask and agree; what the gateway is told; and each household's account."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.messages import FarmConfig, Origin, RunEvent
from contract.topics import Channel
from irrigation.model import Dose, Knowledge, Shortage, Timetable
from irrigation.run import RunState
from server.accounts import add_account
from server.app import open_ledger
from server.records import Role
from tests.unit.server.coop import CHEAP, NOW, PASSWORD, Coop, settings_in

# The rota of configs/farm.toml: every day from 07:00 (00:00 UTC) Tùng 600 min, Mai 90, Lan 120, of 90 L/min.
SUOI = "/farms/mai/sources/suoi"
TODAY = datetime(2026, 11, 23, tzinfo=UTC)
ROUND = 53  # since 1 October
KEPT: dict[str, Any] = {
    "unit": "minutes", "anchor": "2026-10-01T00:00:00Z", "period_days": 1,
    "shares": [
        {"household_id": "tung", "amount": 600}, {"household_id": "mai", "amount": 90},
        {"household_id": "lan", "amount": 120},
    ],
}  # fmt: skip
SWAP = {"kind": "swap", "household_id": "mai", "round": ROUND + 1, "household_a": "mai", "household_b": "tung"}
LOAN = {"kind": "loan", "household_id": "mai", "round": ROUND + 1, "lender": "lan", "borrower": "mai", "amount": 30}


@pytest.fixture
async def coop(tmp_path: Path) -> AsyncIterator[Coop]:
    """The cooperative, in which Lan sees the farm of the shared stream too."""
    Coop.found(tmp_path)
    ledger = open_ledger(settings_in(tmp_path).ledger)
    add_account(ledger, name="lan", password=PASSWORD, role=Role.FARMER, farm_ids=["lan", "mai"], now=NOW, hasher=CHEAP)
    ledger.close()
    made = Coop.open(tmp_path)
    yield made
    made.close()


def at(hours: float, days: int = 0) -> str:
    """UTC of today's round."""
    return (TODAY + timedelta(days=days, hours=hours)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def said(answer: httpx.Response) -> tuple[int, str, str | None]:
    body = answer.json()
    return answer.status_code, body["type"].rpartition("/")[2], body.get("field")


async def turns(client: httpx.AsyncClient, **query: Any) -> list[tuple[str, str, str | None]]:
    answer = await client.get(f"{SUOI}/turns", params={"days": 1} | query)
    assert answer.status_code == 200, answer.text
    return [(turn["household_id"], turn["start"], turn["end"]) for turn in answer.json()["turns"]]


def config(coop: Coop) -> FarmConfig:
    """What the gateway was told last."""
    return [message for _, _, message in coop.link.sent if isinstance(message, FarmConfig)][-1]


async def two_hours_lacked(coop: Coop) -> None:
    """Have the gateway tell that the source gave nothing in the first two hours of the round."""
    lacked: dict[str, tuple[Shortage, ...]] = {"suoi": (Shortage(start=TODAY, end=TODAY + timedelta(hours=2)),)}
    plan = Timetable(
        version=3, compiled_at=NOW, valid_until=NOW + timedelta(days=7), tz="Asia/Ho_Chi_Minh", entries=(),
        known=Knowledge(shortages=lacked),
    )  # fmt: skip
    await coop.link.says("mai", Channel.PLAN, plan)


async def test_everybody_reads_whose_turn_it_is_and_what_comes(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        found = (await mai.get("/farms/mai/rotas")).json()
        assert found["mine"] == ["mai"]
        assert found["households"][1] == {
            "id": "mai", "name": "Nhà chị Mai", "zones": ["man-hau", "xoai-doi"], "left_at": None,
        }  # fmt: skip
        assert [share["amount"] for share in found["rotas"][0]["shares"]] == [600, 90, 120]
        assert await turns(mai) == [
            ("tung", at(0), at(10)), ("mai", at(10), at(11.5)), ("lan", at(11.5), at(13.5)), ("tung", at(24), at(34)),
        ]  # fmt: skip
        (first, *_) = (await mai.get(f"{SUOI}/turns")).json()["turns"]
        assert (first["round"], first["now"], first["amount"]) == (ROUND, True, 600)
        assert said(await mai.get("/farms/mai/sources/be-chua/turns")) == (404, "not-found", None)


async def test_what_the_gateway_tells_of_shortages_moves_the_turns_that_people_see(coop: Coop) -> None:
    await two_hours_lacked(coop)
    async with coop.client("mai") as mai:
        assert (await turns(mai))[:2] == [("tung", at(2), at(12)), ("mai", at(12), at(13.5))]


async def test_a_swap_holds_when_the_other_side_has_agreed_and_the_gateway_is_told(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai, coop.client("hoa") as hoa, coop.client("lan") as lan:
        before = await turns(mai, **{"from": at(24)})
        asked = (await mai.post(f"{SUOI}/agreements", json=SWAP | {"household_b": "lan"})).json()
        assert (asked["agreed"], asked["in_force"]) == (["mai"], False)
        assert await turns(mai, **{"from": at(24)}) == before
        agree = f"/farms/mai/agreements/{asked['id']}/agree"
        assert said(await mai.post(agree, json={"household_id": "lan"})) == (403, "not-your-household", "household_id")
        assert said(await lan.post(agree, json={"household_id": "tung"})) == (422, "bad-field", "household_id")
        for _ in range(2):  # agreed twice is agreed
            agreed = (await lan.post(agree, json={"household_id": "lan"})).json()
            assert (agreed["agreed"], agreed["in_force"]) == (["mai", "lan"], True)
        assert [who for who, _, _ in await turns(hoa, **{"from": at(24)})][:3] == ["tung", "lan", "mai"]
        assert config(coop).farm.rotas[0].swaps[0].in_force
        take_back = await mai.delete(f"/farms/mai/agreements/{asked['id']}")
        assert said(take_back) == (409, "agreed-already", None)


async def test_a_manager_may_ask_and_agree_for_any(coop: Coop) -> None:
    async with coop.client("hoa") as hoa:
        asked = (await hoa.post(f"{SUOI}/agreements", json=SWAP)).json()
        answer = await hoa.post(f"/farms/mai/agreements/{asked['id']}/agree", json={"household_id": "tung"})
        assert answer.json()["in_force"]
        assert [who for who, _, _ in await turns(hoa, **{"from": at(24)})][:3] == ["mai", "tung", "lan"]


async def test_what_was_asked_can_be_declined_by_either_side(coop: Coop) -> None:
    async with coop.client("mai") as mai, coop.client("lan") as lan:
        asked = (await mai.post(f"{SUOI}/agreements", json=LOAN)).json()
        assert (await lan.delete(f"/farms/mai/agreements/{asked['id']}")).status_code == 204
        assert (await mai.get("/farms/mai/rotas")).json()["rotas"][0]["loans"] == []
        swap = (await mai.post(f"{SUOI}/agreements", json=SWAP)).json()
        not_theirs = await lan.delete(f"/farms/mai/agreements/{swap['id']}")
        assert said(not_theirs) == (403, "not-your-household", "agreement_id")


async def test_agreements_survive_a_restart(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        await mai.post(f"{SUOI}/agreements", json=LOAN | {"repaid_in": ROUND + 3})
    coop.close()
    again = Coop.open(coop.folder)
    try:
        async with again.client("mai") as mai:
            (loan,) = (await mai.get("/farms/mai/rotas")).json()["rotas"][0]["loans"]
            assert (loan["amount"], loan["repaid_in"], loan["agreed"]) == (30, ROUND + 3, ["mai"])
            assert (loan["kind"], loan["in_force"]) == ("loan", False)
    finally:
        again.close()


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (SWAP | {"round": ROUND}, (409, "round-begun", "round")),
        (SWAP | {"round": ROUND + 500}, (422, "bad-field", "round")),
        (SWAP | {"household_b": "mai"}, (422, "bad-field", "household_b")),
        (SWAP | {"household_b": "hoa"}, (422, "bad-field", "household_b")),
        (SWAP | {"household_id": "lan"}, (422, "bad-field", "household_id")),
        (SWAP | {"household_a": "lan", "household_id": "lan"}, (403, "not-your-household", "household_id")),
        (SWAP | {"round": -1}, (422, "bad-field", "round")),
        (SWAP | {"amount": 1}, (422, "bad-field", "amount")),
        (LOAN | {"amount": 0}, (422, "bad-field", "amount")),
        (LOAN | {"repaid_in": ROUND + 1}, (422, "bad-field", "repaid_in")),
        (LOAN | {"repaid_in": ROUND + 900}, (422, "bad-field", "repaid_in")),
        (LOAN | {"lender": "mai"}, (422, "bad-field", "borrower")),
    ],
)
async def test_what_cannot_be_agreed_is_refused_by_its_field(coop: Coop, asked: Any, answer: Any) -> None:
    async with coop.client("mai") as mai:
        before = (await mai.get("/farms/mai/rotas")).json()
        refused = await mai.post(f"{SUOI}/agreements", json=asked)
        place = refused.json().get("field")
        assert (*said(refused)[:2], place and place.rpartition(".")[2]) == answer, refused.text
        assert refused.json()["detail"]
        assert (await mai.get("/farms/mai/rotas")).json() == before


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"anchor": "2026-10-02T00:00:00Z"}, "anchor"),
        ({"anchor": "2026-12-01T00:00:00"}, "anchor"),
        ({"anchor": "2028-12-01T00:00:00Z"}, "anchor"),
        ({"period_days": 0}, "period_days"),
        ({"shares": []}, "shares"),
        ({"shares": [{"household_id": "hoa", "amount": 5}]}, "shares.0.household_id"),
        ({"shares": KEPT["shares"] * 2}, "shares"),
        ({"hours": ["18:00", "05:00"]}, "hours"),
        ({"hours": ["5", "18:00"]}, "hours.0"),
        ({"unit": "buckets"}, "unit"),
        ({"rations": [{"first": "2026-11-01", "last": "2026-11-30", "pct": 50}]}, "rations"),
        ({"rations": [{"first": "2026-12-02", "last": "2026-12-01", "pct": 50}]}, "rations.0"),
        ({"shortages": [{"start": "2026-11-03T00:00:00Z"}, {"start": "2026-11-04T00:00:00Z"}]}, "shortages"),
        ({"swaps": []}, "swaps"),
    ],
)
async def test_a_rota_that_cannot_be_is_refused_by_its_field(coop: Coop, changed: Any, field: str) -> None:
    async with coop.client("hoa") as hoa:
        before = (await hoa.get("/farms/mai/rotas")).json()
        refused = await hoa.put(f"{SUOI}/rota", json=KEPT | changed)
        assert said(refused) == (422, "bad-field", field), refused.text
        assert "why." not in refused.json()["detail"]
        assert (await hoa.get("/farms/mai/rotas")).json() == before


async def preview(client: httpx.AsyncClient, rules: Any, **query: Any) -> Any:
    answer = await client.post(f"{SUOI}/rota/preview", params={"days": 2} | query, json=rules)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_preview_is_what_the_turns_will_be_once_saved_and_changes_nothing(coop: Coop) -> None:
    await two_hours_lacked(coop)
    other = KEPT | {"anchor": at(34), "shares": [{"household_id": "lan", "amount": 30}]}
    async with coop.client("hoa") as hoa:
        await hoa.put(f"{SUOI}/rota", json=KEPT | {"anchor": at(30)})  # it has not begun: the draft takes its place
        before = (await hoa.get("/farms/mai/rotas")).json()
        shown = await preview(hoa, other)
        assert [(each["household_id"], each["start"], each["anchor"]) for each in shown["turns"]] == [
            ("tung", at(2), KEPT["anchor"]), ("mai", at(12), KEPT["anchor"]), ("lan", at(13.5), KEPT["anchor"]),
            ("tung", at(24), KEPT["anchor"]), ("lan", at(34), "2026-11-24T10:00:00Z"),
        ]  # fmt: skip
        assert (await hoa.get("/farms/mai/rotas")).json() == before
        await hoa.put(f"{SUOI}/rota", json=other)
        assert (await hoa.get(f"{SUOI}/turns", params={"days": 2})).json()["turns"] == shown["turns"]


async def test_a_preview_of_a_ration_keeps_what_was_agreed(coop: Coop) -> None:
    async with coop.client("hoa") as hoa:
        asked = (await hoa.post(f"{SUOI}/agreements", json=SWAP)).json()
        await hoa.post(f"/farms/mai/agreements/{asked['id']}/agree", json={"household_id": "tung"})
        dry = KEPT | {"rations": [{"first": "2026-11-24", "last": "2026-11-24", "pct": 50}]}
        shown = await preview(hoa, dry, **{"from": at(24), "days": 1})
        assert [(each["household_id"], each["amount"]) for each in shown["turns"]] == [
            ("mai", 45), ("tung", 300), ("lan", 60),
        ]  # fmt: skip


async def test_a_preview_tells_what_becomes_of_the_programs_of_the_sources_zones(coop: Coop) -> None:
    async with coop.client("hoa") as hoa:
        other = KEPT | {"anchor": at(20), "shares": [{"household_id": "lan", "amount": 120}]}
        table = (await preview(hoa, other, days=7))["timetable"]
        assert {one["zone_id"] for one in table["entries"] + table["skipped"]} == {"man-hau", "xoai-doi", "ca-phe-doi"}
        told = {(one["zone_id"], one["rule"]): one["sentence"] for one in table["skipped"]}
        assert "turn does not come" in told["man-hau", "outside-turn"]
        await hoa.put(f"{SUOI}/rota", json=other)
        after = (await hoa.post("/farms/mai/preview", json={"programs": []})).json()
        of_source = [one for one in after["skipped"] if one["zone_id"] in ("man-hau", "xoai-doi", "ca-phe-doi")]
        assert of_source == table["skipped"]


async def test_a_preview_of_what_cannot_be_saved_is_refused_likewise(coop: Coop) -> None:
    async with coop.client("hoa") as hoa:
        for rules, field in (
            (KEPT | {"anchor": "2026-10-02T00:00:00Z"}, "anchor"),
            (KEPT | {"shares": [{"household_id": "hoa", "amount": 5}]}, "shares.0.household_id"),
            (KEPT | {"hours": ["18:00", "05:00"]}, "hours"),
        ):
            refused = await hoa.post(f"{SUOI}/rota/preview", json=rules)
            assert said(refused) == (422, "bad-field", field), refused.text
        naive = await hoa.post(f"{SUOI}/rota/preview", params={"from": "2026-11-24T00:00:00"}, json=KEPT)
        assert said(naive) == (422, "bad-field", "from")
        assert said(await hoa.post("/farms/mai/sources/nowhere/rota/preview", json=KEPT))[0] == 404


async def test_turns_that_are_to_begin_can_be_swapped_and_lent_before(coop: Coop) -> None:
    await coop.gateway_up()
    coming = KEPT | {"anchor": at(34)}
    async with coop.client("hoa") as hoa, coop.client("mai") as mai, coop.client("lan") as lan:
        await hoa.put(f"{SUOI}/rota", json=coming)
        swap = SWAP | {"anchor": at(34), "round": 0, "household_b": "lan"}
        asked = (await mai.post(f"{SUOI}/agreements", json=swap)).json()
        await lan.post(f"/farms/mai/agreements/{asked['id']}/agree", json={"household_id": "lan"})
        assert [who for who, _, _ in await turns(hoa, **{"from": at(34)})] == ["tung", "lan", "mai"]
        kept, new = config(coop).farm.rotas
        assert (kept.swaps, [one.in_force for one in new.swaps]) == ((), [True])
        wrong = await mai.post(f"{SUOI}/agreements", json=swap | {"anchor": at(35)})
        assert said(wrong) == (422, "bad-field", "anchor")
        assert "why." not in wrong.json()["detail"]
        await hoa.put(f"{SUOI}/rota", json=coming | {"period_days": 2})  # other turns: what was agreed is not theirs
        assert config(coop).farm.rotas[1].swaps == ()


async def test_rounds_that_other_turns_take_the_place_of_cannot_be_swapped(coop: Coop) -> None:
    async with coop.client("hoa") as hoa:
        early = (await hoa.post(f"{SUOI}/agreements", json=SWAP | {"round": ROUND + 2})).json()
        await hoa.put(f"{SUOI}/rota", json=KEPT | {"anchor": at(34)})
        assert (await hoa.post(f"{SUOI}/agreements", json=SWAP)).status_code == 201  # that round begins before
        for answer in (
            await hoa.post(f"{SUOI}/agreements", json=SWAP | {"round": ROUND + 2}),
            await hoa.post(f"/farms/mai/agreements/{early['id']}/agree", json={"household_id": "tung"}),
        ):
            assert said(answer) == (422, "bad-field", "round")
            assert "other turns" in answer.json()["detail"]
        late = await hoa.post(f"{SUOI}/agreements", json=LOAN | {"repaid_in": ROUND + 2})
        assert said(late) == (422, "bad-field", "repaid_in")


async def test_a_dry_season_and_a_shortage_that_people_saw_keep_the_rota_and_its_agreements(coop: Coop) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai, coop.client("hoa") as hoa:
        await mai.post(f"{SUOI}/agreements", json=SWAP)
        more = {
            "rations": [{"first": "2026-11-24", "last": "2027-03-31", "pct": 50}],
            "shortages": [{"start": at(1), "end": at(3), "flow_share": 0.5}],
        }
        answer = await hoa.put(f"{SUOI}/rota", json=KEPT | more)
        assert answer.status_code == 200, answer.text
        (rota,) = answer.json()["rotas"]
        assert len(rota["swaps"]) == 1
        assert await turns(mai) == [
            ("tung", at(0), at(11)), ("mai", at(11), at(12.5)), ("lan", at(12.5), at(14.5)), ("tung", at(24), at(29)),
        ]  # fmt: skip
        assert config(coop).farm.rotas[0].rations[0].pct == 50


async def test_other_turns_begin_at_their_anchor_and_those_before_hold_until_then(coop: Coop) -> None:
    await coop.gateway_up()
    other = KEPT | {"anchor": at(34), "shares": [{"household_id": "lan", "amount": 30}]}
    async with coop.client("hoa") as hoa:
        await hoa.put(f"{SUOI}/rota", json=KEPT | {"anchor": at(30)})  # thought better of
        assert (await hoa.put(f"{SUOI}/rota", json=other)).status_code == 200
        assert [rota["anchor"] for rota in (await hoa.get("/farms/mai/rotas")).json()["rotas"]] == [
            "2026-10-01T00:00:00Z", "2026-11-24T10:00:00Z",
        ]  # fmt: skip
        assert await turns(hoa, **{"from": at(24)}) == [("tung", at(24), at(34)), ("lan", at(34), at(34.5))]
        assert (await hoa.delete(f"{SUOI}/rota")).status_code == 204
        assert (await hoa.get("/farms/mai/rotas")).json()["rotas"] == []
        assert config(coop).farm.rotas == ()
        assert (await hoa.delete(f"{SUOI}/rota")).status_code == 404


def run(number: int, zone_id: str, opened: datetime, minutes: float, litres: float | None) -> tuple[RunEvent, ...]:
    """A run that has ended; man-hau has a meter, xoai-doi and (here) ca-phe-doi's tell nothing."""
    common: dict[str, Any] = {
        "run_id": f"run-{number}", "zone_id": zone_id, "node_id": "board-3", "channel": "v1", "origin": Origin.PERSON,
        "actor": "mai", "dose": Dose(minutes=minutes), "max_s": minutes * 60, "opened_at": opened,
    }  # fmt: skip
    end = opened + timedelta(minutes=minutes)
    return (
        RunEvent(seq=2 * number - 1, at=opened, state=RunState.OPEN, **common),
        RunEvent(seq=2 * number, at=end, state=RunState.DONE, litres=litres, open_s=minutes * 60, **common),
    )


async def test_the_account_says_what_each_received_by_what_measure_and_what_is_owed(coop: Coop) -> None:
    yesterday = TODAY - timedelta(days=1)
    await coop.events(
        *run(1, "man-hau", yesterday + timedelta(hours=10.5), 60, 2000.5),  # within Mai's turn
        *run(2, "xoai-doi", yesterday + timedelta(hours=11.25), 30, None),  # half of it after
        *run(3, "ca-phe-doi", TODAY + timedelta(hours=1), 10, 400.0),  # Lan, in Tùng's turn
        *run(4, "dau-tay", TODAY, 10, 400.0),  # another source
    )
    async with coop.client("mai") as mai:
        now, before = (await mai.get(f"{SUOI}/account", params={"rounds": 2})).json()["rounds"]
        assert (now["round"], now["end"], before["round"], before["end"]) == (ROUND, None, ROUND - 1, at(0))
        _, mine, lan = before["households"]
        assert (mine["entitled_l"], mine["offered_l"], mine["owed_l"]) == (8100, 8100, 0)
        assert (mine["metered_l"], mine["estimated_l"], mine["measured"]) == (2000.5, 900, "both")
        assert (mine["outside_l"], mine["not_taken_l"]) == (450, 5199.5)
        assert (lan["measured"], lan["not_taken_l"]) == ("none", 10_800)
        tung, mine, lan = now["households"]  # it is 12:00 at the farm: five of Tùng's ten hours
        assert (tung["offered_l"], tung["owed_l"], tung["not_taken_l"]) == (27_000, 27_000, 27_000)
        assert (lan["received_l"], lan["outside_l"], lan["beyond_l"], lan["measured"]) == (400, 400, 400, "metered")
        assert (mine["owed_l"], mine["received_l"]) == (8100, 0)


async def test_a_learned_flow_is_what_stands_for_a_meter(coop: Coop) -> None:
    plan = Timetable(
        version=3, compiled_at=NOW, valid_until=NOW + timedelta(days=7), tz="Asia/Ho_Chi_Minh", entries=(),
        known=Knowledge(flows_l_min={"xoai-doi": 21.0}),
    )  # fmt: skip
    await coop.link.says("mai", Channel.PLAN, plan)
    await coop.events(*run(1, "xoai-doi", TODAY + timedelta(hours=1), 10, None))
    async with coop.client("mai") as mai:
        (now,) = (await mai.get(f"{SUOI}/account", params={"rounds": 1})).json()["rounds"]
        assert now["households"][1]["estimated_l"] == 210
