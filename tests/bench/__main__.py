"""Run the whole house here and print each number beside its target and the machine's limit."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import change, limits, plans, readings, seasons, size, taps
from tests.bench.limits import percentile
from tests.bench.table import Table
from tests.e2e.house import House
from tests.fixtures.processes import Processes

TRIP_MS, ROWS_PER_S = 0.3, 306_000
"""A bare MQTT round trip and SQLite alone on the machine for which the numbers were promised: elsewhere compare shares."""

Part = Callable[[Table, Processes, Path], None]


def demo(table: Table, processes: Processes, folder: Path) -> None:
    """How soon the demo is ready, with 30 days of history."""
    house = House(processes, folder / "with-history", ready_s=120)
    table.at_most("demo with 30 days of history ready", house.ready_s, 20, "s")
    house.end()


def tap(table: Table, processes: Processes, folder: Path) -> None:
    """A tap on the phone: to the simulated pin, and back to the live stream; and what agent and guard weigh."""
    house = House(processes, folder / "taps", "--no-history")
    trip = percentile(limits.mqtt_round_trip_ms(house.told["mqtt"]["port"]), 0.5)
    commit = percentile(limits.commit_ms(), 0.5)
    tapped = taps.measure(house)
    pin, told = percentile(tapped.pin_ms, 0.95), percentile(tapped.told_ms, 0.95)
    limit = f"MQTT round trip {trip:.2f} ms, durable commit {commit:.2f} ms"
    pins = f"{limit}: {pin / trip:.0f} trips, promised {20 / TRIP_MS:.0f}"
    tells = f"{told / trip:.0f} trips, promised {30 / TRIP_MS:.0f}"
    table.at_most(f"tap to simulated pin, p95 (p50 {percentile(tapped.pin_ms, 0.5):.1f})", pin, 20, "ms", pins)
    table.at_most(f"tap to confirmed on SSE, p95 (p50 {percentile(tapped.told_ms, 0.5):.1f})", told, 30, "ms", tells)
    for part, most in (("agent", 60), ("guard", 20)):
        table.at_most(f"{part} resident", limits.resident_kb(house.pid(f"board-1-{part}")) / 1024, most, "MB")
    house.end()


def wire(table: Table, processes: Processes, folder: Path) -> None:
    """Readings from the wire to the server's store, through both acknowledged hops."""
    house = House(processes, folder / "readings", "--no-history")
    rate = readings.sustained_per_s(house)
    house.end()
    alone = limits.sqlite_rows_per_s()
    limit = f"SQLite alone {alone:,.0f} rows/s: {rate / alone:.3f} of it, promised {20_000 / ROWS_PER_S:.3f}"
    table.at_least("readings from the wire to the server's store", rate, 20_000, "/s", limit)


def app(table: Table, _processes: Processes, _folder: Path) -> None:
    """What the phone loads first."""
    table.at_most("first load of the app, gzip", size.first_load_kb(), 60, "kB")


def plan(table: Table, _processes: Processes, _folder: Path) -> None:
    """A plan of 14 days for 200 zones and 60 programs."""
    table.at_most("14 days for 200 zones and 60 programs", plans.compile_ms(), 200, "ms")


def season(table: Table, _processes: Processes, _folder: Path) -> None:
    """A season of 90 days and 20 zones in virtual time."""
    table.at_most("90 days of 20 zones replayed", seasons.season_s(), 5, "s")


def program(table: Table, processes: Processes, folder: Path) -> None:
    """A changed program: from the request to its board holding the new plan, as the live stream tells it."""
    house = House(processes, folder / "program", "--no-history")
    table.at_most("a changed program held by its board, p95", change.reached_s(house), 2, "s")
    house.end()


PARTS: dict[str, Part] = {
    "demo": demo,
    "tap": tap,
    "wire": wire,
    "program": program,
    "app": app,
    "plan": plan,
    "season": season,
}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and return 1 if a number misses its target."""
    told = "\n".join(f"  {name:6} {part.__doc__}" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=f"{__doc__} It wants a quiet machine.",
        usage="make bench [ARGS='PART ...']",
        epilog=f"parts:\n{told}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="*", metavar="PART", help="measure these alone; all without")
    chosen = parser.parse_args(arguments).part or list(PARTS)
    if unknown := [name for name in chosen if name not in PARTS]:
        parser.error(f"part must be one of {', '.join(PARTS)}, not {', '.join(unknown)}")
    table, processes = Table(), Processes()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in chosen:
                print(f"measuring {name} ...", file=sys.stderr)
                PARTS[name](table, processes, Path(folder))
    finally:
        processes.reap()
    table.print()
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
