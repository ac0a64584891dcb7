"""What holds of every timetable, whatever the farm, the time zone and the moment."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from irrigation.base_due import due_base
from irrigation.base_plan import handed_over_at_rest
from irrigation.identity import due_id
from irrigation.model import ActiveRun, Entry, Farm, Hold, PlanState, Rule, Timetable
from irrigation.occurrence import moments
from irrigation.planner import LATE_WINDOW, compile_timetable
from irrigation.windows import Place
from tests.unit.irrigation.farms import (
    NOTHING,
    active_runs,
    assert_within_sources,
    assert_zones_have_one_at_a_time,
    end,
    everything,
    farms,
    moments_near_changes,
    nows,
    plan_ids,
)

DAYS = 4
TICK = timedelta(microseconds=1)


@given(farms(), nows, st.data())
@settings(max_examples=150)
def test_no_source_gives_more_than_it_has_and_no_zone_waters_twice_at_once(
    farm: Farm, now: datetime, data: st.DataObject
) -> None:
    active = data.draw(active_runs(farm, now))
    entries = compile_timetable(farm, PlanState(active=active), now, days=DAYS, version=1).entries
    assert_within_sources(farm, entries, active)
    assert_zones_have_one_at_a_time(entries, active)


@given(farms(), nows)
@settings(max_examples=100)
def test_nothing_starts_before_it_is_due_or_now_nor_runs_above_its_zones_limit(farm: Farm, now: datetime) -> None:
    for entry in compile_timetable(farm, NOTHING, now, days=DAYS, version=1).entries:
        assert entry.start >= max(entry.due, now)
        assert entry.max_s <= farm.zone(entry.zone_id).max_run_s
        assert (entry.rule is Rule.CUT_TO_CAP) <= ("asked_s" in entry.params)
        assert (entry.rule is Rule.SOURCE_BUSY) == ("late_min" in entry.params)


@given(farms(), nows)
@settings(max_examples=100)
def test_a_programs_zones_run_one_after_the_other(farm: Farm, now: datetime) -> None:
    entries = compile_timetable(farm, NOTHING, now, days=DAYS, version=1).entries
    place = {(program.id, part.zone_id): i for program in farm.programs for i, part in enumerate(program.zones)}
    by_firing: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        by_firing.setdefault((entry.program_id, entry.id.rsplit(":", 1)[0]), []).append(entry)
    for firing in by_firing.values():
        firing.sort(key=lambda entry: place[entry.program_id, entry.zone_id])
        assert all(end(one) <= other.start for one, other in pairwise(firing))


@given(farms(), nows)
@settings(max_examples=100)
def test_each_due_watering_is_in_the_timetable_exactly_once(farm: Farm, now: datetime) -> None:
    timetable = compile_timetable(farm, NOTHING, now, days=DAYS, version=1)
    tz, today = ZoneInfo(farm.tz), now.date()
    place = Place(tz, farm.lat, farm.lon)
    certain = {
        due_id(program.id, firing.day, firing.key, part.zone_id)
        for program in farm.programs
        if program.enabled
        for firing in moments(program, place, today - timedelta(days=2), today + timedelta(days=DAYS + 2))
        if now - LATE_WINDOW < firing.due <= now + timedelta(days=DAYS)
        if firing.due >= program.since
        for part in program.zones
    }
    found = Counter(plan_ids(timetable))
    assert certain <= found.keys()
    assert set(found.values()) <= {1}
    dues = {one.id: one.due for one in everything(timetable)}
    assert all(dues[extra] <= now - LATE_WINDOW for extra in found.keys() - certain)  # later zones of a long program


@given(farms(), nows, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_the_order_of_zones_sources_skips_and_runs_changes_nothing(
    farm: Farm, now: datetime, chance: random.Random
) -> None:
    first = compile_timetable(farm, NOTHING, now, days=DAYS, version=1)
    ids = plan_ids(first)
    skips = chance.sample(ids, min(2, len(ids)))
    settled = frozenset(chance.sample(ids, min(2, len(ids))))
    active = tuple(ActiveRun(zone_id=z.id, until=now + timedelta(hours=1), flow_l_min=1.0) for z in farm.zones)
    one = compile_timetable(
        replace(farm, skips=tuple(skips)), PlanState(active=active, settled=settled), now, days=DAYS, version=1
    )
    other = compile_timetable(
        replace(farm, zones=farm.zones[::-1], sources=farm.sources[::-1], skips=tuple(reversed(skips))),
        PlanState(active=active[::-1], settled=frozenset(sorted(settled, reverse=True))),
        now,
        days=DAYS,
        version=1,
    )
    assert one == other


@given(farms(), nows)
@settings(max_examples=60)
def test_an_edit_never_fires_at_once(farm: Farm, now: datetime) -> None:
    edited = replace(farm, programs=tuple(replace(program, since=now) for program in farm.programs))
    timetable = compile_timetable(edited, NOTHING, now, days=DAYS, version=1)
    assert all(one.due >= now for one in everything(timetable))


@given(farms(), nows, st.data())
@settings(max_examples=80)
def test_a_skip_or_a_hold_never_adds_water(farm: Farm, now: datetime, data: st.DataObject) -> None:
    farm = replace(farm, hold=None)
    before = compile_timetable(farm, NOTHING, now, days=DAYS, version=1)
    skips = tuple(data.draw(st.lists(st.sampled_from(plan_ids(before) or ["none"]), max_size=3, unique=True)))
    until = now + timedelta(minutes=data.draw(st.integers(-300, 6000)))
    held = replace(farm, skips=skips, hold=Hold(until=until))
    after = compile_timetable(held, NOTHING, now, days=DAYS, version=1)
    assert sorted(plan_ids(after)) == sorted(plan_ids(before))
    assert all(entry.id not in skips and entry.due >= until for entry in after.entries)
    # What was too late for want of water may run when another makes room; nothing else may.
    crowded_out = {skip.id for skip in before.skipped if skip.rule is Rule.TOO_LATE}
    assert {entry.id for entry in after.entries} <= {entry.id for entry in before.entries} | crowded_out
    caps = {entry.id: entry.max_s for entry in before.entries}
    assert all(entry.max_s == caps.get(entry.id, entry.max_s) for entry in after.entries)


@given(farms(), nows, st.data())
@settings(max_examples=150)
def test_what_is_previewed_is_what_runs_however_often_it_is_compiled_again(
    farm: Farm, now: datetime, data: st.DataObject
) -> None:
    ordered = data.draw(active_runs(farm, now))
    preview = compile_timetable(farm, PlanState(active=ordered), now, days=2, version=1)
    horizon = max((end(entry) for entry in preview.entries), default=now) + timedelta(minutes=1)
    steps = data.draw(st.lists(st.floats(0, 1), max_size=8))
    starts = (entry.start for entry in preview.entries)
    changes = [now, *starts, *map(end, preview.entries)]  # the moments that matter
    near = data.draw(st.lists(st.sampled_from(changes), max_size=6))
    moments = sorted({now + (horizon - now) * step for step in steps} | set(near))
    plan, ran, past = preview, list[Entry](), set[str]()
    for moment in (*moments, horizon):
        ran += [entry for entry in plan.entries if entry.start < moment]
        if data.draw(st.booleans()):
            past |= {skip.id for skip in plan.skipped if skip.due <= moment}
        active = tuple(
            ActiveRun(zone_id=entry.zone_id, until=end(entry), flow_l_min=entry.flow_l_min, entry_id=entry.id)
            for entry in ran
            if end(entry) > moment
        )
        settled = frozenset(entry.id for entry in ran) | past
        state = PlanState(active=(*active, *(run for run in ordered if run.until > moment)), settled=settled)
        plan = compile_timetable(farm, state, moment, days=2, version=plan.version + 1)
        assert not {entry.id for entry in plan.entries} & settled
    executed = [(entry.id, entry.start, entry.max_s) for entry in ran if entry.due <= preview.valid_until]
    assert executed == [(entry.id, entry.start, entry.max_s) for entry in preview.entries]


@given(farms(), moments_near_changes | nows)
@settings(max_examples=150)
def test_the_base_plan_is_within_the_sources_on_every_day_also_when_clocks_change(farm: Farm, now: datetime) -> None:
    base = compile_timetable(farm, NOTHING, now, days=1, version=1).base
    entries = due_base(base, ZoneInfo(farm.tz), now, now + timedelta(days=5))
    assert_within_sources(farm, entries)
    assert_zones_have_one_at_a_time(entries)
    assert all(entry.max_s <= farm.zone(entry.zone_id).max_run_s for entry in entries)
    assert all(entry.start >= entry.due for entry in entries)


@given(farms(), nows)
@settings(max_examples=100)
def test_the_base_plan_waters_the_same_due_waterings_as_the_timetable(farm: Farm, now: datetime) -> None:
    tz = ZoneInfo(farm.tz)
    farm = replace(
        farm, hold=None, programs=tuple(replace(each, since=datetime(2020, 1, 1, tzinfo=UTC)) for each in farm.programs)
    )
    timetable = compile_timetable(farm, NOTHING, now, days=3, version=1)
    entries = due_base(timetable.base, tz, now, timetable.valid_until)
    assert len({entry.id for entry in entries}) == len(entries)
    dues = {one.id: one.due for one in everything(timetable)}
    for entry in entries:
        if entry.due > now:
            assert dues[entry.id] == entry.due


def rests(timetable: Timetable, at: datetime) -> bool:
    """Whether nothing of the timetable waters at that moment, on its last day."""
    late = timedelta(seconds=900)
    last_day = timetable.valid_until - timedelta(days=1) < at
    return last_day and not any(one.due <= at < end(one) + late for one in timetable.entries)


@given(farms(), nows, st.integers(0, 900), st.data())
@settings(max_examples=150)
def test_where_the_base_plan_takes_over_no_source_gives_more_than_it_has(
    farm: Farm, now: datetime, late_s: int, data: st.DataObject
) -> None:
    if entries := compile_timetable(farm, NOTHING, now, days=DAYS, version=1).entries:
        now = data.draw(st.sampled_from(entries)).start - timedelta(days=DAYS - 1) + timedelta(minutes=1)
    compiled = compile_timetable(farm, NOTHING, now, days=DAYS, version=1)
    timetable = handed_over_at_rest(compiled, timedelta(seconds=900))
    assume(any(rests(compiled, at) for at in [compiled.valid_until, *(one.due - TICK for one in compiled.entries)]))
    late = [replace(entry, start=entry.start + timedelta(seconds=late_s)) for entry in timetable.entries]
    after = timetable.valid_until
    base = due_base(timetable.base, ZoneInfo(farm.tz), after, after + timedelta(days=2), due_after=after)
    assert_within_sources(farm, (*late, *base))
    assert_zones_have_one_at_a_time((*late, *base))


@given(farms(), nows)
@settings(max_examples=100)
def test_a_timetable_that_ends_at_rest_loses_nothing_but_what_the_base_plan_takes_over(
    farm: Farm, now: datetime
) -> None:
    compiled = compile_timetable(farm, NOTHING, now, days=DAYS, version=1)
    timetable = handed_over_at_rest(compiled, timedelta(seconds=900))
    assert compiled.valid_until - timedelta(days=1) < timetable.valid_until <= compiled.valid_until
    assert [one for one in everything(compiled) if one.due <= timetable.valid_until] == everything(timetable)
