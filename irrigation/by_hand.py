"""A program run by hand: all that one of its firings would give today, as parts for the queue."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from irrigation.carried import dryness, with_learned_flows
from irrigation.knowledge import Knowledge
from irrigation.model import Dose, Farm, Order, Program
from irrigation.occurrence import Firing, Sequencer


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
