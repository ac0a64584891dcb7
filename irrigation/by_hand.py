"""A program run by hand: all that one of its firings would give today, as parts for the queue."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from irrigation.carried import dryness, with_learned_flows
from irrigation.knowledge import Knowledge
from irrigation.model import Dose, Farm, Order, PlanState, Program, Queued, QueuePolicy
from irrigation.occurrence import Firing, Sequencer
from irrigation.planner import compile_timetable
from irrigation.queue import QUEUE_LIFE


@dataclass(frozen=True, slots=True)
class HandPart:
    """One opening of a valve. `after` and `behind` are places in the list, as in `irrigation.queue.Queued`."""

    zone_id: str
    dose: Dose
    after: int | None = None
    soak_s: int = 0
    behind: int | None = None
    pause_s: int = 0


def parts_now(farm: Farm, program: Program, known: Knowledge, now: datetime) -> tuple[HandPart, ...]:
    """Return the parts in their sequence: cycles with their soak, today's share of the doses, order and pauses.

    What today's share makes too little to be of use is left out. What programs carry on is neither given nor changed.
    A negative pause is none: where zones overlap is the gateway's to say. ValueError when `now` is naive.
    """
    if now.tzinfo is None:
        raise ValueError(f"now must carry a time zone, not {now}")
    farm = with_learned_flows(farm, known)
    day = now.astimezone(ZoneInfo(farm.tz)).date()
    firing = Firing(program, day, "now", now)
    pieces, _ = Sequencer(farm, dryness(farm, known, now)).pieces(firing)
    last: dict[str, int] = {}
    found = []
    for place, piece in enumerate(pieces):
        before = last.get(piece.zone.id)
        follows = place > 0 and program.order is not Order.TOGETHER
        found.append(
            HandPart(
                piece.zone.id,
                piece.dose,
                after=before,
                soak_s=0 if before is None else piece.soak_s,
                behind=place - 1 if follows else None,
                pause_s=max(0, program.pause_s) if follows else 0,
            )
        )
        last[piece.zone.id] = place
    return tuple(found)


def expected(
    farm: Farm, state: PlanState, parts: Sequence[HandPart], policy: QueuePolicy, now: datetime
) -> tuple[datetime | None, ...]:
    """Return when each part would begin if all were queued now; None for one that finds no room in its time.

    By the planner itself, beside what runs and waits; `replace` leaves neither at the sources of the parts.
    """
    queue = state.known.queue
    if policy is QueuePolicy.REPLACE:
        zones = {zone.id: zone.source_id for zone in farm.zones}
        taken = {zones[part.zone_id] for part in parts}
        state = replace(state, active=tuple(run for run in state.active if zones.get(run.zone_id) not in taken))
        queue = tuple(one for one in queue if zones.get(one.zone_id) not in taken)
    front = policy is not QueuePolicy.APPEND
    mine = tuple(
        Queued(
            run_id=f"part {place}", zone_id=part.zone_id, dose=part.dose, since=now, until=now + QUEUE_LIFE,
            front=front, after=_name(part.after), soak_s=part.soak_s, behind=_name(part.behind), pause_s=part.pause_s,
        )
        for place, part in enumerate(parts)
    )  # fmt: skip
    known = replace(state.known, queue=(*mine, *queue) if front else (*queue, *mine))
    places = compile_timetable(farm, replace(state, known=known), now, days=1, version=0).queue or ()
    starts = {place.run_id: place.start for place in places}
    return tuple(starts.get(one.run_id) for one in mine)


def _name(place: int | None) -> str | None:
    return None if place is None else f"part {place}"
