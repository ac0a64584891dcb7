"""The app's files and its page, the security headers, and health."""

import gzip
import json
import re
from pathlib import Path

import httpx
import pytest

from server.api.pages import NO_BUNDLE
from server.errors import Unavailable
from tests.unit.server.coop import Coop

INDEX = "<!doctype html><html><body>\n<!--state-->\n<div id=app></div></body></html>"
SCRIPT = "export const x = 1;\n" * 200


@pytest.fixture
def built(coop: Coop, tmp_path: Path) -> Coop:
    """The cooperative with an app."""
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text(INDEX)
    (dist / "assets" / "main-abc.js").write_text(SCRIPT)
    (dist / "sw.js").write_text("// worker")
    (dist / "manifest.webmanifest").write_text("{}")
    coop.close()
    return Coop.open(coop.folder, web=dist)


async def get(coop: Coop, path: str, name: str | None = None, **headers: str) -> httpx.Response:
    async with coop.client(name) as client:
        return await client.get(f"http://coop{path}", headers=headers)


async def test_without_the_app_the_first_page_says_so_plainly(coop: Coop) -> None:
    answer = await get(coop, "/")
    assert answer.status_code == 503
    assert NO_BUNDLE in answer.text


@pytest.mark.parametrize("path", ["/", "/zones/dau-tay", "/programs"])
async def test_every_path_of_the_app_is_its_one_page(built: Coop, path: str) -> None:
    answer = await get(built, path)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.text == INDEX.replace("<!--state-->", "")
    built.close()


async def test_the_page_of_somebody_signed_in_holds_their_state(built: Coop) -> None:
    answer = await get(built, "/", name="mai")
    found = re.search(r'<script type="application/json" id="state">(.*?)</script>', answer.text, re.DOTALL)
    assert found is not None
    state = json.loads(found[1])
    assert state["me"]["name"] == "mai"
    assert state["snapshot"] == (await get(built, "/api/v1/farms/mai/snapshot", name="mai")).json()
    built.close()


async def test_a_name_cannot_end_the_state_and_become_script(built: Coop) -> None:
    async with built.client("mai") as mai:
        name = "</script><script>alert(1)</script>\u2028"
        until = "2026-11-24T05:00:00Z"
        await mai.put("/farms/mai/hold", json={"until": until, "reason": name})
        page = (await mai.get("http://coop/")).text
        assert page.count("</script>") == 1
        found = re.search(r'id="state">(.*?)</script>', page, re.DOTALL)
        assert found is not None
        assert json.loads(found[1])["snapshot"]["hold"]["reason"] == name
    built.close()


async def test_files_with_a_hash_in_their_name_are_kept_for_ever_and_others_are_asked_for(built: Coop) -> None:
    script = await get(built, "/assets/main-abc.js", **{"Accept-Encoding": "gzip"})
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-encoding"] == "gzip"
    assert script.text == SCRIPT
    assert len(gzip.compress(SCRIPT.encode())) >= int(script.headers["content-length"])
    plain = await get(built, "/assets/main-abc.js", **{"Accept-Encoding": "identity"})
    assert (plain.text, "content-encoding" in plain.headers) == (SCRIPT, False)
    worker = await get(built, "/sw.js")
    assert worker.headers["cache-control"] == "no-cache"
    again = await get(built, "/sw.js", **{"If-None-Match": worker.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await get(built, "/manifest.webmanifest")).headers["content-type"] == "application/manifest+json"
    built.close()


@pytest.mark.parametrize(
    "path", ["/assets/none.js", "/../server.toml", "/%2e%2e/ledger.db", "/api/v1/nothing", "/ledger.db"]
)
async def test_what_is_not_the_apps_is_not_found(built: Coop, path: str) -> None:
    answer = await get(built, path)
    assert answer.status_code == 404
    assert answer.json()["type"].endswith("/not-found")
    built.close()


@pytest.mark.parametrize("path", ["/", "/sw.js", "/api/v1/session", "/docs", "/nothing.txt", "/healthz"])
async def test_every_answer_carries_the_security_headers(built: Coop, path: str) -> None:
    answer = await get(built, path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers
    built.close()


async def test_answers_of_the_api_stay_out_of_caches(coop: Coop) -> None:
    assert (await get(coop, "/api/v1/session", name="mai")).headers["cache-control"] == "no-store"


async def test_the_description_lists_every_call(coop: Coop) -> None:
    page = (await get(coop, "/docs")).text
    assert "/api/v1/zones/{zone_id}/runs" in page
    assert "<script" not in page


async def test_ready_says_what_is_away(coop: Coop) -> None:
    assert (await get(coop, "/readyz")).json() == {"status": "ready", "away": {}}
    coop.link.connected = False
    answer = await get(coop, "/readyz")
    assert (answer.status_code, list(answer.json()["away"])) == (503, ["broker"])
    assert (await get(coop, "/healthz")).status_code == 200


async def test_with_the_series_away_the_farm_is_still_shown(coop: Coop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_args: object) -> None:
        raise Unavailable("series", "switched off")

    monkeypatch.setattr(coop.app.services.series, "span", away)
    monkeypatch.setattr(coop.app.services.series, "check", away)
    async with coop.client("mai") as mai:
        assert (await mai.get("/farms/mai/snapshot")).status_code == 200
        answer = await mai.get("/zones/dau-tay/series")
        assert (answer.status_code, answer.json()["type"].rsplit("/")[-1]) == (503, "series-away")
        assert (await mai.get("/readyz")).json()["away"]["series"]


async def test_metrics_count_requests_and_records(coop: Coop) -> None:
    await get(coop, "/api/v1/session", name="mai")
    text = (await get(coop, "/metrics")).text
    assert 'tuoi_http_requests_total{method="GET",status="200"} 1' in text
    assert "tuoi_broker_connected 1" in text
    assert "tuoi_farms 2" in text
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) \S+ .+|[a-z_]+(\{.*\})? [0-9.e+]+", line), line


async def test_a_defect_is_answered_with_a_sentence_and_no_trace(coop: Coop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coop.app.services.live, "names", lambda: 1 / 0)
    transport = httpx.ASGITransport(coop.app.site, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://coop") as client:
        body = {"name": "mai", "password": "mat-khau-du-dai"}
        answer = await client.post("/api/v1/session", json=body, headers={"X-Tuoi": "1"})
        assert (answer.status_code, answer.json()["type"].rsplit("/")[-1]) == (500, "internal")
        assert "ZeroDivision" not in answer.text
