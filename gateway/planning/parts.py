"""What each board gets of the farm's timetable and settings."""

from collections.abc import Container
from dataclasses import replace
from datetime import datetime, timedelta

from contract.messages import ChannelSettings, NodeConfig
from irrigation.model import Farm, Timetable

RENEW = timedelta(hours=12)
"""A part whose content is the same is sent again when its validity could be longer by this much."""
NEVER_COMPILED = 0


def nodes(farm: Farm) -> tuple[str, ...]:
    """Return the boards that the farm's zones need, in order."""
    return tuple(sorted({zone.node_id for zone in farm.zones}))


def part(timetable: Timetable, node_id: str, withheld: Container[str] = ()) -> Timetable:
    """Return that board's own entries and base plan; skips, queue and what is known are not a board's business.

    An entry that awaits a condition's value is not in it: a board that is alone then waters no more than it may. Nor is
    one that is `withheld`, by its id (gateway.planning.handover).
    """
    mine = (entry for entry in timetable.entries if entry.node_id == node_id and entry.awaits is None)
    return replace(
        timetable,
        entries=tuple(entry for entry in mine if entry.id not in withheld),
        skipped=(),
        base=tuple(entry for entry in timetable.base if entry.node_id == node_id),
        known=None,
        queue=None,
    )


def says_the_same(held: Timetable, new: Timetable, now: datetime) -> bool:
    """Whether a holder of `held` would do from `now` on what `new` asks, and nearly as long.

    Versions and the time of compilation do not count, nor entries already begun, nor the days that only `new` reaches,
    as long as `held` reaches to within `RENEW` of it.
    """
    if (held.tz, held.base) != (new.tz, new.base) or new.valid_until - held.valid_until >= RENEW:
        return False
    until = min(held.valid_until, new.valid_until)
    skips = [[skip for skip in each.skipped if now <= skip.due < until] for each in (held, new)]
    starts = [[entry for entry in each.entries if now <= entry.start < until] for each in (held, new)]
    queues = [[(one.run_id, one.start and max(one.start, now)) for one in each.queue or ()] for each in (held, new)]
    return skips[0] == skips[1] and starts[0] == starts[1] and queues[0] == queues[1]


def node_config(farm: Farm, node_id: str, version: int) -> NodeConfig:
    """Return the settings of one board; none of its channels when the farm has no zone there any more."""
    return NodeConfig(
        version=version,
        tz=farm.tz,
        channels=tuple(
            ChannelSettings(
                channel=zone.channel,
                zone_id=zone.id,
                max_run_s=float(zone.max_run_s),
                flow_l_min=zone.flow_l_min,
                source_l_min=farm.source(zone.source_id).capacity_l_min,
                dry_after_s=farm.source(zone.source_id).dry_after_s,
                sensors=zone.sensors,
            )
            for zone in sorted(farm.zones, key=lambda zone: zone.channel)
            if zone.node_id == node_id
        ),
    )


def next_version(*known: int | None) -> int:
    """Return a version above every one that anybody holds, so that a lost journal never goes back in count."""
    return max((version for version in known if version is not None), default=NEVER_COMPILED) + 1
