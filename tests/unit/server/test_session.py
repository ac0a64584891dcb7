"""Signing in: quick for those who know, slow for those who guess, never locked."""

import asyncio

import httpx
import pytest

from contract.errors import ConfigError
from server.accounts import BackOff, add_account
from server.app import open_ledger
from server.records import Role
from tests.unit.server.coop import CHEAP, NOW, PASSWORD, Clock, Coop, settings_in


async def sign_in(client: httpx.AsyncClient, password: str, name: str = "mai") -> httpx.Response:
    return await client.post("/session", json={"name": name, "password": password})


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(coop: Coop) -> None:
    async with coop.client() as client:
        answer = await sign_in(client, PASSWORD)
        assert answer.json() == {
            "name": "mai", "display_name": "mai", "role": "farmer", "language": "vi",
            "farms": [{"id": "mai", "name": "Vườn nhà chị Mai"}],
        }  # fmt: skip
        cookie = answer.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=2592000"))


async def test_the_ledger_holds_no_token_and_no_password(coop: Coop) -> None:
    async with coop.client() as client:
        await sign_in(client, PASSWORD)
        token = client.cookies["tuoi_session"]
    kept = b"".join(path.read_bytes() for path in coop.folder.glob("ledger.db*"))
    assert token.encode() not in kept
    assert PASSWORD.encode() not in kept
    assert b"$argon2id$" in kept


async def test_wrong_name_and_wrong_password_look_the_same(coop: Coop) -> None:
    async with coop.client() as client:
        wrong = await sign_in(client, "guess-guess")
        nobody = await sign_in(client, "guess-guess", name="nobody")
        assert (wrong.status_code, wrong.json()) == (401, nobody.json())


async def test_guessing_is_slowed_down_and_never_locks_anybody_out(coop: Coop) -> None:
    async with coop.client() as client:
        answers = [(await sign_in(client, "guess-guess")).status_code for _ in range(5)]
        assert answers == [401, 401, 401, 429, 429]
        blocked = await sign_in(client, PASSWORD)  # the right one waits too, or a guess could be told apart
        assert blocked.status_code == 429
        assert blocked.headers["retry-after"] == "2"
        assert (await sign_in(client, PASSWORD, name="thanh")).status_code == 200
        coop.clock.move(float(blocked.headers["retry-after"]))
        assert (await sign_in(client, PASSWORD)).status_code == 200
        assert (await sign_in(client, "guess-guess")).status_code == 401  # the count has begun anew


async def test_guesses_at_the_same_moment_count_too(coop: Coop) -> None:
    async with coop.client() as client:
        answers = await asyncio.gather(*(sign_in(client, f"guess-{n}") for n in range(10)))
        assert sorted(answer.status_code for answer in answers) == [401] * 3 + [429] * 7


def test_the_wait_doubles_up_to_a_minute_for_that_name_and_address_only() -> None:
    clock = Clock()
    back_off = BackOff(clock.at_s)
    waits = []
    for _ in range(12):
        back_off.failed("mai", "10.0.0.1")
        waits.append(back_off.wait_s("mai", "10.0.0.1"))
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert back_off.wait_s("mai", "10.0.0.2") == 0
    assert back_off.wait_s("lan", "10.0.0.1") == 0


def test_guessing_ten_thousand_names_takes_bounded_memory() -> None:
    back_off = BackOff(Clock().at_s)
    for n in range(10_500):
        back_off.failed(f"name-{n}", "10.0.0.1")
    assert len(back_off._tries) == 10_000


async def test_a_changed_password_ends_the_sessions(coop: Coop) -> None:
    async with coop.client("mai") as mai:
        ledger = open_ledger(settings_in(coop.folder).ledger)
        add_account(
            ledger, name="mai", password="another-one", role=Role.FARMER, farm_ids=["mai"], now=NOW, hasher=CHEAP
        )
        ledger.close()
        assert (await mai.get("/session")).status_code == 401
        assert (await sign_in(mai, "another-one")).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": "Chị Mai"}, "the name must be"),
        ({"password": "short"}, "8 characters"),
        ({"farm_ids": []}, "a farmer needs a farm"),
        ({"farm_ids": ["nobodys"]}, "there is no farm 'nobodys'"),
        ({"language": "de"}, "vi, en, fr"),
    ],
)
def test_an_account_that_cannot_be_is_refused_with_a_sentence(coop: Coop, wrong: dict[str, object], says: str) -> None:
    good = {"name": "moi", "password": PASSWORD, "role": Role.FARMER, "farm_ids": ["mai"], "now": NOW, "hasher": CHEAP}
    with pytest.raises(ConfigError, match=says):
        add_account(coop.app.services.ledger, **good | wrong)  # type: ignore[arg-type]
