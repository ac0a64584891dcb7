"""How long a plan takes: 14 days of 200 zones and 60 programs, cycles, sunrises, shares and hours among them."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from datetime import time as clock

from irrigation.model import Adjust, CycleSoak, PlanState, Sun, Window
from irrigation.planner import compile_timetable
from tests.unit.irrigation.farms import farm, program, source, zone

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def compile_ms(times: int = 5) -> float:
    """The best of some compilations in ms of processor time: what others do on the machine meanwhile does not count."""
    zones = tuple(
        replace(zone(f"z{i}", flow_l_min=12, source_id=f"s{i % 4}"), node_id=f"n{i // 8}") for i in range(200)
    )
    programs = []
    for i in range(60):
        parts = ((f"z{(i * 3 + k) % 200}", 10.0) for k in range(4))
        one = program(f"p{i}", *parts, start=f"{4 + i % 4:02}:{i % 60:02}")
        if i % 6 == 1:
            one = replace(one, starts=(Sun(sun="sunrise", offset_min=-i),))
        elif i % 6 == 2:
            one = replace(one, adjust=Adjust(months_pct=(80.0,) * 12))
        elif i % 6 == 3:
            one = replace(
                one, zones=tuple(replace(p, cycle=CycleSoak(on_minutes=5, soak_minutes=9)) for p in one.zones)
            )
        elif i % 6 == 4:
            one = replace(one, windows=(Window(begin=clock(20), end=clock(9)),))
        programs.append(one)
    there = farm(*programs, zones=zones, sources=tuple(source(f"s{i}", 100) for i in range(4)))
    taken = []
    for _ in range(times):
        begun = time.process_time()
        compile_timetable(there, PlanState(), NOW, days=14, version=1)
        taken.append((time.process_time() - begun) * 1e3)
    return min(taken)
