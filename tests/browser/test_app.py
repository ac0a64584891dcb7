"""What a farmer does with a phone: sign in, water, look, stop, close all, change a program. Judged at the valve too."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect, sync_playwright

from tests.e2e.house import House
from tests.e2e.phone import Phone

PHONE: ViewportSize = {"width": 390, "height": 844}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ZONE = "dau-tay"
BROKEN_WORDS = """() => {
  const found = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    if (text.parentElement.closest('.hide, option')) continue;
    for (const word of text.data.matchAll(/[^\\s\\-–…·]+/g)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].filter((one) => one.width > 0).map((one) => Math.round(one.top)));
      if (lines.size > 1) found.push(word[0]);
    }
  }
  return found;
}"""
"""The words that stand on more than one line."""
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def signed_in(browser: Browser, house: House, role: str) -> Iterator[Page]:
    """Signed in, in English, on the home screen; no script has failed until the end."""
    context = browser.new_context(viewport=PHONE, locale="en-GB", service_workers="block")
    page = context.new_page()
    page.set_default_timeout(15_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    account = house.account(role)
    page.goto(house.url)
    page.get_by_test_id("sign-in-name").fill(account["name"])
    page.get_by_test_id("sign-in-password").fill(account["password"])
    page.get_by_test_id("sign-in-submit").click()
    expect(page.get_by_test_id("zone-card").first).to_be_visible()
    page.get_by_test_id("tab-more").click()
    page.get_by_test_id("lang-en").click()
    page.get_by_test_id("tab-garden").click()
    expect(page.get_by_test_id("zone-card").first).to_be_visible()
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def page(browser: Browser, house: House, phone: Phone) -> Iterator[Page]:
    """The farmer's; nothing is under way before and after."""
    with signed_in(browser, house, "farmer") as page:
        yield page


@pytest.fixture
def manager(browser: Browser, house: House, phone: Phone) -> Iterator[Page]:
    """The manager's."""
    with signed_in(browser, house, "manager") as page:
        yield page


def card(page: Page, zone_id: str = ZONE) -> Locator:
    return page.locator(f'[data-testid="zone-card"][data-zone="{zone_id}"]')


def accessible(page: Page) -> None:
    """No violation of WCAG 2 A and AA that axe can find on the screen as it stands."""
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
    assert found.violations_count == 0, found.generate_report()


def tap_water(page: Page) -> None:
    """The verb on the zone's card, then the sheet's one button, with the shortest dose the stepper gives."""
    card(page).get_by_test_id("water-open").click()
    expect(page.get_by_test_id("sheet")).to_be_visible()
    page.get_by_test_id("water-submit").click()


def test_one_tap_waters_and_the_card_turns_blue_with_litres_until_it_is_done(
    page: Page, house: House, phone: Phone
) -> None:
    before_l = house.field.litres(ZONE)
    tap_water(page)
    block = page.locator('[data-testid="run-block"][data-state="watering"]')
    expect(block).to_be_visible()
    opened = house.field.wait_zone(ZONE)
    assert opened.open
    expect(block.get_by_test_id("run-litres")).to_contain_text(re.compile(r"[1-9]"))
    blue = block.evaluate("element => getComputedStyle(element).backgroundColor")
    assert blue == "rgb(10, 88, 150)"  # the token `water`, #0A5896
    accessible(page)
    assert house.field.litres(ZONE) > before_l
    block.get_by_test_id("stop").click()
    house.field.wait_zone(ZONE, open=False, after_ns=opened.since_ns)
    expect(page.locator('[data-testid="run-block"][data-state="stopped"]')).to_be_visible()
    run = phone.runs_of(ZONE)[0]
    assert (run["state"], run["actor"]) == ("stopped", house.account("farmer")["name"])


def test_close_all_is_one_tap_and_asks_until_when_to_hold(page: Page, house: House, phone: Phone) -> None:
    tap_water(page)
    expect(page.locator('[data-testid="run-block"][data-state="watering"]')).to_be_visible()
    page.get_by_test_id("close-all").click()
    house.field.wait_all_closed()
    expect(page.get_by_test_id("close-all-progress")).to_be_visible()
    page.get_by_test_id("hold-tomorrow").click()
    held = phone.wait(lambda view: view["hold"], "the hold")
    assert held["until"] is not None


