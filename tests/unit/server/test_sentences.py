"""Sentences about due waterings: every rule in every language, with every number that its words ask for."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from irrigation.model import ConditionKind, Decision, Dose, Entry, Result, Rule, Skip
from server.words import LANGUAGES, words
from server.words.sentences import ahead, next_start, of_decision, sentence

ROOT = Path(__file__).parents[3]
TZ = ZoneInfo("Asia/Ho_Chi_Minh")
DUE = datetime(2026, 11, 26, 22, 0, tzinfo=UTC)
DECISION = Decision(
    id="morning:20261127:0500:tea", program_id="morning", zone_id="tea", due=DUE, result=Result.SKIPPED,
    rule=Rule.RAIN_FALLEN, params={"rain_mm": 12.5, "hours": 24.0, "limit_mm": 5.0, "age_min": 8.0},
)  # fmt: skip
ENTRY = Entry(
    id="morning:20261128:0500:tea", program_id="morning", zone_id="tea", node_id="board", channel="v1",
    due=DUE + timedelta(days=1), start=DUE + timedelta(days=1, minutes=10), max_s=600, dose=Dose(minutes=10),
    flow_l_min=20.0, rule=Rule.SOURCE_BUSY,
)  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_and_result_has_words(language: str) -> None:
    assert {rule for rule in Rule if f"rule.{rule}" not in words(language)} == set()
    for result in Result:
        said = sentence(language, of_decision(replace(DECISION, result=result), "Chè"), TZ)
        assert "Chè" in said
        assert "05:00" in said
        assert "told." not in said


def test_every_language_asks_for_the_same_numbers_of_a_rule_and_the_rules_give_them() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "irrigation").glob("*.py"))
    for rule in Rule:
        asked = {language: set(re.findall(r"\{(\w+)\}", words(language)[f"rule.{rule}"])) for language in LANGUAGES}
        assert asked["vi"] == asked["en"] == asked["fr"], rule
        assert {name for name in asked["en"] if f'"{name}"' not in source} == set(), rule


def test_a_decision_is_told_with_its_numbers_their_age_and_the_next_time() -> None:
    told = of_decision(DECISION, "Tea", next_start([ENTRY], "morning", "tea", DUE))
    assert sentence("en", told, TZ) == (
        "Tea was not watered 27/11 at 05:00. 12.5 mm of rain fell in 24 h (limit 5 mm; measured 8 min before). "
        "Next: 28/11 at 05:10."
    )
    assert "12,5 mm" in sentence("vi", told, TZ)
    assert sentence("fr", told, TZ).endswith("Prochain : le 28/11 à 05:10.")


def test_what_is_to_come_is_told_ahead() -> None:
    assert (
        sentence("en", ahead(ENTRY, "Tea"), TZ)
        == "Tea will be watered 28/11 at 05:10. The source was busy: starts later."
    )
    waits = sentence("en", ahead(replace(ENTRY, awaits=ConditionKind.FROST), "Tea"), TZ)
    assert waits.endswith("starts later. Only if there is a value for: Frost.")
    asked = replace(DECISION, rule=Rule.ASK_PERSON, params={"of": "soil-wet"})
    assert "No fresh value for “Wet soil”: a person must decide." in sentence("en", of_decision(asked, "Tea"), TZ)
    skip = Skip(id="x", program_id="morning", zone_id="tea", due=DUE, rule=Rule.HOLD)
    assert sentence("en", ahead(skip, "Tea"), TZ) == "Tea will not be watered 27/11 at 05:00. Programs were on hold."
    assert sentence("vi", ahead(skip, "Chè"), TZ).startswith("Chè sẽ không được tưới 27/11 lúc 05:00.")


def test_what_a_board_refused_is_told_with_its_reason() -> None:
    refused = replace(DECISION, result=Result.REFUSED, rule=Rule.AS_PROGRAMMED, params={"reason": "zone-mismatch"})
    assert sentence("en", of_decision(refused, "Tea"), TZ).endswith("The valve belongs to another zone.")


def test_a_number_that_is_missing_and_a_rule_that_is_not_known_leave_a_sentence() -> None:
    assert "… mm" in sentence("en", of_decision(replace(DECISION, params={}), "Tea"), TZ)
    unknown = of_decision(DECISION, "Tea")
    assert "whim" in sentence("en", replace(unknown, rule="whim"), TZ)
