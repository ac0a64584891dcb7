"""What became of each due watering, and why, from the timetable's own reasons and the boards' reports."""

from collections.abc import Collection, Iterable
from datetime import datetime

from contract.messages import Origin, RunEvent
from irrigation.model import Decision, Entry, Result, Rule, Skip
from irrigation.run import RunState
from irrigation.verdict import final_from

_NEVER_RAN = frozenset({RunState.REFUSED, RunState.EXPIRED})


def of_run(event: RunEvent, entry: Entry | None) -> Decision | None:
    """Return the decision that the first report of a due watering's run settles; None for a person's run.

    `entry` is what the timetable said of it, None when that is no longer known.
    """
    if event.origin is Origin.PERSON or event.program_id is None:
        return None
    params: dict[str, float | str] = dict(entry.params) if entry else {}
    rule = entry.rule if entry else Rule.AS_PROGRAMMED
    result = Result.RAN if rule is Rule.AS_PROGRAMMED else Result.CHANGED
    if event.origin is Origin.BASE_PLAN:
        params["plan"] = "base"
    if event.state in _NEVER_RAN:
        result = Result.REFUSED
        params["reason"] = event.reason.code if event.reason else str(event.state)
    return Decision(
        id=event.entry_id or event.run_id,
        program_id=event.program_id,
        zone_id=event.zone_id,
        due=entry.due if entry else event.at,
        result=result,
        rule=rule,
        params=params,
        run_id=event.run_id,
    )


def of_skips(skipped: Iterable[Skip], settled: Collection[str], now: datetime) -> tuple[Decision, ...]:
    """Return the decisions of the skips whose time has come and that are not settled yet."""
    return tuple(
        Decision(
            id=skip.id,
            program_id=skip.program_id,
            zone_id=skip.zone_id,
            due=skip.due,
            result=Result.SKIPPED,
            rule=skip.rule,
            params=dict(skip.params),
        )
        for skip in skipped
        if final_from(skip) <= now and skip.id not in settled
    )