def test_what_the_source_cannot_give_yet_waits_its_turn_and_nothing_opens(
    page: Page, house: House, phone: Phone
) -> None:
    snapshot = phone.snapshot()
    mine = snapshot["zones"][ZONE]
    rivals = [
        zone for zone in snapshot["zones"].values() if zone["source_id"] == mine["source_id"] and zone is not mine
    ]
    rival = max(rivals, key=lambda zone: float(zone["flow_l_min"]))
    run = phone.water(rival["id"], minutes=5).raise_for_status().json()
    phone.wait_state(run["id"], "open")
    card(page).get_by_test_id("water-open").click()
    page.get_by_test_id("place-replace").click()
    expect(page.get_by_test_id("place-stops")).to_contain_text(rival["name"])
    accessible(page)
    page.get_by_test_id("place-append").click()
    page.get_by_test_id("water-submit").click()
    expect(card(page)).to_have_attribute("data-state", "queued")
    accessible(page)
    assert not house.field.zone_valve(ZONE).open
    page.get_by_test_id("cancel-queued").click()
    expect(page.get_by_test_id("queue")).to_have_count(0)


def test_a_program_is_edited_with_a_preview_and_saved(page: Page, phone: Phone) -> None:
    page.get_by_test_id("tab-programs").click()
    page.get_by_test_id("program-row").first.click()
    expect(page.get_by_test_id("preview")).to_be_visible()
    accessible(page)
    before = {p["id"]: p["version"] for p in phone.http.get("/farms/mai/programs").json()["programs"]}
    page.get_by_test_id("zone-dose").first.click()
    page.get_by_test_id("stepper-plus").first.click()
    page.get_by_test_id("program-save").click()
    expect(page.get_by_test_id("program-row").first).to_be_visible()
    after = {p["id"]: p["version"] for p in phone.http.get("/farms/mai/programs").json()["programs"]}
    assert sum(after[key] != before[key] for key in before) == 1


def test_a_whole_program_is_run_by_hand_and_stopped(page: Page, house: House, phone: Phone) -> None:
    page.get_by_test_id("tab-programs").click()
    page.locator('[data-testid="program-row"][data-program="sang-dau-tay"]').click()
    page.get_by_test_id("hand-open").click()
    expect(page.get_by_test_id("hand-parts")).to_contain_text("Dâu tây nhà lưới")
    accessible(page)
    page.get_by_test_id("hand-submit").click()
    opened = house.field.wait_zone(ZONE)
    assert opened.open
    expect(page.get_by_test_id("hand-run").first).to_have_attribute("data-state", "watering")
    accessible(page)
    page.get_by_test_id("hand-stop").click()
    house.field.wait_zone(ZONE, open=False, after_ns=opened.since_ns)
    expect(page.get_by_test_id("hand-open")).to_be_visible()
    assert {run["state"] for run in phone.snapshot()["runs"].values() if run["program_id"] == "sang-dau-tay"} == {
        "stopped"
    }


def test_a_zone_shows_its_chart(page: Page) -> None:
    card(page).click(position={"x": 120, "y": 20})
    expect(page.get_by_test_id("chart")).to_be_visible()
    accessible(page)


def test_the_turns_are_shown_and_a_swap_is_asked_for_and_taken_back(page: Page, phone: Phone) -> None:
    page.get_by_test_id("tab-more").click()
    page.get_by_test_id("turns").click()
    expect(page.get_by_test_id("turn-now")).to_be_visible()
    expect(page.get_by_test_id("turn-bars")).to_be_visible()
    expect(page.get_by_test_id("turn-account")).to_contain_text("8,100 L")  # 90 minutes of 90 L/min
    accessible(page)
    page.get_by_test_id("turn-ask").click()
    accessible(page)
    page.get_by_test_id("turn-send").click()
    talk = page.get_by_test_id("turn-talk")
    expect(talk).to_be_visible()
    (rota,) = phone.http.get("/farms/mai/rotas").json()["rotas"]
    (swap,) = rota["swaps"]
    assert (swap["agreed"], swap["in_force"]) == (["mai"], False)
    page.set_viewport_size({"width": 320, "height": 700})
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    talk.get_by_role("button").click()
    expect(talk).to_have_count(0)


