"""Who may call what: every route of the application stands in this table, or the test fails."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from contract.messages import FaultEvent
from server.api.problems import STATUS
from tests.unit.server.coop import NOW, Coop

PROGRAM = {
    "name": "Tối", "calendar": {"kind": "weekly", "days": [1]}, "starts": ["19:00"],
    "zones": [{"zone_id": "dau-tay", "dose": {"minutes": 5}}],
}  # fmt: skip
HOLD = {"until": (NOW + timedelta(days=1)).isoformat(), "reason": ""}
WATER = {"dose": {"minutes": 5}}
FORECAST = {"issued_at": NOW.isoformat(), "rain": [{"hours": 24, "mm": 12}]}
ROTA = {
    "unit": "minutes", "anchor": "2026-12-01T00:00:00Z", "period_days": 2,
    "shares": [{"household_id": "mai", "amount": 60}, {"household_id": "lan", "amount": 60}],
}  # fmt: skip
SWAP = {"kind": "swap", "household_id": "mai", "round": 60, "household_a": "mai", "household_b": "lan"}
EVERYBODY = "mai thanh hoa"
EDITORS = "mai hoa"


class Call(NamedTuple):
    """What a route answers to those who may call it; the others who see the farm get 403."""

    status: int
    may: str = EVERYBODY
    body: Any = None
    public: bool = False


TABLE: dict[tuple[str, str], Call] = {
    ("POST", "/api/v1/session"): Call(200, body={"name": "mai", "password": "mat-khau-du-dai"}, public=True),
    ("GET", "/api/v1/session"): Call(200),
    ("DELETE", "/api/v1/session"): Call(204),
    ("GET", "/api/v1/farms/{farm_id}/snapshot"): Call(200),
    ("GET", "/api/v1/farms/{farm_id}/live"): Call(200),
    ("POST", "/api/v1/farms/{farm_id}/stop-all"): Call(202),
    ("PUT", "/api/v1/farms/{farm_id}/hold"): Call(200, body=HOLD),
    ("DELETE", "/api/v1/farms/{farm_id}/hold"): Call(204),
    ("POST", "/api/v1/farms/{farm_id}/nodes/{node_id}/channels/{channel}/reset"): Call(202, "thanh hoa"),
    ("GET", "/api/v1/farms/{farm_id}/rules"): Call(200),
    ("PUT", "/api/v1/farms/{farm_id}/rules"): Call(200, EDITORS, {"windows": [{"begin": "20:00", "end": "08:00"}]}),
    ("GET", "/api/v1/farms/{farm_id}/forecast"): Call(200),
    ("PUT", "/api/v1/farms/{farm_id}/forecast"): Call(200, "thanh hoa", FORECAST),
    ("DELETE", "/api/v1/farms/{farm_id}/forecast"): Call(204, "thanh hoa"),
    ("GET", "/api/v1/farms/{farm_id}/rotas"): Call(200),
    ("PUT", "/api/v1/farms/{farm_id}/sources/{source_id}/rota"): Call(200, "hoa", ROTA),
    ("DELETE", "/api/v1/farms/{farm_id}/sources/{source_id}/rota"): Call(204, "hoa"),
    ("GET", "/api/v1/farms/{farm_id}/sources/{source_id}/turns"): Call(200),
    ("POST", "/api/v1/farms/{farm_id}/sources/{source_id}/rota/preview"): Call(200, body=ROTA),
    ("GET", "/api/v1/farms/{farm_id}/households"): Call(200, "hoa"),
    ("POST", "/api/v1/farms/{farm_id}/households"): Call(201, "hoa", {"name": "Nhà bác Bình"}),
    ("PUT", "/api/v1/farms/{farm_id}/households/{household_id}"): Call(200, "hoa", {"name": "Nhà anh Tư"}),
    ("DELETE", "/api/v1/farms/{farm_id}/households/{household_id}"): Call(204, "hoa"),
    ("GET", "/api/v1/farms/{farm_id}/sources/{source_id}/account"): Call(200),
    ("POST", "/api/v1/farms/{farm_id}/sources/{source_id}/agreements"): Call(201, EDITORS, SWAP),
    ("POST", "/api/v1/farms/{farm_id}/agreements/{agreement_id}/agree"): Call(200, EDITORS, {"household_id": "mai"}),
    ("DELETE", "/api/v1/farms/{farm_id}/agreements/{agreement_id}"): Call(204, EDITORS),
    ("POST", "/api/v1/alerts/{alert_id}/acknowledge"): Call(200),
    ("POST", "/api/v1/zones/{zone_id}/runs"): Call(202, body=WATER),
    ("GET", "/api/v1/zones/{zone_id}/runs"): Call(200),
    ("GET", "/api/v1/runs/{run_id}"): Call(200),
    ("POST", "/api/v1/runs/{run_id}/stop"): Call(202),
    ("GET", "/api/v1/programs/{program_id}/run"): Call(200),
    ("POST", "/api/v1/programs/{program_id}/run"): Call(202),
    ("GET", "/api/v1/farms/{farm_id}/queue"): Call(200),
    ("GET", "/api/v1/farms/{farm_id}/programs"): Call(200),
    ("POST", "/api/v1/farms/{farm_id}/programs"): Call(201, EDITORS, PROGRAM),
    ("GET", "/api/v1/programs/{program_id}"): Call(200),
    ("PUT", "/api/v1/programs/{program_id}"): Call(200, EDITORS, PROGRAM | {"version": 1}),
    ("DELETE", "/api/v1/programs/{program_id}"): Call(204, EDITORS),
    ("POST", "/api/v1/programs/{program_id}/skip-next"): Call(200, EDITORS),
    ("GET", "/api/v1/farms/{farm_id}/timetable"): Call(200),
    ("POST", "/api/v1/farms/{farm_id}/preview"): Call(200, body={"programs": [PROGRAM]}),
    ("GET", "/api/v1/farms/{farm_id}/decisions"): Call(200),
    ("GET", "/api/v1/zones/{zone_id}/series"): Call(200),
    ("GET", "/api/v1/zones/{zone_id}/readings"): Call(200),
    ("GET", "/api/v1/farms/{farm_id}/water-use"): Call(200),
    ("GET", "/api/v1/healthz"): Call(200, public=True),
    ("GET", "/api/v1/readyz"): Call(200, public=True),
    ("GET", "/api/v1/metrics"): Call(200, public=True),
    ("GET", "/healthz"): Call(200, public=True),
    ("GET", "/readyz"): Call(200, public=True),
    ("GET", "/metrics"): Call(200, public=True),
    ("GET", "/docs"): Call(200, public=True),
    ("GET", "/{path:path}"): Call(503, public=True),  # this cooperative's app is not built
}

CHANGES = [key for key in TABLE if key[0] != "GET"]
PRIVATE = [key for key, call in TABLE.items() if not call.public]
OF_A_FARM = [key for key in PRIVATE if "{" in key[1]]


def routes(coop: Coop) -> set[tuple[str, str]]:
    """Every route of the application."""
    found = set()
    for context in iter_route_contexts(coop.app.site.routes):
        if isinstance(context.original_route, APIRoute) and context.path and context.methods:
            found |= {(method, context.path) for method in context.methods}
    return found


def test_every_route_stands_in_the_table(coop: Coop) -> None:
    assert routes(coop) == set(TABLE)


def test_every_problem_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    assert [code for code in STATUS if f"`{code}`" not in text] == []


def test_every_route_of_the_api_is_documented(coop: Coop) -> None:
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    calls = set()
    for quoted in re.findall(r"`((?:(?:GET|POST|PUT|DELETE) ?)+ /[^`\s?]*)", text):
        *methods, path = quoted.split()  # `GET PUT DELETE /programs/{id}`
        calls |= {(method, f"/api/v1{path}") for method in methods}
    written = {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in calls}
    for method, path in routes(coop):
        if path.startswith("/api/v1"):
            general = re.sub(r"\{\w+\}", "{}", path)
            assert (method, general) in written, f"{method} {path} is not in docs/api.md"


class World:
    """Ids of farm mai that a path may name."""

    def __init__(self, coop: Coop) -> None:
        self._coop = coop
        self.ids = {"farm_id": "mai", "zone_id": "dau-tay", "program_id": "sang-dau-tay", "path": ""}
        self.ids |= {"node_id": "board-1", "channel": "v1", "source_id": "suoi"}

    async def make(self) -> None:
        """A run, an alert, a household and a swap that is asked for, and gateways that are online."""
        await self._coop.gateway_up("mai")
        fault = FaultEvent(seq=1, at=NOW, code="no-flow", zone_id="dau-tay", channel="v1")
        await self._coop.events(fault)
        view = self._coop.app.services.live.view("mai")
        assert view is not None
        (self.ids["alert_id"],) = view.alerts
        async with self._coop.client("mai") as mai:
            answer = await mai.post("/zones/rau-cai-meo/runs", json=WATER, headers={"Idempotency-Key": "the-first-run"})
            self.ids["run_id"] = answer.json()["id"]
            answer = await mai.post("/farms/mai/sources/suoi/agreements", json=SWAP)
            self.ids["agreement_id"] = answer.json()["id"]
        async with self._coop.client("hoa") as hoa:
            answer = await hoa.post("/farms/mai/households", json={"name": "Nhà chú Ba"})
            self.ids["household_id"] = answer.json()["id"]

    def url(self, path: str) -> str:
        """The path with its ids, as an absolute address."""
        filled = path.replace("{path:path}", "")
        return "http://coop" + re.sub(r"\{(\w+)\}", lambda found: self.ids[found[1]], filled)


@pytest.fixture
async def world(coop: Coop) -> World:
    """A farm with something of everything."""
    made = World(coop)
    await made.make()
    return made


async def ask(client: httpx.AsyncClient, world: World, key: tuple[str, str], **headers: str) -> httpx.Response:
    method, path = key
    return await client.request(
        method, world.url(path), json=TABLE[key].body, headers={"Idempotency-Key": "a-key-of-its-own"} | headers
    )


# The live stream never ends by itself: tests/unit/server/test_live.py reads it; here it is only refused.
ENDS = [key for key in TABLE if not key[1].endswith("/live")]


@pytest.mark.parametrize("name", ["mai", "thanh", "hoa"])
@pytest.mark.parametrize("key", ENDS, ids=" ".join)
async def test_each_role_gets_what_the_table_says(coop: Coop, world: World, key: tuple[str, str], name: str) -> None:
    call = TABLE[key]
    async with coop.client(name) as client:
        answer = await ask(client, world, key)
        assert answer.status_code == (call.status if name in call.may.split() else 403), answer.text


@pytest.mark.parametrize("key", OF_A_FARM, ids=" ".join)
async def test_another_farms_things_do_not_exist_for_a_farmer(coop: Coop, world: World, key: tuple[str, str]) -> None:
    before = coop.link.sent.copy()
    async with coop.client("lan") as lan:
        answer = await ask(lan, world, key)
        assert answer.status_code == 404
        assert answer.json()["type"].endswith("/not-found")
        assert coop.link.sent == before
        world.ids = dict.fromkeys(world.ids, "nobodys")  # what nobody has looks the same
        assert (await ask(lan, world, key)).json() == answer.json()


@pytest.mark.parametrize("key", PRIVATE, ids=" ".join)
async def test_nobody_comes_in_without_a_session(coop: Coop, world: World, key: tuple[str, str]) -> None:
    async with coop.client() as nobody:
        for cookie in ("", "tuoi_session=forged", "tuoi_session="):
            answer = await ask(nobody, world, key, Cookie=cookie)
            assert answer.status_code == 401
            assert answer.json()["type"].endswith("/not-signed-in")


@pytest.mark.parametrize("key", CHANGES, ids=" ".join)
async def test_nothing_changes_without_the_header_that_a_foreign_site_cannot_set(
    coop: Coop, world: World, key: tuple[str, str]
) -> None:
    before = coop.link.sent.copy()
    async with coop.client("hoa") as hoa:
        for header in ("", "0", "true"):
            answer = await ask(hoa, world, key, **{"X-Tuoi": header})
            assert answer.status_code == 403
            assert answer.json()["type"].endswith("/header-missing")
        assert coop.link.sent == before


async def test_a_session_ends_when_it_is_signed_out_and_when_it_is_old(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        token = mai.cookies["tuoi_session"]
        assert (await mai.delete("/session")).status_code == 204
        assert (await mai.get("/session", headers={"Cookie": f"tuoi_session={token}"})).status_code == 401
    async with coop.client("mai") as mai:
        coop.clock.now = datetime(2027, 1, 1, tzinfo=UTC)
        assert (await mai.get("/session")).status_code == 401
