"""What a running server is made of, for those who answer requests."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from server.accounts import Doorkeeper
from server.gateways import Gateways
from server.history import History
from server.households import Households
from server.ingest import Ingest
from server.ledger.database import Ledger
from server.live import Live
from server.metrics import Metrics
from server.planning import Planning
from server.queueing import Queueing
from server.resets import Resets
from server.series.port import Series
from server.turns import Turns
from server.watering import Watering


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Made once, in server/app.py."""

    now: Callable[[], datetime]
    ledger: Ledger
    series: Series
    live: Live
    ingest: Ingest
    gateways: Gateways
    watering: Watering
    queueing: Queueing
    resets: Resets
    planning: Planning
    turns: Turns
    households: Households
    history: History
    doorkeeper: Doorkeeper
    metrics: Metrics
    secure_cookie: bool
