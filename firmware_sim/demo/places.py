"""Where everything of one demo lies: one folder, which one demo at a time may hold."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from firmware_sim.errors import DemoError

_MARK = "demo.lock"
_LARGEST_LOG = 1_000_000
_LONGEST_SOCKET = 100  # a unix socket's path has 108 bytes at most


@dataclass(frozen=True, slots=True)
class Places:
    """The demo's folder and what is in it."""

    data: Path

    @property
    def told(self) -> Path:
        """What the demo tells of itself once it is ready: demo.json."""
        return self.data / "demo.json"

    @property
    def accounts(self) -> Path:
        """The accounts with their passwords, kept from one start to the next."""
        return self.data / "accounts.json"

    @property
    def seeded(self) -> Path:
        """There once farm, accounts and history are complete."""
        return self.data / "seeded.json"

    @property
    def field_socket(self) -> Path:
        """Where the simulated field listens."""
        return self.data / "field.sock"

    @property
    def field_state(self) -> Path:
        """The soil as the field left it."""
        return self.data / "field-state.json"

    @property
    def server(self) -> Path:
        """The server's folder: its configuration and stores."""
        return self.data / "server"

    def config(self, name: str) -> Path:
        """The configuration file of a process."""
        return self.data / f"{name}.toml"

    def log(self, name: str) -> Path:
        """What a process has written."""
        return self.data / "logs" / f"{name}.log"

    def prepare(self) -> IO[str]:
        """Make the folder and hold it for as long as the returned file is open; raise DemoError if that cannot be."""
        if len(os.fsencode(self.data / "board-1" / "guard.sock")) > _LONGEST_SOCKET:
            raise DemoError(f"{self.data} is too long a path for the demo's sockets; choose a shorter --data")
        if not (self.data / _MARK).exists() and self.data.is_dir() and any(self.data.iterdir()):
            raise DemoError(
                f"{self.data} holds something that is no demo's; choose an empty or a new folder with --data"
            )
        try:
            (self.data / "logs").mkdir(parents=True, exist_ok=True)
            self.server.mkdir(exist_ok=True)
            lock = (self.data / _MARK).open("w")
        except OSError as exc:
            raise DemoError(f"{self.data} cannot be used: {exc.strerror}; choose another folder with --data") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise DemoError(
                f"another demo is running in {self.data}; end it, or choose another folder with --data"
            ) from None
        self.told.unlink(missing_ok=True)
        for log in (self.data / "logs").glob("*.log"):
            if log.stat().st_size > _LARGEST_LOG:
                log.replace(log.with_suffix(".log.old"))
        return lock

    def clear(self, nodes: Iterable[str]) -> None:
        """Begin anew where a seed was cut off: half a history is none. Takes away only what a demo makes."""
        for name in ("server", "gateway", "broker", *nodes):
            shutil.rmtree(self.data / name, ignore_errors=True)
        self.field_state.unlink(missing_ok=True)
        self.server.mkdir()


def write_json(path: Path, content: Any) -> None:
    """Write whole or not at all, for nobody else to read: there are passwords in some."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(path)
