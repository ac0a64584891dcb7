"""How much the guard takes of a board's memory. Apart from its other tests, which are also run under a tracer."""

import sys
from pathlib import Path

from tests.fixtures.processes import Processes
from tests.unit.edge.guard.agent import BOARD, ROOT, Agent, socket_of

MOST_KB = 20 * 1024
SUPPLIED = """supply = "pump"
[[valve]]
channel = "v3"
pin = 5
max_open_s = 60
[valve.latch]
close_pin = 6
[[supply]]
name = "pump"
pin = 23
max_open_s = 60
[reserve]
pin = 24
active_high = false
"""


def test_the_real_guard_stays_small_on_pins_of_gpiozero(processes: Processes, tmp_path: Path) -> None:
    board = tmp_path / "board.toml"
    board.write_text(BOARD + SUPPLIED)
    guard = processes.start(sys.executable, "-OO", "-m", "edge.guard", board, cwd=ROOT, name="guard")
    guard.wait_for("guard ready.* channels=v1,v2,v3")
    agent = Agent(socket_of(board))
    assert agent.open("v2", seconds=0.1)["ok"]["lease_id"] == "a"
    assert agent.hear()["cause"] == "deadline"
    status = Path(f"/proc/{guard.pid}/status").read_text()
    resident_kb = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert resident_kb <= MOST_KB
    agent.close()
    assert guard.terminate() == 0
