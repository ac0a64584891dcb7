"""The guard's one small file: for how long each output was open lately, and what is locked. Written before one opens.

It holds what is granted as if it were used up, so that a guard that dies in the middle has counted too much, never too
little. It has two slots, written by turns: a write that is cut off leaves the one before it, and costs one sync of the
disk (docs/decisions/0032). A second, empty file says that the first has been there. A slot is believed only if it is
whole; with both lost or damaged every output counts as used up, which refuses to open for a day and keeps nothing from
closing.

Where the disk takes nothing, the file stands in the folder of the guard's socket instead, if that is another one: on a
RAM disk it lasts until the machine ends, and a board with a full or read-only card waters on by short leases
(docs/decisions/0018). It goes as soon as the disk takes the file again.

Monotonic time begins anew with the machine, and nobody here can say how long it was off: after a boot all is as old as
it was when it was last written. Hours without power therefore do not count as passed.
"""

import json
import os
from binascii import crc32
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge.guard.use import quarter_of

SLOT_BYTES = 256 * 1024  # a day of quarters of every line that a Pi has takes less
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
        self._slot = 0  # the next one to be written on the disk: never the younger one
        self._number = 0  # of what was written last
        try:
            self._boot = boot_id.read_text(encoding="ascii").strip()
        except OSError:
            self._boot = ""  # then every start counts as another boot's

    def read(self, at_s: float) -> Kept:
        """Return what was kept, on this boot's clock; nothing on a new board. Raise Lost."""
        on_disk = _whole_slots(self._path)
        in_spare = {} if self._spare is None else _whole_slots(self._spare)
        if not on_disk and not in_spare:
            if self._begun.exists() or self._path.exists():
                raise Lost(f"{self._path} is gone or damaged")
            return Kept()
        try:
            numbers = {slot: _number(text) for slot, text in on_disk.items()}
            self._slot = 1 - max(numbers, key=numbers.__getitem__, default=1)
            youngest = max((*in_spare.values(), *on_disk.values()), key=_number)
            self._number = _number(youngest)
            state = json.loads(youngest)
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
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise Lost(f"{self._path}: {exc}") from exc

    def write(self, kept: Kept, at_s: float) -> None:
        """Write the other slot and return when it is on the disk; raise OSError."""
        self._number += 1
        state = {
            "number": self._number,
            "boot": self._boot,
            "quarter": quarter_of(at_s),
            "used": {name: list(quarters.items()) for name, quarters in kept.used.items()},
            "locked": kept.locked,
        }
        text = json.dumps(state)
        whole = f"{text}\n{crc32(text.encode()):08x}\n".encode()
        try:
            _write_slot(self._path, self._slot, whole, self._begun)
        except OSError:
            if self._spare is None:
                raise
            _write_slot(self._spare, 0, whole)
        else:
            self._slot = 1 - self._slot
            if self._spare is not None:
                self._spare.unlink(missing_ok=True)


def _number(text: bytes) -> int:
    return int(json.loads(text).get("number", 0))  # the first files had one slot and no number


def _whole_slots(path: Path) -> dict[int, bytes]:
    """Return what the slots of a file hold, as far as they are whole."""
    whole = {}
    with suppress(OSError), path.open("rb") as file:
        for slot in (0, 1):
            file.seek(slot * SLOT_BYTES)
            text, check = (file.readline(SLOT_BYTES).rstrip(b"\n") for _ in range(2))
            if f"{crc32(text):08x}".encode() == check:
                whole[slot] = text
    return whole


def _write_slot(path: Path, slot: int, whole: bytes, begun: Path | None = None) -> None:
    try:
        with path.open("r+b") as file:
            file.seek(slot * SLOT_BYTES)
            file.write(whole)
            file.flush()
            os.fdatasync(file.fileno())
    except FileNotFoundError:
        _make(path, slot, whole, begun)


def _make(path: Path, slot: int, whole: bytes, begun: Path | None) -> None:
    """Make the file, whole or not at all."""
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.seek(slot * SLOT_BYTES)
        file.write(whole)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    if begun is not None:
        begun.touch()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
