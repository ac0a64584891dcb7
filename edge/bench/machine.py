"""The machine around the board: kernel, GPIO chips, clock, disk and the agent's database, only looked at."""

import ctypes
import os
import pwd
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from contract.clock import Clock
from contract.outbox import waiting
from edge.bench.findings import Finding, broken, look, ok
from edge.config import BoardSettings

ROOT = Path("/")
PERSIST = ("pinctrl_bcm2835", "pinctrl_rp1")  # the modules of a Raspberry Pi to 4, and of 5
LOW_MB, FULL_MB = 200, 20
WAITS = timedelta(minutes=15)
_TIME_ERROR = 5  # adjtimex: the clock is not synchronised


def kernel(board: BoardSettings, root: Path = ROOT) -> Iterator[Finding]:
    """Whether the kernel lets a pin go when its process dies, and which GPIO chips there are."""
    if board.gpio.factory != "lgpio":
        yield ok("kernel", "", "simulated", factory=board.gpio.factory)
        return
    kept = [_text(root / f"sys/module/{module}/parameters/persist_gpio_outputs") for module in PERSIST]
    said = [word for word in kept if word]
    if not said:
        yield look("kernel", "strict_gpiod", "persist-unknown")
    elif any(word.upper() in {"Y", "1"} for word in said):
        yield broken("kernel", "strict_gpiod", "persist-on")
    else:
        yield ok("kernel", "strict_gpiod", "persist-off")
    chips = sorted(path.name for path in (root / "dev").glob("gpiochip*"))
    yield ok("kernel", "GPIO", "chips", chips=", ".join(chips)) if chips else broken("kernel", "GPIO", "no-chip")


def clock(database: Path, root: Path = ROOT, synchronised: bool | None = None) -> Iterator[Finding]:
    """Whether the time can be believed, now and after a power cut."""
    now = datetime.now(UTC)
    shown = f"{now:%Y-%m-%d %H:%M} UTC"
    if not Clock(_last_time(database)).trusted():
        yield broken("clock", "", "clock-wrong", now=shown)
        return
    has_rtc = any((root / "sys/class/rtc").glob("rtc*"))
    if synchronised is None:
        synchronised = ntp_synchronised()
    if synchronised and has_rtc:
        yield ok("clock", "", "clock-good", now=shown)
    elif synchronised:
        yield look("clock", "", "clock-no-battery", now=shown)
    elif has_rtc:
        yield ok("clock", "", "clock-by-battery", now=shown)
    else:
        yield look("clock", "", "clock-alone", now=shown)


def ntp_synchronised() -> bool:
    """Whether something sets this machine's clock by the network: the kernel knows, whatever does it."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    return adjtimex is not None and adjtimex(ctypes.create_string_buffer(512)) not in {_TIME_ERROR, -1}


def disk(board: BoardSettings) -> Iterator[Finding]:
    """Whether the folder of the board's state can be written and has room."""
    folder = board.state_dir
    if not folder.is_dir():
        yield look("disk", str(folder), "disk-missing", user=_user())
        return
    stat = os.statvfs(folder)
    yield room(
        str(folder),
        stat.f_bavail * stat.f_frsize / 1e6,
        read_only=bool(stat.f_flag & os.ST_RDONLY),
        writable=os.access(folder, os.W_OK | os.X_OK),
    )


def room(folder: str, free_mb: float, *, read_only: bool, writable: bool) -> Finding:
    """Say what the file system's answers mean for the board."""
    if read_only:
        return broken("disk", folder, "disk-read-only")
    if not writable:
        return broken("disk", folder, "disk-denied", user=_user())
    if free_mb < FULL_MB:
        return broken("disk", folder, "disk-full", free_mb=round(free_mb))
    if free_mb < LOW_MB:
        return look("disk", folder, "disk-low", free_mb=round(free_mb))
    return ok("disk", folder, "disk-good", free_mb=round(free_mb))


def database(path: Path) -> Iterator[Finding]:
    """Whether the database is whole, and whether somebody takes the news in it."""
    if not path.exists():
        yield ok("database", path.name, "database-none")
        return
    try:
        with closing(_read_only(path)) as db:
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                yield broken("database", path.name, "database-corrupt", why=str(verdict)[:100])
                return
            count, oldest = waiting(db)
    except sqlite3.OperationalError as exc:
        yield look("database", path.name, "database-denied", why=str(exc), user=_user())
        return
    except sqlite3.DatabaseError as exc:
        yield broken("database", path.name, "database-corrupt", why=str(exc)[:100])
        return
    if oldest is not None and datetime.now(UTC) - oldest > WAITS:
        yield look("database", path.name, "database-waits", count=count, since=f"{oldest:%Y-%m-%d %H:%M} UTC")
    else:
        yield ok("database", path.name, "database-good", count=count)


def open_leases(path: Path) -> int:
    """Return how many leases have no end: with a living agent, so many valves are open."""
    row = _row(path, "SELECT count(*) FROM lease")
    return int(row[0]) if row else 0


def litres(path: Path) -> dict[str, float]:
    """Return what the agent has counted, by channel, as it last wrote it down."""
    row = _row(path, "SELECT body FROM fact WHERE name = 'litres'")
    try:
        return TypeAdapter(dict[str, float]).validate_json(row[0]) if row else {}
    except ValidationError:
        return {}


def _last_time(path: Path) -> datetime | None:
    row = _row(path, "SELECT body FROM fact WHERE name = 'last_time'")
    try:
        return TypeAdapter(datetime).validate_json(row[0]) if row else None
    except ValidationError:
        return None


def _row(path: Path, query: str) -> tuple[str, ...] | None:
    if not path.exists():
        return None
    try:
        with closing(_read_only(path)) as db:
            row: tuple[str, ...] | None = db.execute(query).fetchone()
            return row
    except sqlite3.Error:
        return None  # told by `database`


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
