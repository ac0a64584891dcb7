"""The guard's one small file: for how long each output was open lately, and what is locked. Written before one opens.

It holds what is granted as if it were used up, so that a guard that dies in the middle has counted too much, never too
little. A second, empty file says that the first has been there. What the file says is believed only if it is whole;
lost or damaged, every output counts as used up, which refuses to open for a day and keeps nothing from closing.

Where the disk takes nothing, the file stands in the folder of the guard's socket instead, if that is another one: on a
RAM disk it lasts until the machine ends, and a board with a full or read-only card waters on by short leases
(docs/decisions/0018). It goes as soon as the disk takes the file again.

Monotonic time begins anew with the machine, and nobody here can say how long it was off: after a boot all is as old as
it was when it was last written. Hours without power therefore do not count as passed.
"""

import json
import os
from binascii import crc32
from dataclasses import dataclass, field
from pathlib import Path

from edge.guard.use import quarter_of

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Kept:
    """What the file holds: open seconds by output and quarter of an hour on this boot's clock; locks and why."""

    used: dict[str, dict[int, float]] = field(default_factory=dict)
    locked: dict[str, str] = field(default_factory=dict)


class Lost(ValueError):
    """The file was there and cannot be read any more."""


class Record:
    """The file in the board's state directory, or in the `spare` folder while that takes nothing."""

    def __init__(self, folder: Path, spare: Path | None = None, boot_id: Path = BOOT_ID) -> None:
        self._path = folder / "guard.state"
        self._begun = folder / "guard.begun"
        self._spare = spare / "guard.state" if spare is not None and spare.resolve() != folder.resolve() else None
        try:
            self._boot = boot_id.read_text(encoding="ascii").strip()
        except OSError:
            self._boot = ""  # then every start counts as another boot's

    def read(self, at_s: float) -> Kept:
        """Return what was kept, on this boot's clock; nothing on a new board. Raise Lost."""
        # The spare file is there only while it is the younger one.
        path = self._spare if self._spare is not None and self._spare.exists() else self._path
        try:
            text, _, check = path.read_text(encoding="utf-8").rstrip("\n").rpartition("\n")
            if f"{crc32(text.encode()):08x}" != check:
                raise Lost(f"{path}: its check sum is wrong")
            state = json.loads(text)
            now, same = quarter_of(at_s), bool(self._boot) and state["boot"] == self._boot
            later = 0 if same else now - state["quarter"]
            used: dict[str, dict[int, float]] = {}
            for name, quarters in state["used"].items():
                used[name] = {}
                for quarter, open_s in quarters:
                    # What was granted ahead has been used by now, if it was.
                    there = min(now, quarter + later)
                    used[name][there] = used[name].get(there, 0.0) + open_s
            return Kept(used, state["locked"])
        except FileNotFoundError:
            if self._begun.exists():
                raise Lost(f"{path} is gone") from None
            return Kept()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise Lost(f"{path}: {exc}") from exc

    def write(self, kept: Kept, at_s: float) -> None:
        """Replace the file, whole or not at all, and return when it is on the disk; raise OSError."""
        state = {
            "boot": self._boot,
            "quarter": quarter_of(at_s),
            "used": {name: list(quarters.items()) for name, quarters in kept.used.items()},
            "locked": kept.locked,
        }
        text = json.dumps(state)
        whole = f"{text}\n{crc32(text.encode()):08x}\n"
        try:
            _replace(self._path, whole)
            self._begun.touch()
        except OSError:
            if self._spare is None:
                raise
            _replace(self._spare, whole)
        else:
            if self._spare is not None:
                self._spare.unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
