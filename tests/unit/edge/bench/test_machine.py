"""The machine around a board, as the kernel's files would show it."""

import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.messages import FaultEvent
from contract.outbox import Outbox
from contract.store import open_database
from edge.bench import machine
from edge.bench.probes import taken_by_agent
from edge.bench.running import Running, running
from edge.bench.wires import buses, held_by
from edge.config import load_board
from edge.store import Store

CONFIGS = Path(__file__).parents[4] / "configs"
BOARD = load_board(CONFIGS / "board.toml")


def codes(findings: object) -> list[tuple[str, str]]:
    return [(one.verdict.name.lower(), one.code) for one in findings]  # type: ignore[attr-defined]


def put(root: Path, name: str, text: str = "") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("module", "said", "found"),
    [
        ("pinctrl_bcm2835", "Y\n", ("broken", "persist-on")),
        ("pinctrl_bcm2835", "N\n", ("ok", "persist-off")),
        ("pinctrl_rp1", "Y\n", ("broken", "persist-on")),
        ("something", "", ("look", "persist-unknown")),
    ],
)
def test_a_kernel_that_keeps_its_pins_is_told(tmp_path: Path, module: str, said: str, found: tuple[str, str]) -> None:
    put(tmp_path, f"sys/module/{module}/parameters/persist_gpio_outputs", said)
    put(tmp_path, "dev/gpiochip0")
    assert codes(machine.kernel(BOARD, tmp_path)) == [found, ("ok", "chips")]


def test_a_machine_without_pins_is_broken(tmp_path: Path) -> None:
    assert codes(machine.kernel(BOARD, tmp_path))[-1] == ("broken", "no-chip")


def test_buses_are_listed_and_a_missing_spi_is_told(tmp_path: Path) -> None:
    assert codes(buses(BOARD, tmp_path)) == [("broken", "spi-missing")]
    for name in ("dev/spidev0.0", "dev/ttyUSB0", "dev/ttyAMA0", "sys/bus/w1/devices/28-00000a1b2c3d", "dev/i2c-1"):
        put(tmp_path, name)
    found = list(buses(BOARD, tmp_path))
    # The file that stands for the bus is none: nothing can be asked on it.
    assert codes(found) == [("ok", "spi-there"), ("look", "i2c-denied"), ("ok", "serial-there"), ("ok", "w1-found")]
    assert found[2].params == {"ports": "ttyAMA0, ttyUSB0"}


def test_the_kernel_s_answer_names_who_holds_a_line() -> None:
    used, free = 1, 0
    assert held_by(struct.pack("32s32sIIQ176x", b"GPIO17", b"other", 17, 0, used | 8)) == "other"
    assert held_by(struct.pack("32s32sIIQ176x", b"GPIO17", b"", 17, 0, used)) == "?"
    assert held_by(struct.pack("32s32sIIQ176x", b"GPIO17", b"", 17, 0, free)) == ""


@pytest.mark.parametrize(
    ("rtc", "synchronised", "found"),
    [
        (True, True, ("ok", "clock-good")),
        (True, False, ("ok", "clock-by-battery")),
        (False, True, ("look", "clock-no-battery")),
        (False, False, ("look", "clock-alone")),
    ],
)
def test_the_clock_now_and_after_a_power_cut(
    tmp_path: Path, rtc: bool, synchronised: bool, found: tuple[str, str]
) -> None:
    if rtc:
        put(tmp_path, "sys/class/rtc/rtc0/name")
    assert codes(machine.clock(tmp_path / "none", tmp_path, synchronised)) == [found]


def test_a_clock_before_what_the_board_has_lived_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "board.sqlite3"
    store = Store(open_database(path))
    store.note("last_time", datetime, datetime.now(UTC) + timedelta(days=1))
    assert codes(machine.clock(path, tmp_path, synchronised=True)) == [("broken", "clock-wrong")]
    store.db.close()


def test_whether_the_network_sets_the_clock_is_the_kernel_s_word() -> None:
    assert machine.ntp_synchronised() in {True, False}


@pytest.mark.parametrize(
    ("free_mb", "read_only", "writable", "found"),
    [
        (5000, False, True, ("ok", "disk-good")),
        (199, False, True, ("look", "disk-low")),
        (19, False, True, ("broken", "disk-full")),
        (5000, True, False, ("broken", "disk-read-only")),
        (5000, False, False, ("broken", "disk-denied")),
    ],
)
def test_a_disk_with_room(free_mb: float, read_only: bool, writable: bool, found: tuple[str, str]) -> None:
    assert codes([machine.room("/var/lib/tuoi", free_mb, read_only=read_only, writable=writable)]) == [found]


def test_a_database_is_whole_waits_or_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "board.sqlite3"
    assert codes(machine.database(path)) == [("ok", "database-none")]
    db = open_database(path)
    outbox = Outbox(db, boot_id="b1")
    assert codes(machine.database(path)) == [("ok", "database-good")]
    outbox.append(FaultEvent(seq=1, at=datetime.now(UTC) - timedelta(hours=1), code="no-flow"))
    [finding] = machine.database(path)
    assert codes([finding]) == [("look", "database-waits")]
    assert finding.params["count"] == 1
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    text = bytearray(path.read_bytes())
    text[4096:8192] = b"\xff" * 4096
    path.write_bytes(text)
    assert codes(machine.database(path)) == [("broken", "database-corrupt")]
    path.write_text("this was a database once")
    assert codes(machine.database(path)) == [("broken", "database-corrupt")]


def test_a_serial_port_is_left_to_the_agent_that_runs_and_a_converter_is_shared() -> None:
    probes = {probe.driver: probe for probe in load_board(CONFIGS / "board-probes.toml").probes}
    agent, guard = Running(guard=True, agent=True), Running(guard=True)
    assert {name for name, probe in probes.items() if taken_by_agent(probe, agent)} == {"modbus", "sdi12"}
    assert not any(taken_by_agent(probe, guard) for probe in probes.values())


UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 100 {path}
0000000000000000: 00000002 00000000 00010000 0001 01 101 {path}.other
0000000000000000: 00000003 00000000 00000000 0001 03 102
"""


def test_a_connected_agent_is_seen_in_the_kernel_s_list(tmp_path: Path) -> None:
    path = tmp_path / "guard.sock"
    put(tmp_path, "proc/net/unix", UNIX.format(path=path))
    assert running(path, tmp_path / "proc") == Running(guard=True)
    assert running(tmp_path / "none.sock", tmp_path / "proc") == Running()
    more = UNIX.format(path="state/guard.sock") + (
        "0000000000000000: 00000003 00000000 00000000 0001 03 103 state/guard.sock\n"
    )
    put(tmp_path, "proc/net/unix", more)  # by a guard that was started by hand
    assert running(tmp_path / "state/guard.sock", tmp_path / "proc") == Running(guard=True, agent=True)
    assert running(tmp_path / "other-state/guard.sock", tmp_path / "proc") == Running()
