"""A board on a simulated hillside: a real field, a real guard, a real agent, and a technician's shell."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.bench.running import running
from firmware_sim.field_client import FieldClient
from firmware_sim.gpio import SimFactory
from tests.fixtures.processes import Process, Processes

ROOT = Path(__file__).parents[4]

FIELD = """
socket = "{folder}/field.sock"
pipe_fill_s = 0
[[sources]]
id = "tank"
capacity_l_min = 600
[[zones]]
id = "tea"
source = "tank"
area_m2 = 5
flow_l_min = 480
start_moisture_pct = 20
[[zones]]
id = "beans"
source = "tank"
area_m2 = 100
flow_l_min = 100
[[boards]]
node = "board-1"
valves = [{{ gpio = 17, zone = "tea" }}, {{ gpio = 18, zone = "beans" }}]
meters = [{{ gpio = 22, zone = "tea", pulses_per_litre = 10 }}]
probes = [{{ adc = 0, zone = "tea", depth_m = 0.05, noise_v = 0.001 }}]
battery = {{ adc = 6 }}
"""

BOARD = """\
# The board behind the tea house.
farm_id = "{farm}"
node_id = "board-1"
state_dir = "state"
report_every_s = 3600   # seldom

[gpio]
factory = "sim"

[mqtt]
port = {port}

[[valve]]
channel = "v1"
pin = 17
max_open_s = 60

[valve.meter]
pin = 22
pulses_per_litre = 10

[[valve]]
channel = "v2"
pin = 18
max_open_s = 60

[[probe]]
sensor = "soil-1"   # under the first row
adc = 0
points = [[0.36, 60.0], [0.85, 0.0]]  # from the maker

[battery]
adc = 6
divider = 5.0
"""


class Hill:
    """One board in its field. Everything is started by whoever needs it."""

    def __init__(self, folder: Path, farm: str, port: int, processes: Processes) -> None:
        self.folder = folder
        self.path = folder / "board.toml"
        self.path.write_text(BOARD.format(farm=farm, port=port))
        self.socket = folder / "state/guard.sock"
        self.env = {"TUOI_FIELD_SOCKET": f"{folder}/field.sock", "TUOI_FIELD_NODE": "board-1"}
        self._processes = processes
        (folder / "field.toml").write_text(FIELD.format(folder=folder))
        field = self.start("tuoi", "field", "--config", folder / "field.toml")
        field.wait_for("field ready")
        self.field = FieldClient(folder / "field.sock")

    def start(self, *arguments: str | Path) -> Process:
        return self._processes.start(sys.executable, "-m", *arguments, cwd=ROOT, env=self.env, name=str(arguments[-3]))

    def start_guard(self) -> Process:
        guard = self.start("tuoi", "edge", "guard", "--config", self.path)
        guard.wait_for("guard ready", 20)
        return guard

    def start_agent(self) -> Process:
        agent = self.start("tuoi", "edge", "agent", "--config", self.path)
        agent.wait_for("guard up", 20)
        agent.wait_for("link up", 20)
        return agent

    # --- the technician ---

    def type(self, *arguments: str | Path, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Run `tuoi edge ...` on this board to its end, without a terminal."""
        command = [sys.executable, "-m", "tuoi", "edge", *map(str, arguments), "--config", str(self.path)]
        return subprocess.run(
            command, cwd=ROOT, env={**os.environ, **self.env}, input=stdin, capture_output=True, text=True, timeout=50, check=False
        )  # fmt: skip

    def check(self, *arguments: str) -> "Seen":
        """Run `check --json`; return what it found."""
        done = self.type("check", "--json", "--listen", "0.2", *arguments)
        assert done.stdout, done.stderr
        return Seen(done.returncode, json.loads(done.stdout))

    def changes(self, gpio: int) -> list[int]:
        """The levels that the line of a valve has had while somebody drove it."""
        return [line["level"] for line in self.field.history() if line["gpio"] == gpio and line["function"] == "output"]

    @contextmanager
    def water_by_hand(self) -> Iterator[None]:
        """Meanwhile the valve of the tea is open, by a hand on its pin."""
        factory = SimFactory(self.env["TUOI_FIELD_SOCKET"], "board-1")
        try:
            factory.pin(17).output_with_state(1)
            self.field.wait_valve("board-1", 17)
            yield
        finally:
            factory.close()


class Seen:
    """What a check said."""

    def __init__(self, code: int, body: dict[str, Any]) -> None:
        self.code = code
        self.body = body
        self.rows = {(row["part"], row["what"]): row for row in body["findings"]}

    def at(self, part: str, what: str) -> tuple[str, str]:
        """Return (verdict, code) of a row; `what` may be its beginning."""
        found = [row for (one, name), row in self.rows.items() if one == part and name.startswith(what)]
        assert len(found) == 1, f"{part} {what}: {[*self.rows]}"
        return found[0]["verdict"], found[0]["code"]


class Terminal:
    """A command on a real terminal: read what it says, type what it asks for."""

    def __init__(self, hill: Hill, *arguments: str | Path) -> None:
        self.said = ""
        self._read_to = 0
        pid, self._fd = pty.fork()
        if pid == 0:
            os.chdir(ROOT)
            command = [sys.executable, "-m", "tuoi", "edge", *map(str, arguments), "--config", str(hill.path)]
            os.execve(sys.executable, command, {**os.environ, **hill.env, "LANG": "en_GB.UTF-8", "COLUMNS": "120"})
        self._pid = pid

    def wait_for(self, text: str) -> None:
        """Return once it has said this, after what was waited for before."""
        while text not in self.said[self._read_to :]:
            try:
                more = os.read(self._fd, 4096)
            except OSError:  # the terminal's other end is closed
                more = b""
            assert more, f"it ended without saying {text!r}: {self.said}"
            self.said += more.decode(errors="replace")
        self._read_to = self.said.index(text, self._read_to) + len(text)

    def answer(self, text: str = "") -> None:
        """Type a line."""
        os.write(self._fd, text.encode() + b"\n")

    def end(self) -> int:
        """Return its exit code."""
        try:
            while more := os.read(self._fd, 4096):
                self.said += more.decode(errors="replace")
        except OSError:
            pass
        os.close(self._fd)
        _, status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(status)


def guard_runs(hill: Hill) -> bool:
    return running(hill.socket).guard
