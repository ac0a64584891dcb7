"""A past night from the server's ledger as a scenario: what people asked for then, and what was told of it."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from firmware_sim.replay.scenario import Happening, Scenario
from irrigation.model import Farm
from irrigation.run import RunState
from server.app import open_ledger
from server.ledger import farms, history
from server.records import DecisionRecord, RunRecord
from server.settings import load_settings
from server.shapes import planned

MAX_DECISIONS = 1000
_LONGEST_RUN = timedelta(days=1)


def past(config: Path, farm_id: str, begin: datetime, end: datetime) -> Scenario:
    """Return the scenario of a farm between two farm-local moments, by the programs that it has now.

    Raise ConfigError when the server's file is at fault, ValueError when it has no such farm.
    """
    ledger = open_ledger(load_settings(config).ledger)
    try:
        with ledger.read() as connection:
            record = farms.get(connection, farm_id)
            if record is None:
                raise ValueError(f"farm: there is no farm {farm_id!r}")
            tz = ZoneInfo(record.tz)
            first, last = begin.replace(tzinfo=tz), end.replace(tzinfo=tz)
            runs = history.runs_ended(connection, farm_id, first, last + _LONGEST_RUN)
            decisions = history.decisions_between(connection, farm_id, None, first, last, MAX_DECISIONS)
    finally:
        ledger.close()
    left_out = [_left_out(one, tz) for one in decisions if one.result in {"skipped", "refused"}]
    opened = [run for run in runs if run.opened_at is not None and first <= run.opened_at < last]
    return Scenario(
        about=f"What {farm_id} did, and what its programs would do",
        begin=begin,
        end=end,
        farm=_then(planned(record), first),
        events=tuple(_order(run, tz) for run in opened if run.origin == "person"),
        expect="\n".join([_ran(run, tz) for run in opened] + left_out),
    )


def _then(farm: Farm, first: datetime) -> Farm:
    """Return the farm with its programs as if they had always been as they are now, and without what holds now."""
    programs = tuple(replace(program, since=min(program.since, first)) for program in farm.programs)
    return replace(farm, programs=programs, hold=None)


def _order(run: RunRecord, tz: ZoneInfo) -> Happening:
    at = (run.opened_at or run.asked_at).astimezone(tz).replace(tzinfo=None)
    return Happening(at=at, do="water", zone=run.zone_id, minutes=max(0.1, (run.open_s or run.max_s) / 60))


def _ran(run: RunRecord, tz: ZoneInfo) -> str:
    opened = (run.opened_at or run.asked_at).astimezone(tz)
    how = "" if run.state is RunState.DONE else f" {run.state.value}"
    return f"{opened:%Y-%m-%d %H:%M} {run.zone_id} {round((run.open_s or 0.0) / 60, 1):g} min{how}"


def _left_out(one: DecisionRecord, tz: ZoneInfo) -> str:
    return f"skip {one.due.astimezone(tz):%Y-%m-%d %H:%M} {one.zone_id} {one.rule}"
