"""`tuoi edge check` on a simulated hillside: it tells what is, opens nothing unasked, and leaves nothing open."""

import signal
import sys
from datetime import UTC, datetime, timedelta

import pytest

from contract.messages import Origin
from contract.store import open_database
from edge.bench.running import running
from edge.control.order import Order
from edge.store import Store
from irrigation.model import Dose
from tests.fixtures.processes import Processes
from tests.unit.edge.bench.hill import ROOT, Hill, Terminal, guard_runs

pytestmark = [pytest.mark.uses_broker, pytest.mark.timeout(120)]


def test_a_board_at_work_is_looked_at_and_not_disturbed(hill: Hill) -> None:
    guard, agent = hill.start_guard(), hill.start_agent()
    seen = hill.check()
    assert seen.at("process", "guard") == ("ok", "guard-runs")
    assert seen.rows["process", "guard"]["params"]["pid"] == guard.pid
    assert seen.at("process", "agent") == ("ok", "agent-runs")
    assert seen.at("pin", "GPIO 17") == ("ok", "pin-guard")
    assert seen.at("pin", "GPIO 22") == ("ok", "pin-agent")
    assert seen.at("sensor", "soil-1") == ("ok", "measured")
    assert seen.rows["sensor", "soil-1"]["params"]["value"] == pytest.approx(20, abs=3)
    assert seen.at("sensor", "battery") == ("ok", "measured")
    assert seen.at("meter", "v1") == ("ok", "meter-total")
    assert seen.at("disk", "") == ("ok", "disk-good")
    assert seen.at("database", "") == ("ok", "database-good")
    assert seen.at("broker", "") == ("ok", "broker-reached")
    assert seen.code == {"ok": 0, "look": 1}[seen.body["verdict"]]  # the clock is this machine's
    assert "agent gone" not in guard.output
    assert "guard lost" not in agent.output
    assert "link down" not in agent.output
    assert 1 not in hill.changes(17) + hill.changes(18)


def test_a_board_where_nothing_runs_yet(hill: Hill) -> None:
    seen = hill.check()
    assert seen.at("process", "guard") == ("look", "guard-away")
    assert seen.at("pin", "GPIO 17") == ("ok", "pin-free")
    assert seen.at("pin", "GPIO 22") == ("ok", "pin-free")
    assert seen.at("meter", "v1") == ("ok", "meter-still")
    assert seen.at("valve", "v1") == ("ok", "valve-wired")
    assert seen.at("disk", "") == ("look", "disk-missing")
    assert seen.at("database", "") == ("ok", "database-none")
    assert seen.at("broker", "") == ("ok", "broker-accepts")
    assert seen.code == 1
    assert 1 not in hill.changes(17) + hill.changes(18)
    assert not hill.socket.exists()


def test_a_meter_that_turns_is_counted(hill: Hill) -> None:
    with hill.water_by_hand():
        seen = hill.check("--listen", "1")
    assert seen.at("meter", "v1") == ("ok", "meter-counts")
    assert seen.rows["meter", "v1"]["params"]["flow"] == pytest.approx(480, rel=0.4)
    assert seen.at("pin", "GPIO 17") == ("broken", "pin-taken")


HOLDS = """
import sys
from firmware_sim.gpio import SimFactory
pin = SimFactory().pin(17)
pin.output_with_state(0)
print("holds", flush=True)
import signal
signal.pause()
"""


def test_a_pin_that_another_holds_is_broken_and_says_who(hill: Hill, processes: Processes) -> None:
    other = processes.start(sys.executable, "-c", HOLDS, cwd=ROOT, env=hill.env)
    other.wait_for("holds")
    seen = hill.check()
    assert seen.at("pin", "GPIO 17") == ("broken", "pin-taken")
    assert f"process {other.pid}" in seen.rows["pin", "GPIO 17 (v1)"]["params"]["by"]
    assert seen.at("pin", "GPIO 18") == ("ok", "pin-free")
    assert seen.code == 2


@pytest.mark.parametrize(
    ("fault", "code"), [("probe-open", "probe-open-circuit"), ("probe-short", "probe-short-circuit")]
)
def test_a_broken_probe_says_what_to_look_at(hill: Hill, fault: str, code: str) -> None:
    hill.field.fault(fault, "board-1/0")
    seen = hill.check("--language", "en")
    assert seen.at("sensor", "soil-1") == ("broken", code)
    assert "supply" in seen.rows["sensor", "soil-1"]["do"]
    assert seen.code == 2


