"""How long a replayed season takes: 90 days of 20 zones on four boards, all watered daily, at one source."""

import time
from dataclasses import replace
from datetime import datetime, timedelta

from firmware_sim.replay.run import replayed
from firmware_sim.replay.scenario import Scenario
from tests.unit.irrigation.farms import farm, program, source, zone

BEGIN = datetime(2026, 3, 1)  # noqa: DTZ001 - farm-local
DAYS = 90


def season_s(days: int = DAYS) -> float:
    """The season in s of processor time: what others do on the machine meanwhile does not count."""
    zones = tuple(replace(zone(f"z{i}"), node_id=f"board-{i % 4}") for i in range(20))
    programs = (
        program(f"p{j}", *((f"z{i}", 10.0) for i in range(5 * j, 5 * j + 5)), start=f"0{4 + j}:00") for j in range(4)
    )
    there = farm(*programs, zones=zones, sources=(source(capacity_l_min=60),), tz="Asia/Ho_Chi_Minh")
    scenario = Scenario(begin=BEGIN, end=BEGIN + timedelta(days=days), farm=there)
    begun = time.process_time()
    with replayed(scenario):
        return time.process_time() - begun
