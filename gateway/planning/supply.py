"""When a source gives nothing, as its zones' runs tell: one that stays dry may be stuck shut, two are the source."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.planning.runs import Run
from irrigation.condition import Observed
from irrigation.model import Source, SourceTrouble, Trouble

NO_FLOW = "no-flow"
"""The code with which a board ends a run whose meter saw nothing."""
ZONES = 2
"""So many different zones must have stayed dry, with no water in any between, and all within `WITHIN`."""
WITHIN = timedelta(hours=6)

LEVEL_AGE = timedelta(minutes=60)
"""A level counts for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dry:
    """A run that ended for want of flow."""

    zone_id: str
    at: datetime


def flowed(run: Run, code: str | None) -> bool:
    """Whether the meter saw the run's water; `code` is why it ended, if that was told."""
    return bool(run.litres) and code != NO_FLOW


def after_end(dry: Iterable[Dry], run: Run, code: str | None) -> tuple[Dry, ...]:
    """Return a source's dry runs after one of its runs has ended: none, once water has flowed."""
    if flowed(run, code) or run.ended_at is None:
        return ()
    late = run.ended_at - WITHIN
    kept = tuple(one for one in dry if one.at > late)
    return (*kept, Dry(zone_id=run.zone_id, at=run.ended_at)) if code == NO_FLOW else kept


def after_dry(
    trouble: SourceTrouble | None, dry: tuple[Dry, ...], run: Run, code: str | None
) -> tuple[SourceTrouble | None, datetime]:
    """Return the source's trouble after that run, and from when on: it ran dry when enough zones had stayed dry.

    Water that flows ends that, from when its valve opened.
    """
    ended_at = run.ended_at or run.asked_at
    if flowed(run, code) and trouble is not None and trouble.kind is Trouble.RAN_DRY:
        return None, ended_at - timedelta(seconds=run.open_s or 0)
    if trouble is None and len({one.zone_id for one in dry}) >= ZONES:
        return SourceTrouble(kind=Trouble.RAN_DRY, since=dry[0].at), dry[0].at
    return trouble, ended_at


def filled(source: Source, trouble: SourceTrouble, level: Observed | None, now: datetime) -> bool:
    """Whether a source whose level is not told any more has had its time to fill, from the last word on."""
    last = trouble.since if level is None else max(trouble.since, level.at)
    return now - last >= timedelta(minutes=source.recovery_min)