def test_a_broker_that_is_away_is_broken(hill: Hill, free_port: int) -> None:
    text = hill.path.read_text()
    hill.path.write_text(text.replace("[mqtt]\nport = ", f"[mqtt]\nport = {free_port} #"))
    seen = hill.check()
    assert seen.at("broker", f"127.0.0.1:{free_port}") == ("broken", "broker-away")
    hill.path.write_text(text.replace("[mqtt]\n", '[mqtt]\nca_file = "none.crt"\n'))
    assert hill.check().at("broker", "127.0.0.1") == ("broken", "broker-files")


# --- clicking -------------------------------------------------------------------------------------------------------


def test_a_click_is_a_second_and_a_half_by_the_guard_that_runs(hill: Hill) -> None:
    guard = hill.start_guard()
    seen = hill.check("--click", "v1")
    assert seen.at("valve", "v1") == ("ok", "click-done")
    assert seen.rows["valve", "v1"]["params"]["seconds"] == pytest.approx(1.5, abs=0.4)
    assert seen.at("valve", "v2") == ("ok", "valve-closed")
    assert hill.changes(17)[-2:] == [1, 0]
    assert 1 not in hill.changes(18)
    assert guard.returncode is None
    assert guard_runs(hill)


def test_all_are_clicked_one_after_the_other_by_a_guard_that_ends_with_it(hill: Hill) -> None:
    seen = hill.check("--click", "all")
    assert [seen.at("valve", name) for name in ("v1", "v2")] == 2 * [("ok", "click-done")]
    both = [(line["gpio"], line["level"]) for line in hill.field.history() if line["gpio"] in {17, 18}]
    opened = [gpio for gpio, level in both if level == 1]
    assert opened == [17, 18]
    assert both.index((17, 1)) < both.index((17, 0), both.index((17, 1))) < both.index((18, 1))
    assert not guard_runs(hill)
    hill.field.wait_all_closed()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_is_ended_during_a_click_leaves_nothing_open(hill: Hill, number: int) -> None:
    command = hill.start("tuoi", "edge", "check", "--click", "v1", "--config", hill.path)
    opened = hill.field.wait_valve("board-1", 17, timeout=20)
    command.signal(number)
    hill.field.wait_valve("board-1", 17, open=False, timeout=20, after_ns=opened.since_ns)
    assert command.wait() not in (0, 1)  # it was ended: a click that is over ends with one of these
    hill.start_guard()  # the pins are free again


def test_no_click_while_the_agent_has_the_guard(hill: Hill) -> None:
    guard, _ = hill.start_guard(), hill.start_agent()
    seen = hill.check("--click", "v1", "--language", "en")
    assert seen.at("valve", "v1") == ("look", "click-agent")
    assert "systemctl stop tuoi-agent" in seen.rows["valve", "v1"]["do"]
    assert seen.code == 1
    assert "agent gone" not in guard.output
    assert 1 not in hill.changes(17)


def test_no_click_while_a_watering_is_under_way(hill: Hill) -> None:
    hill.start_guard()
    hill.start_agent()
    store = Store(open_database(hill.folder / "state/board.sqlite3"))
    order = Order(
        run_id="run-1", zone_id="tea", channel="v1", dose=Dose(minutes=1), max_s=60, actor="hoa", origin=Origin.PERSON,
        expires_at=datetime.now(UTC) + timedelta(minutes=1),
    )  # fmt: skip
    store.begin_lease(order)  # as the agent writes it down before it opens a valve
    store.db.close()
    assert hill.check("--click", "all").at("valve", "v1") == ("look", "click-watering")
    assert 1 not in hill.changes(17) + hill.changes(18)


def test_a_valve_that_is_not_there_is_one_sentence(hill: Hill) -> None:
    done = hill.type("check", "--click", "v9")
    assert done.returncode == 2
    assert done.stderr == "tuoi edge check: --click v9: there is no such valve; there is v1, v2 (or: all)\n"
    assert not done.stdout


@pytest.mark.parametrize(("answer", "told"), [("y", "was heard"), ("n", "nobody heard")])
def test_on_a_terminal_the_technician_is_asked(hill: Hill, answer: str, told: str) -> None:
    terminal = Terminal(hill, "check", "--click", "v2", "--listen", "0.2")
    terminal.wait_for("Did you hear valve v2? [Y/n]")
    assert not hill.field.valve("board-1", 18).open
    terminal.answer(answer)
    code = terminal.end()
    assert told in terminal.said
    assert code == (1 if answer == "y" else 2)


def test_whether_they_run_is_told_without_a_word_to_them(hill: Hill) -> None:
    assert not running(hill.socket).guard
    guard = hill.start_guard()
    assert running(hill.socket).guard_pid == guard.pid
    assert not running(hill.socket).agent
    agent = hill.start_agent()
    assert running(hill.socket).agent
    agent.kill()
    guard.wait_for("agent gone")
    assert not running(hill.socket).agent
    guard.kill()
    assert not running(hill.socket).guard  # its socket's file is still there