def fits(page: Page, width: int = 320) -> None:
    """Nothing is cut off at the side of a small phone, and axe finds nothing there."""
    page.set_viewport_size({"width": width, "height": 568})
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(BROKEN_WORDS) == []
    page.set_viewport_size(PHONE)


def test_a_manager_sees_what_other_turns_will_be_saves_them_and_they_can_be_swapped_at_once(
    manager: Page, house: House
) -> None:
    http = house.phone("manager").http
    (before,) = http.get("/farms/mai/rotas").raise_for_status().json()["rotas"]
    manager.get_by_test_id("tab-more").click()
    manager.get_by_test_id("turns").click()
    manager.get_by_test_id("rota-edit").click()
    manager.get_by_role("button", name="More for Nhà chị Mai").click()
    preview = manager.get_by_test_id("turn-preview")
    expect(preview).to_have_attribute("data-state", "ready")
    expect(preview.locator('[data-household="mai"]')).to_contain_text(
        "17:00 – 18:40"
    )  # 100 minutes after Tùng's ten hours
    expect(preview.locator('[data-household="lan"]')).to_contain_text("18:40 – 20:40")
    fits(manager)
    assert len(http.get("/farms/mai/rotas").json()["rotas"]) == 1  # nothing is saved by looking
    try:
        manager.get_by_test_id("rota-save").click()
        expect(manager.get_by_test_id("turn-new")).to_be_visible()
        fits(manager)
        manager.get_by_test_id("turn-ask").click()
        rounds = manager.get_by_test_id("turn-round").locator("option")
        rounds.filter(has_text="New turns, round 0").wait_for(state="attached")
        manager.get_by_test_id("turn-round").select_option(label=rounds.filter(has_text="New turns").first.inner_text())
        accessible(manager)
        manager.get_by_test_id("turn-send").click()
        expect(manager.get_by_test_id("turn-talk")).to_contain_text("New turns, round 0")
        _, coming = http.get("/farms/mai/rotas").json()["rotas"]
        assert [(swap["round"], swap["household_a"], swap["household_b"]) for swap in coming["swaps"]] == [
            (0, "tung", "mai")
        ]
    finally:
        kept = {name: before[name] for name in ("unit", "anchor", "period_days", "shares")}
        http.put("/farms/mai/sources/suoi/rota", json=kept).raise_for_status()  # the new ones have not begun


def test_a_manager_adds_renames_and_removes_a_household_and_none_with_turns(manager: Page, house: House) -> None:
    http = house.phone("manager").http

    def kept() -> dict[str, list[str]]:
        found = http.get("/farms/mai/households").raise_for_status().json()["households"]
        return {one["name"]: one["zones"] for one in found}

    before = kept()
    manager.get_by_test_id("tab-more").click()
    manager.get_by_test_id("households").click()
    expect(manager.get_by_test_id("household")).to_have_count(3)
    fits(manager)
    manager.get_by_test_id("household-add").click()
    manager.get_by_test_id("household-name").fill("Nhà chị lan")
    manager.get_by_label("Rau cải mèo").check()
    manager.get_by_test_id("household-save").click()
    expect(manager.get_by_test_id("household-problem")).to_contain_text(
        "There is a household called Nhà chị Lan already"
    )
    fits(manager)
    manager.get_by_test_id("household-name").fill("Nhà bác Bình")
    manager.get_by_test_id("household-save").click()
    row = manager.get_by_test_id("household").filter(has_text="Nhà bác Bình")
    expect(row).to_contain_text("No turns")
    assert kept() == before | {"Nhà bác Bình": ["rau-cai-meo"]}

    row.click()
    manager.get_by_test_id("household-name").fill("Nhà ông Bình")
    manager.get_by_label("Rau cải mèo").uncheck()
    manager.get_by_test_id("household-save").click()
    row = manager.get_by_test_id("household").filter(has_text="Nhà ông Bình")
    row.click()
    for sure in ("Remove this household", "Sure to remove Nhà ông Bình?"):
        manager.get_by_role("button", name=sure).click()
    expect(row).to_have_count(0)
    assert kept() == before

    manager.get_by_test_id("household").filter(has_text="Nhà anh Tùng").click()
    manager.get_by_test_id("household-remove").click()
    manager.get_by_test_id("household-remove").click()
    expect(manager.get_by_test_id("household-problem")).to_contain_text("has turns at Suối đầu bản")
    assert kept() == before


