"""Runs every test, in lanes beside each other: most tests wait most of their time, for brokers, deadlines and deaths.

    alone   what stands alone, on all cores; niced, so that it takes what the other lanes leave
    real    what watches real seconds: one house, end to end and in the browser, one test after the other
    guard   the valve guard's tests, which measure what they cover

Each lane writes into build/test/NAME.log; those are shown when all have ended, the failed ones last.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
_DONE = re.compile(r"\[ *(\d+%)\]")
_PASSED = re.compile(r"(\d+) passed")
_COUNTED = re.compile(r"\d+ (?:passed|failed|error|skipped|deselected).* in \d.*s")


@dataclass(frozen=True, slots=True)
class Lane:
    """Something to run beside the others."""

    name: str
    argv: Sequence[str]


def every_test() -> tuple[Lane, ...]:
    """All there is. No more workers than cores: the other lanes take what those leave that wait."""
    pytest = (sys.executable, "-m", "pytest", "--durations=10")
    apart = ("tests/e2e", "tests/browser", "tests/unit/edge/guard")
    workers = str(len(os.sched_getaffinity(0)))
    return (
        # A law of many examples takes its time when it gets what is left; the limit is for what hangs.
        Lane(
            "alone",
            (
                "nice",
                *pytest,
                "-n",
                workers,
                "--dist",
                "worksteal",
                "--timeout=240",
                *(f"--ignore={each}" for each in apart),
            ),
        ),
        Lane("real", (*pytest, "tests/e2e", "tests/browser")),
        Lane("guard", (str(ROOT / "scripts" / "test-guard.sh"),)),
    )


def run(lanes: Sequence[Lane], logs: Path, say: Callable[[str], None], *, every_s: float = 60) -> int:
    """Run all lanes to their ends and show what they said; return how many failed. Tells how far they are meanwhile."""
    begun_s = time.monotonic()
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        running = {
            lane.name: subprocess.Popen(
                lane.argv,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=files.enter_context((logs / f"{lane.name}.log").open("wb")),
                stderr=subprocess.STDOUT,
            )
            for lane in lanes
        }
        try:
            _watch(running, logs, say, every_s)
        finally:
            for process in running.values():
                process.wait()  # Ctrl-C has reached them too, and they have processes of their own to end
    failed = {name: process.returncode for name, process in running.items() if process.returncode}
    for name in sorted(running, key=lambda name: name in failed):
        say(f"\n=== {name} " + "=" * 100 + f"\n{_said(logs, name)}")
    say("")
    passed = 0
    for name in running:
        counted = [line.strip("= ") for line in _said(logs, name).splitlines() if _COUNTED.search(line)]
        passed += sum(int(count) for count in _PASSED.findall(counted[-1] if counted else ""))
        how = f"FAILED with exit code {failed[name]}" if name in failed else "ok"
        say(f"{name}: {how}; {counted[-1] if counted else 'it counted no tests'}")
    say(f"{passed} passed in {time.monotonic() - begun_s:.2f}s")
    return len(failed)


def _watch(running: dict[str, subprocess.Popen[bytes]], logs: Path, say: Callable[[str], None], every_s: float) -> None:
    while left := [name for name, process in running.items() if process.poll() is None]:
        try:
            running[left[0]].wait(every_s)
        except subprocess.TimeoutExpired:
            far = {name: _DONE.findall(_said(logs, name)) for name in left}
            say("running: " + ", ".join(f"{name} {done[-1] if done else '0%'}" for name, done in far.items()))


def _said(logs: Path, name: str) -> str:
    return (logs / f"{name}.log").read_text(encoding="utf-8", errors="replace").rstrip()


if __name__ == "__main__":
    try:
        sys.exit(min(1, run(every_test(), ROOT / "build" / "test", lambda line: print(line, flush=True))))
    except KeyboardInterrupt:
        sys.exit(130)
