"""Orders to try the board's rules with."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from contract.messages import Origin
from edge.control.admission import ChannelStanding
from edge.control.order import Order
from irrigation.model import Dose

NOW = datetime(2026, 11, 23, 5, 30, tzinfo=UTC)

ORDER = Order(
    run_id="run-1",
    zone_id="tea",
    channel="v1",
    dose=Dose(minutes=20),
    max_s=1200,
    actor="hoa",
    origin=Origin.PERSON,
    expires_at=NOW + timedelta(seconds=30),
)
STANDING = ChannelStanding(max_open_s=3600, max_day_s=7200, used_day_s=0, zone_id="tea", zone_max_run_s=3600)


def order(**changes: Any) -> Order:
    """Return an order that nothing speaks against, but for the changes."""
    return replace(ORDER, **changes)


def standing(**changes: Any) -> ChannelStanding:
    """Return a channel that is free, but for the changes."""
    return replace(STANDING, **changes)