@pytest.mark.parametrize("language", ["vi", "en", "fr"])
def test_every_screen_is_accessible_and_fits_a_small_phone_with_whole_words(page: Page, language: str) -> None:
    page.get_by_test_id("tab-more").click()
    page.get_by_test_id(f"lang-{language}").click()
    expect(page.locator("html")).to_have_attribute("lang", language)
    page.set_viewport_size({"width": 320, "height": 700})
    for tab in ("garden", "programs", "log", "more"):
        page.get_by_test_id(f"tab-{tab}").click()
        accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        assert page.evaluate(BROKEN_WORDS) == []
    for screen, part in (
        ("zone/dau-tay", "skip-next"), ("programs/sang-dau-tay", "preview"), ("turns", "turn-now"), ("weather", "condition-add"),
    ):  # fmt: skip
        page.goto(f"{page.url.partition('#')[0]}#/{screen}")
        expect(page.get_by_test_id(part).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        assert page.evaluate(BROKEN_WORDS) == []


def test_on_a_small_phone_stop_and_the_water_sheets_own_act_need_no_scrolling(page: Page, phone: Phone) -> None:
    mine = phone.snapshot()["zones"][ZONE]
    other = next(
        zone["id"]
        for zone in phone.snapshot()["zones"].values()
        if zone["source_id"] == mine["source_id"] and zone["id"] != ZONE
    )
    page.set_viewport_size({"width": 320, "height": 568})
    run = phone.water(ZONE, minutes=5).raise_for_status().json()
    phone.wait_state(run["id"], "open")
    home = page.url.partition("#")[0]
    page.goto(f"{home}#/zone/{ZONE}")
    stop = page.get_by_test_id("stop")
    expect(stop).to_be_in_viewport(ratio=1)
    box, bar = stop.bounding_box(), page.locator("nav").bounding_box()
    assert box is not None
    assert bar is not None
    assert box["y"] + box["height"] < bar["y"]
    page.goto(f"{home}#/zone/{other}")
    page.get_by_test_id("water-open").click()
    expect(page.get_by_test_id("place-append")).to_be_visible()  # as long as the sheet gets
    expect(page.get_by_test_id("water-submit")).to_be_in_viewport(ratio=1)


def test_out_of_reach_the_last_picture_stays_and_watering_is_disabled(page: Page, house: House) -> None:
    page.route("**/api/**", lambda route: route.abort())
    house.kill("server")  # ends the live stream, which a route does not touch
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "offline", timeout=50_000)
    expect(card(page)).to_be_visible()
    expect(page.get_by_test_id("water-open").first).to_be_disabled()
    page.unroute("**/api/**")
    expect(page.get_by_test_id("water-open").first).to_be_enabled(timeout=50_000)


def test_a_wrong_password_is_told_in_words(browser: Browser, house: House) -> None:
    context = browser.new_context(viewport=PHONE, locale="en-GB", service_workers="block")
    page = context.new_page()
    page.goto(house.url)
    page.get_by_test_id("sign-in-name").fill("nobody")
    page.get_by_test_id("sign-in-password").fill("wrong")
    page.get_by_test_id("sign-in-submit").click()
    expect(page.get_by_role("alert")).to_be_visible()
    accessible(page)
    context.close()
