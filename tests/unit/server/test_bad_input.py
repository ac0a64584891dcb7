"""Bad input at the API: a clear sentence naming the field, in the reader's language, and nothing half-applied."""

import json
from typing import Any

import pytest

from tests.unit.server.coop import Coop

KEY = {"Idempotency-Key": "order-0001"}
RUNS = "/zones/dau-tay/runs"
PROGRAMS = "/farms/mai/programs"
GOOD: dict[str, Any] = {
    "name": "Tối", "enabled": True, "calendar": {"kind": "weekly", "days": [1]}, "starts": ["19:00"],
    "zones": [{"zone_id": "dau-tay", "dose": {"minutes": 5}}],
}  # fmt: skip

EVERY = {"kind": "every_n_days", "n": 2, "anchor": "2026-11-01"}


def program(**changes: Any) -> str:
    return json.dumps(GOOD | changes)


TABLE = [
    (RUNS, '{"dose": {"minutes": NaN}}', 422, "bad-dose", "dose.minutes"),
    (RUNS, '{"dose": {"minutes": Infinity}}', 422, "bad-dose", "dose.minutes"),
    (RUNS, '{"dose": {"minutes": 1e999}}', 422, "bad-dose", "dose.minutes"),
    (RUNS, '{"dose": {"minutes": -5}}', 422, "bad-dose", "dose"),
    (RUNS, '{"dose": {"minutes": 0}}', 422, "bad-dose", "dose"),
    (RUNS, '{"dose": {"minutes": "20"}}', 422, "bad-dose", "dose.minutes"),
    (RUNS, '{"dose": {"minutes": true}}', 422, "bad-dose", "dose.minutes"),
    (RUNS, '{"dose": {"minutes": 20, "litres": 9}}', 422, "bad-dose", "dose"),
    (RUNS, '{"dose": {"until_moisture_pct": 36}}', 422, "bad-dose", "dose"),
    (RUNS, '{"dose": {}}', 422, "bad-dose", "dose"),
    (RUNS, '{"dose": {"hours": 1}}', 422, "bad-dose", "dose.hours"),
    (RUNS, '{"dose": null}', 422, "bad-dose", "dose"),
    (RUNS, "{}", 422, "bad-dose", "dose"),
    (RUNS, '{"dose": {"minutes": 5}, "valve": "v2"}', 422, "bad-field", "valve"),
    (RUNS, '{"dose": {"minutes": 5}, "dose": {"minutes": 50}}', 422, "bad-field", "dose"),
    (RUNS, '{"dose": {"minutes": 5, "minutes": 50}}', 422, "bad-field", "minutes"),
    (RUNS, '{"dose": {"minutes": 5}', 400, "not-json", None),
    (RUNS, "", 400, "not-json", None),
    (RUNS, "[1, 2]", 422, "bad-field", "body"),
    (RUNS, "[" * 30_000, 400, "not-json", None),
    (RUNS, '{"dose": ' + '{"minutes":' * 5000 + "1" + "}" * 5001, 400, "not-json", None),
    (RUNS, '{"dose": {"minutes": 5}, "x": "' + "x" * 70_000 + '"}', 413, "too-large", None),
    (RUNS, b'{"dose": {"minutes": 5}, "\xff": 1}', 400, "not-json", None),
    (PROGRAMS, program(name=""), 422, "bad-field", "name"),
    (PROGRAMS, program(name="x" * 201), 422, "bad-field", "name"),
    (PROGRAMS, program(enabled="yes"), 422, "bad-field", "enabled"),
    (PROGRAMS, program(calendar={"kind": "weekly", "days": [0]}), 422, "bad-field", "calendar"),
    (PROGRAMS, program(calendar={"kind": "weekly", "days": []}), 422, "bad-field", "calendar"),
    (PROGRAMS, program(calendar={"kind": "moon"}), 422, "bad-field", "calendar"),
    (PROGRAMS, program(calendar=EVERY | {"n": 0}), 422, "bad-field", "calendar"),
    (
        PROGRAMS, program(calendar={"kind": "every_n_days", "n": 2, "anchor": "2026-02-30"}), 422, "bad-field",
        "calendar.anchor",
    ),
    (PROGRAMS, program(starts=[]), 422, "bad-field", "starts"),
    (PROGRAMS, program(starts=["24:00"]), 422, "bad-field", "starts.0"),
    (PROGRAMS, program(starts=["05:30", "05:30"]), 422, "bad-field", "starts"),
    (PROGRAMS, program(zones=[]), 422, "bad-field", "zones"),
    (PROGRAMS, program(zones=GOOD["zones"] * 2), 422, "bad-field", "zones"),
    (
        PROGRAMS, program(zones=[{"zone_id": "ca-chua", "dose": {"minutes": 5}}]), 422, "unknown-zone",
        "zones.0.zone_id",
    ),
    (
        PROGRAMS, program(zones=[{"zone_id": "dau-tay", "dose": {"minutes": 61}}]), 422, "dose-above-cap",
        "zones.0.dose.minutes",
    ),
    (PROGRAMS, program(id="mine"), 422, "bad-field", "id"),
    ("/session", '{"name": "mai"}', 422, "bad-field", "password"),
    ("/session", '{"name": ["mai"], "password": "x"}', 422, "bad-field", "name"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "code", "field"), TABLE)
