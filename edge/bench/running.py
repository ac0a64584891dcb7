"""Whether guard and agent run, told from the kernel's list of sockets.

Not by connecting: whoever connects to the guard is its new agent, and everything that was open closes.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LISTENS = 0x10000  # __SO_ACCEPTCON in the kernel's flags


@dataclass(frozen=True, slots=True)
class Running:
    """What runs on this board; a process id is None when it does not run or is not ours to see."""

    guard: bool = False
    guard_pid: int | None = None
    agent: bool = False
    """An agent is connected to the guard."""


def running(guard_socket: Path, proc: Path = Path("/proc")) -> Running:
    """Look who listens at the guard's socket and whether somebody is connected to it."""
    try:
        rows = (proc / "net/unix").read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    except OSError:
        return Running()
    mine = list(_at(rows, guard_socket.resolve()))
    listening = [inode for listens, inode in mine if listens]
    if not listening:
        return Running()
    return Running(guard=True, guard_pid=_holder(proc, listening), agent=len(mine) > len(listening))


def _at(rows: Iterable[str], path: Path) -> Iterable[tuple[bool, int]]:
    """Yield (listens, inode) of the sockets that are bound to the path."""
    for row in rows:
        fields = row.split(maxsplit=7)
        if len(fields) == 8 and _is(fields[7], path):
            yield bool(int(fields[3], 16) & _LISTENS), int(fields[6])


def _is(bound: str, path: Path) -> bool:
    # A guard that was started by hand may have bound a path relative to a folder that we do not know.
    if bound.startswith("/"):
        return Path(bound).resolve() == path
    return not bound.startswith("@") and f"/{path}".endswith(f"/{bound.removeprefix('./')}")


def _holder(proc: Path, inodes: list[int]) -> int | None:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in proc.iterdir():
        if process.name.isdigit():
            with suppress(OSError):
                for descriptor in (process / "fd").iterdir():
                    with suppress(OSError):
                        if str(descriptor.readlink()) in wanted:
                            return int(process.name)
    return None
