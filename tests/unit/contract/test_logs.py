"""One line per event, whatever it says, in one format for all processes."""

import logging
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.logs import MAX_VALUE, Logfmt, said, value
from edge.guard.log import tell
from tests.fixtures.processes import Processes

ROOT = Path(__file__).parents[3]
TOKEN = re.compile(r'([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*"|[^\s"=]+)(?: |$)')


def parse(line: str) -> dict[str, str]:
    """What a reader of logfmt makes of a line; fails for a line that is not logfmt from its first to its last character."""
    fields: dict[str, str] = {}
    at = 0
    while at < len(line):
        found = TOKEN.match(line, at)
        assert found, f"not logfmt from here: {line[at:]!r}"
        fields[found[1]] = found[2]
        at = found.end()
    return fields


def line_of(text: str, *args: object, level: int = logging.INFO, journal: bool = False, exc: object = None) -> str:
    record = logging.LogRecord("edge.app", level, __file__, 1, text, args, exc)  # type: ignore[arg-type]
    return Logfmt(journal=journal).format(record)


def test_what_stands_after_a_name_is_a_field_and_the_rest_is_the_message() -> None:
    assert said("agent up node=%s boot=%s", ("board-1", "b1")) == {"msg": "agent up", "node": "board-1", "boot": "b1"}
    assert said("guard lost path=%s: %s", ("/g", "refused")) == {"msg": "guard lost: refused", "path": "/g"}
    assert said("part failed name=%s again_in_s=%g", ("link", 2.0)) == {
        "msg": "part failed",
        "name": "link",
        "again_in_s": "2",
    }
    assert said("closed %d of 100%%", (3,)) == {"msg": "closed 3 of 100%"}


def test_a_line_says_when_how_bad_and_who() -> None:
    fields = parse(line_of("agent up node=%s", "board-1"))
    assert fields["level"] == "info"
    assert fields["logger"] == "edge.app"
    assert fields["msg"] == '"agent up"'
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields["at"])


@pytest.mark.parametrize(
    ("level", "priority"), [(logging.INFO, "<6>"), (logging.WARNING, "<4>"), (logging.ERROR, "<3>")]
)
def test_the_journal_gets_a_priority_and_no_second_time(level: int, priority: str) -> None:
    line = line_of("agent up node=%s", "board-1", level=level, journal=True)
    assert line.startswith(f"{priority}level=")
    assert "at=" not in line


@given(st.text(), st.text(), st.sampled_from(["x=%s", "failed x=%s: %s", "%s", "%s of %s", "x=%s y=%s"]))
def test_nothing_that_comes_from_outside_begins_a_line_or_a_field(one: str, other: str, template: str) -> None:
    given_values = (one, other)[: template.count("%s")]
    line = line_of(template, *given_values)
    assert line.splitlines() == [line]
    assert set(parse(line)) <= {"at", "level", "logger", "msg", "x", "y"}
    assert line.encode()  # also a lone surrogate can be written


def test_a_call_that_does_not_fit_its_template_is_still_told() -> None:
    assert parse(line_of("two x=%s y=%s", "one"))["args"] == "('one',)"
    assert parse(line_of("a number n=%d", "none"))["n"] == "'none'"


def test_a_field_never_takes_the_place_of_one_of_ours() -> None:
    assert parse(line_of("set level=%s", "9"))["level"] == "info"


def test_a_traceback_is_one_line_and_its_end_is_kept() -> None:
    try:
        raise ValueError("x" * 2 * MAX_VALUE + " the end")
    except ValueError:
        line = line_of("part failed name=%s", "plan", exc=sys.exc_info())
    assert "\n" not in line
    assert parse(line)["exc"].endswith('the end"')
    assert len(line) < MAX_VALUE + 300


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("asked url=%s", "http://mai:hunter2@influx/"),
        ("asked password=%s", "hunter2"),
        ("asked api_key=%s", "hunter2"),
        ("refused: %s", "Authorization: Token hunter2hunter2"),
        ("refused: %s", "{'password': 'hunter2'}"),
        ("refused: %s", "Bearer hunter2.hunter2"),
    ],
)
def test_a_secret_is_not_written(template: str, value: str) -> None:
    text = line_of(template, value)
    assert "hunter2" not in text
    assert "***" in text


def test_a_plain_value_needs_no_quotes_and_a_path_stays_as_it_is() -> None:
    assert value("path", "/var/lib/tuoi/guard.sock") == "/var/lib/tuoi/guard.sock"
    assert value("zone", "ruộng-1") == "ruộng-1"
    assert value("none", "") == '""'


def test_the_guard_writes_the_same_format(capsys: pytest.CaptureFixture[str]) -> None:
    tell("info", "guard ready channels=%s socket=%s", "v1,v2", "/run/guard.sock")
    tell("error", "valve does not close channel=%s: %s", "v1", 'a line\nlevel=info "forged"')
    first, second = capsys.readouterr().err.splitlines()
    fields = parse(first)
    fields.pop("at")
    assert fields == {
        "level": "info",
        "logger": "edge.guard",
        "msg": '"guard ready"',
        "channels": "v1,v2",
        "socket": "/run/guard.sock",
    }
    assert parse(second)["level"] == "error"


SAYS = """
import logging
from contract.logs import start_log
from edge.guard.log import tell
start_log()
logging.getLogger("edge.app").warning("agent up node=%s", "board-1")
tell("warning", "guard up node=%s", "board-1")
"""


def test_under_systemd_the_journal_keeps_the_time(tmp_path: Path, processes: Processes) -> None:
    # As systemd does it: stderr is a stream, whose device and inode are in JOURNAL_STREAM.
    said_to = tmp_path / "journal"
    said_to.touch()
    stream = f"{said_to.stat().st_dev}:{said_to.stat().st_ino}"
    code = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(SAYS)} 2>>{shlex.quote(str(said_to))}"
    process = processes.start("sh", "-c", code, cwd=ROOT, env={"JOURNAL_STREAM": stream, "PATH": os.environ["PATH"]})
    assert process.wait() == 0
    agent, guard = said_to.read_text().splitlines()
    assert agent == '<4>level=warning logger=edge.app msg="agent up" node=board-1'
    assert guard == '<4>level=warning logger=edge.guard msg="guard up" node=board-1'


def test_outside_of_systemd_a_line_has_its_time_whatever_the_environment_says(processes: Processes) -> None:
    process = processes.start(sys.executable, "-c", SAYS, cwd=ROOT, env={"JOURNAL_STREAM": "1:2"})
    assert process.wait() == 0
    process.wait_for("^at=.* logger=edge.app")
    process.wait_for("^at=.* logger=edge.guard")