async def test_a_bad_body_is_answered_with_the_field_at_fault(
    coop: Coop, path: str, body: str | bytes, status: int, code: str, field: str | None
) -> None:
    await coop.gateway_up()
    before = coop.link.sent.copy()
    async with coop.client("mai") as mai:
        snapshot = (await mai.get("/farms/mai/snapshot")).json()
        answer = await mai.post(path, content=body, headers=KEY)
        said = answer.json()
        assert (answer.status_code, said["type"].rsplit("/")[-1], said.get("field")) == (status, code, field), said
        assert answer.headers["content-type"] == "application/problem+json"
        assert said["detail"]
        assert "?" not in said["detail"]
        assert (await mai.get("/farms/mai/snapshot")).json() == snapshot
        assert coop.link.sent == before


async def test_several_fields_at_fault_are_all_named(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        said = (await mai.post(PROGRAMS, json={"name": "", "starts": ["5"], "zones": []})).json()
        assert said["type"].endswith("/bad-fields")
        assert {error["field"] for error in said["errors"]} == {"name", "calendar", "starts.0", "zones"}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/zones/dau-tay/series?quantity=luck", "quantity"),
        ("/zones/dau-tay/series?points=1", "points"),
        ("/zones/dau-tay/series?from=yesterday", "from"),
        ("/zones/dau-tay/series?from=2026-11-23T05:00:00", "from"),
        ("/zones/dau-tay/series?from=2026-11-23T05:00:00Z&to=2026-11-22T05:00:00Z", "from"),
        ("/zones/dau-tay/series?from=1900-11-23T05:00:00Z", "from"),
        ("/farms/mai/water-use?by=month", "by"),
        ("/farms/mai/timetable?days=15", "days"),
        ("/zones/dau-tay/runs?limit=0", "limit"),
    ],
)
async def test_a_bad_question_is_answered_with_the_field_at_fault(coop: Coop, path: str, field: str) -> None:
    async with coop.client("mai") as mai:
        answer = await mai.get(path)
        assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.mark.parametrize(
    "key", ["", "short", "x" * 65, "with space", "ünï-cödé-kéy".encode().decode("latin-1"), "a" * 7]
)
async def test_an_order_needs_a_key(coop: Coop, key: str) -> None:
    await coop.gateway_up()
    async with coop.client("mai") as mai:
        headers = {b"Idempotency-Key": key.encode("latin-1")} if key else {}
        answer = await mai.post(RUNS, json={"dose": {"minutes": 5}}, headers=headers)
        assert (answer.status_code, answer.json()["type"].rsplit("/")[-1]) == (400, "key-missing")
        assert coop.link.commands() == []


@pytest.mark.parametrize(
    ("accepts", "language", "word"),
    [("fr-CH, en;q=0.5", "fr", "ferme"), ("en-US", "en", "farm"), ("de, ja", "vi", "vườn"), ("", "vi", "vườn")],
)
async def test_the_sentence_is_in_the_readers_language(coop: Coop, accepts: str, language: str, word: str) -> None:
    async with coop.client("mai", **{"Accept-Language": accepts}) as mai:
        answer = await mai.get("/farms/nobodys/snapshot")
        assert answer.headers["content-language"] == language
        assert word in answer.json()["detail"]


async def test_script_in_a_name_comes_back_as_text(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        name = "<script>alert(1)</script>"
        made = (await mai.post(PROGRAMS, json=GOOD | {"name": name})).json()
        assert made["name"] == name
        assert made["id"] == "script-alert-1-script"


@pytest.mark.parametrize("method", ["PATCH", "TRACE"])
async def test_a_method_that_a_path_does_not_take_is_a_problem_too(coop: Coop, method: str) -> None:
    async with coop.client("mai") as mai:
        answer = await mai.request(method, "/farms/mai/snapshot")
        assert answer.status_code == 405
        assert answer.json()["type"].endswith("/method-not-allowed")
