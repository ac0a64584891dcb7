"""`make bench`: runs the whole house here and prints each number beside its target and the machine's limit."""

import sys
import tempfile
from pathlib import Path

from tests.bench import limits, readings, size, taps
from tests.bench.limits import percentile
from tests.e2e.house import House
from tests.fixtures.processes import Processes

Row = tuple[str, str, str, str]


def main() -> int:
    """Measure, print the table, and return 1 if a number misses its target."""
    processes = Processes()
    rows: list[Row] = []
    missed: list[str] = []

    def row(what: str, value: float, target: float, unit: str, limit: str, *, at_most: bool = True) -> None:
        good = value <= target if at_most else value >= target
        sign = "≤" if at_most else "≥"
        rows.append((what, f"{value:,.1f} {unit}", f"{sign} {target:,g} {unit}{'' if good else '  MISSED'}", limit))
        if not good:
            missed.append(what)

    try:
        with tempfile.TemporaryDirectory() as folder:
            house = House(processes, Path(folder) / "with-history", ready_s=120)
            row("demo with 30 days of history ready", house.ready_s, 20, "s", "")
            round_trip = limits.mqtt_round_trip_ms(house.told["mqtt"]["port"])
            trip = percentile(round_trip, 0.5)
            commit = percentile(limits.commit_ms(), 0.5)
            house.end()

            house = House(processes, Path(folder) / "taps", "--no-history")
            tapped = taps.measure(house)
            limit = f"MQTT round trip {trip:.2f} ms, durable commit {commit:.2f} ms"
            pin, told = percentile(tapped.pin_ms, 0.95), percentile(tapped.told_ms, 0.95)
            row(
                "tap to simulated pin, p95",
                pin,
                20,
                "ms",
                f"{limit}: {pin / (2 * trip + commit):.1f} x (2 trips + 1 commit)",
            )
            row(
                "tap to confirmed on SSE, p95",
                told,
                30,
                "ms",
                f"{told / (4 * trip + 4 * commit):.1f} x (4 trips + 4 commits)",
            )
            print(f"taps: {len(tapped.pin_ms)}; pin p50 {percentile(tapped.pin_ms, 0.5):.1f} ms, ", end="")
            print(f"told p50 {percentile(tapped.told_ms, 0.5):.1f} ms")
            agent = limits.resident_kb(house.pid("board-1-agent")) / 1024
            guard = limits.resident_kb(house.pid("board-1-guard")) / 1024
            row("agent resident", agent, 60, "MB", "")
            row("guard resident", guard, 20, "MB", "")
            rate = readings.sustained_per_s(house)
            rows_per_s = limits.sqlite_rows_per_s()
            row(
                "readings from the wire to the server's store",
                rate,
                20_000,
                "/s",
                f"SQLite alone {rows_per_s:,.0f} rows/s: {rate / rows_per_s:.3f} of it",
                at_most=False,
            )
            house.end()
        row("first load of the app, gzip", size.first_load_kb(), 60, "kB", "")
    finally:
        processes.reap()
    _print(rows)
    if missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


def _print(rows: list[Row]) -> None:
    table = [("what", "measured", "target", "beside the machine's limit, measured in this run"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    for place, row in enumerate(table):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if place == 0:
            print("  ".join("-" * width for width in widths))


if __name__ == "__main__":
    sys.exit(main())
