"""Every sentence in every language, with the same values in it; every code that a check can give has one."""

import json
import re
import string
from pathlib import Path

import pytest

from edge.bench.findings import Finding, Verdict, broken, look, ok, worst
from edge.bench.language import LANGUAGES, Words, choose
from edge.bench.table import as_json, table

BENCH = Path(__file__).parents[4] / "edge/bench"
WORDS = {name: json.loads((BENCH / f"words/{name}.json").read_text()) for name in LANGUAGES}


def names_in(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_languages_say_the_same_with_the_same_values(language: str) -> None:
    ours, others = WORDS["vi"], WORDS[language]
    assert list(others) == list(ours)
    assert {key: names_in(text) for key, text in others.items()} == {key: names_in(text) for key, text in ours.items()}


def codes() -> set[str]:
    """Every code that stands in the sources of the bench."""
    found: set[str] = set()
    for path in BENCH.glob("*.py"):
        found |= set(re.findall(r'(?:ok|look|broken)\(\s*[^,()]+,\s*[^,]+?,\s*"([a-z0-9-]+)"', path.read_text()))
    return found | {"probe-open-circuit", "probe-short-circuit", "click-watering", "click-agent"}


def test_every_finding_has_a_sentence_and_every_sentence_a_finding() -> None:
    told = {key.removeprefix("check.").removesuffix(".do") for key in WORDS["vi"] if key.startswith("check.")}
    told -= {"title", "end.ok", "end.look", "end.broken"}
    assert codes() == told


def test_what_is_not_well_says_what_to_do() -> None:
    calls = "".join(path.read_text() for path in BENCH.glob("*.py"))
    bad = set(re.findall(r'(?:look|broken)\(\s*[^,()]+,\s*[^,]+?,\s*"([a-z0-9-]+)"', calls))
    assert len(bad) > 20
    assert {code for code in bad if f"check.{code}.do" not in WORDS["en"]} == set()


def test_what_a_probe_can_be_refused_for_has_a_sentence() -> None:
    source = (BENCH.parent / "control/fit.py").read_text() + (BENCH / "calibrating.py").read_text()
    refused = set(re.findall(r'Unfit\("([a-z-]+)"', source))
    assert refused <= {key.removeprefix("calibrate.") for key in WORDS["vi"]}


@pytest.mark.parametrize(
    ("asked", "environ", "language"),
    [
        ("fr", {"LANG": "en_GB.UTF-8"}, "fr"),
        (None, {"LANG": "en_GB.UTF-8"}, "en"),
        (None, {"LANG": "en_GB.UTF-8", "LC_ALL": "fr_FR.UTF-8"}, "fr"),
        (None, {"LANG": "C.UTF-8"}, "vi"),
        (None, {}, "vi"),
    ],
)
def test_the_language_is_that_asked_for_or_of_the_terminal_or_ours(
    asked: str | None, environ: dict[str, str], language: str
) -> None:
    assert choose(asked, environ) == language


FOUND = [
    ok("sensor", "soil-1", "measured", raw=0.605, value=30.0, unit="%"),
    look("process", "agent", "agent-away"),
    broken("pin", "GPIO 17 (v1)", "pin-taken", by="process 12"),
]


def test_the_worst_of_all_is_the_exit_code() -> None:
    assert [int(worst(FOUND[:count])) for count in range(4)] == [0, 0, 1, 2]


def test_a_table_says_what_was_seen_and_under_it_what_to_do() -> None:
    lines = table(FOUND, Words("en"), width=80).splitlines()
    assert lines[0] == "OK      sensor soil-1     30 % (raw 0.605)"
    assert lines[1].startswith("LOOK    process agent     is not connected to the guard")
    assert lines[2].strip().startswith("→ Start it: sudo systemctl start tuoi-agent.")
    assert all(len(line) <= 80 for line in lines)


def test_the_json_is_for_programs() -> None:
    body = json.loads(as_json("board-1", FOUND, Words("en")))
    assert body["verdict"] == "broken"
    assert body["findings"][2]["code"] == "pin-taken"
    assert body["findings"][2]["params"] == {"by": "process 12"}
    assert body["findings"][0]["do"] == ""


def test_a_finding_is_a_value() -> None:
    assert ok("disk", "/", "disk-good", free_mb=9) == Finding("disk", "/", Verdict.OK, "disk-good", {"free_mb": 9})
