"""What a program wants to become of a watering that trouble cut short: its rest, or the record that there is none."""

from dataclasses import replace
from datetime import datetime, timedelta

from contract.messages import RunEvent
from irrigation.after_trouble import LEAST_S, WITHIN, AfterTrouble, shortfall
from irrigation.identity import is_rest, rest_id
from irrigation.model import Decision, Entry, Farm, MakeUp, Program, Result, Rule
from irrigation.run import RunState

CUT_SHORT = frozenset({RunState.INTERRUPTED, RunState.FAILED})
"""A person's stop is STOPPED, and is never made up."""
NO_WATER = "no-flow"


def of_run(event: RunEvent, entry: Entry | None, farm: Farm, now: datetime) -> MakeUp | Decision | None:
    """Return what becomes of the rest of a due watering whose run has ended so; None when there is none to speak of.

    `cut` is told by the board when its clock can be believed, but no later than the valve was seen open: one that was
    without power says so when it is back. A source that gave no water is given its recovery time.
    """
    if event.state not in CUT_SHORT or entry is None or is_rest(entry.id):
        return None
    program = _program(farm, entry)
    if program is None:
        return None
    cut = min(event.at, now) if event.clock_trusted else now
    if event.opened_at is not None and event.open_s is not None and event.clock_trusted:
        cut = min(cut, event.opened_at + timedelta(seconds=event.open_s))
    code = event.reason.code if event.reason else str(event.state)
    source = farm.source(farm.zone(entry.zone_id).source_id)
    rests = timedelta(minutes=source.recovery_min) if code == NO_WATER else timedelta(0)
    return _decided(entry, program, farm, cut, cut + rests, code, event.open_s or 0.0, event.litres)


def of_pause(event: RunEvent, entry: Entry | None, farm: Farm, now: datetime) -> MakeUp | Decision | None:
    """Return what becomes of a due watering that a pause ended, whatever its program says of trouble: it goes on."""
    if entry is None or is_rest(entry.id) or (program := _program(farm, entry)) is None:
        return None
    going_on = replace(program, after_trouble=AfterTrouble.RESUME)
    found = _decided(entry, going_on, farm, now, now, "paused", event.open_s or 0.0, event.litres)
    hold = farm.hold
    if isinstance(found, Decision) or hold is None or not hold.paused(now):
        return found
    return replace(found, until=hold.until + WITHIN[AfterTrouble.RESUME])


def of_missed(decision: Decision, entry: Entry | None, farm: Farm) -> MakeUp | Decision | None:
    """Return the same for a due watering that its board could not begin in time."""
    if decision.rule is not Rule.MISSED or entry is None or is_rest(entry.id):
        return None
    program = _program(farm, entry)
    if program is None or program.after_trouble is AfterTrouble.SKIP:
        return None  # that it was missed says it all
    return _decided(entry, program, farm, entry.start, entry.start, "missed", 0.0, None)


def not_made_up(one: MakeUp, why: str) -> Decision:
    """Return the record that a rest which waited is not given."""
    return _skipped(one.id, one.program_id, one.zone_id, one.cut, dict(one.params) | {"because": why})


def _decided(
    entry: Entry,
    program: Program,
    farm: Farm,
    cut: datetime,
    since: datetime,
    code: str,
    open_s: float,
    litres: float | None,
) -> MakeUp | Decision:
    zone = farm.zone(entry.zone_id)
    params: dict[str, float | str] = {"why": code, "given_s": round(open_s, 1)}
    if litres is not None:
        params["given_l"] = round(litres, 1)
    id_ = rest_id(entry.id)
    if program.after_trouble is AfterTrouble.SKIP:
        return _skipped(id_, program.id, zone.id, cut, params | {"because": "program"})
    least_s = LEAST_S if program.adjust is None else program.adjust.least_minutes * 60
    dose = shortfall(entry.dose, zone, open_s=open_s, litres=litres, least_s=least_s)
    if dose is None:
        return _skipped(id_, program.id, zone.id, cut, params | {"because": "little"})
    until = cut + WITHIN[program.after_trouble]
    return MakeUp(
        of=entry.id, program_id=program.id, zone_id=zone.id, dose=dose, cut=cut, since=since, until=until,
        params=params,
    )  # fmt: skip


def _program(farm: Farm, entry: Entry) -> Program | None:
    """Return the entry's program if it still waters that zone as it did."""
    known = any(zone.id == entry.zone_id for zone in farm.zones)
    found = next((one for one in farm.programs if one.id == entry.program_id), None)
    return found if known and found is not None and any(part.zone_id == entry.zone_id for part in found.zones) else None


def _skipped(id_: str, program_id: str, zone_id: str, due: datetime, params: dict[str, float | str]) -> Decision:
    return Decision(
        id=id_, program_id=program_id, zone_id=zone_id, due=due, result=Result.SKIPPED, rule=Rule.NOT_MADE_UP,
        params=params,
    )  # fmt: skip
