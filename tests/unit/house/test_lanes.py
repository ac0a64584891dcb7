"""`make test` runs its lanes beside each other: none is lost, none that failed is overlooked, and Ctrl-C ends all."""

import os
import signal
import sys
from pathlib import Path

from tests.fixtures.processes import Processes
from tests.lanes import ROOT, Lane, every_test, run


def lane(name: str, code: str) -> Lane:
    return Lane(name, (sys.executable, "-c", code))


def waits_for(mine: Path, other: Path) -> str:
    """A program that ends only when another runs at the same time."""
    return (
        "import pathlib, time\n"
        f"pathlib.Path({str(mine)!r}).touch()\n"
        f"while not pathlib.Path({str(other)!r}).exists(): time.sleep(0.01)\n"
        "print('===== 3 passed in 1.00s =====')"
    )


def test_lanes_run_at_the_same_time_and_each_says_how_it_went(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    told: list[str] = []
    assert run([lane("one", waits_for(a, b)), lane("two", waits_for(b, a))], tmp_path, told.append) == 0
    assert told[-3:-1] == ["one: ok; 3 passed in 1.00s", "two: ok; 3 passed in 1.00s"]
    assert told[-1].startswith("6 passed in ")


def test_what_failed_fails_the_whole_and_is_shown_last(tmp_path: Path) -> None:
    broken = lane("broken", "print('E  dry'); print('1 failed, 2 passed in 0.50s'); raise SystemExit(1)")
    told: list[str] = []
    assert run([broken, lane("good", "print('4 passed in 0.10s')")], tmp_path, told.append) == 1
    shown = "\n".join(told)
    assert shown.index("=== good") < shown.index("=== broken") < shown.index("E  dry")
    broke, good, whole = told[-3:]
    assert broke == "broken: FAILED with exit code 1; 1 failed, 2 passed in 0.50s"
    assert good == "good: ok; 4 passed in 0.10s"
    assert whole.startswith("6 passed in ")


def test_a_lane_that_is_killed_has_failed(tmp_path: Path) -> None:
    told: list[str] = []
    assert run([lane("killed", "import os; os.kill(os.getpid(), 9)")], tmp_path, told.append) == 1
    assert told[-2] == "killed: FAILED with exit code -9; it counted no tests"


def test_how_far_they_are_is_told_while_they_run(tmp_path: Path) -> None:
    go = tmp_path / "go"
    code = (
        "import pathlib, time\nprint('tests/a.py ....  [ 40%]', flush=True)\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)"
    )

    def say(line: str) -> None:
        told.append(line)
        if line == "running: long 40%":
            go.touch()

    told: list[str] = []
    assert run([lane("long", code)], tmp_path, say, every_s=0.05) == 0
    assert "running: long 40%" in told


def test_ctrl_c_lets_every_lane_end_in_its_own_way(tmp_path: Path, processes: Processes) -> None:
    slow = (
        "import time\n"
        "try:\n    print('begun', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('tidied up')"
    )
    code = (
        "import pathlib, sys; from tests.lanes import Lane, run\n"
        f"lanes = [Lane(name, (sys.executable, '-c', {slow!r})) for name in ('one', 'two')]\n"
        f"run(lanes, pathlib.Path({str(tmp_path)!r}), lambda line: print(line, flush=True), every_s=0.05)"
    )
    runner = processes.start(sys.executable, "-c", code, cwd=ROOT, name="runner")
    for name in ("one", "two"):
        while "begun" not in _log(tmp_path, name):
            runner.wait_for("running", after=len(runner.lines))
    os.killpg(runner.pid, signal.SIGINT)  # as a terminal does
    runner.wait(20)
    assert [_log(tmp_path, name) for name in ("one", "two")] == ["begun\ntidied up\n"] * 2


def _log(folder: Path, name: str) -> str:
    file = folder / f"{name}.log"
    return file.read_text() if file.exists() else ""


def test_what_one_lane_leaves_out_another_runs() -> None:
    alone, real, guard = every_test()
    left_out = {word.removeprefix("--ignore=") for word in alone.argv if word.startswith("--ignore=")}
    run_elsewhere = {
        word for word in (*real.argv, *Path(guard.argv[0]).read_text().split()) if word.startswith("tests/")
    }
    assert left_out == run_elsewhere
