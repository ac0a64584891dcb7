"""When a source gives nothing: its level with hysteresis, and a pump that ran dry."""

from datetime import datetime, timedelta

from irrigation.condition import LEAD
from irrigation.knowledge import SourceTrouble, Trouble
from irrigation.site import Source


def after_level(source: Source, trouble: SourceTrouble | None, level_pct: float, at: datetime) -> SourceTrouble | None:
    """Return the source's trouble after its level was measured.

    Below `low_pct` it is low, and stays so until the level reaches `enough_pct`: what is between changes nothing. A
    pump that ran dry is in trouble until then, too. Without the two limits a level says nothing.
    """
    if source.low_pct is None or source.enough_pct is None:
        return trouble
    if level_pct >= source.enough_pct:
        return None
    if level_pct < source.low_pct and trouble is None:
        return SourceTrouble(kind=Trouble.LOW, since=at, level_pct=level_pct)
    return trouble


def gives_again(source: Source, trouble: SourceTrouble | None, now: datetime) -> datetime:
    """Return from when on the source is planned with: `now`, or the end of its recovery time that is running.

    A trouble that lasts is looked at anew after each `recovery_min`, counted from its beginning, so that a plan
    compiled at any moment between says the same. One that is measured (a low level) is over when it is said so: as long
    as it lasts, the next look is put off `LEAD` before it comes, in time to tell the boards.
    """
    if trouble is None:
        return now
    if trouble.kind is not Trouble.RAN_DRY:
        now += LEAD
    rest = timedelta(minutes=source.recovery_min)
    return trouble.since + rest * ((now - trouble.since) // rest + 1) if now >= trouble.since else trouble.since + rest
