"""Programs of the machine that are run to their end."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))


class Failed(AssertionError):
    """A program is missing or ended badly; the message has what it was asked and what it said."""


def found(program: str) -> str:
    """Return the path of a program; raise Failed."""
    path = shutil.which(program, path=_PATH)  # the makers of file systems stand in sbin
    if path is None:
        raise Failed(f"{program} is not installed; `make test-pi` installs it")
    return path


def run(program: str, *args: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a program and return what it printed; raise Failed."""
    done = subprocess.run(
        [found(program), *map(str, args)],
        env={**os.environ, "PATH": _PATH, **(env or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = f"{done.stdout}{done.stderr}"[-3000:]
        raise Failed(f"{program} {' '.join(map(str, args))} ended with {done.returncode}:\n{said}")
    return done.stdout
