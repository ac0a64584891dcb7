"""What the gateway learns from runs that have ended: how much really flows."""

from collections.abc import Iterable
from statistics import median

from gateway.planning.runs import Run
from irrigation.model import Zone
from irrigation.run import RunState

SETTLED_AFTER_S = 120.0
"""A run of less than this is mostly pipes that fill."""
COUNTS = 5
"""The median of so many runs is what a zone is planned with; before three of them it is not known."""
AT_LEAST = 3
CREDIBLE = 0.25, 2.0
"""Shares of the nominal flow between which a measured one is the zone's; beyond, it is a fault to look after."""


def settled_flow(run: Run, zone: Zone) -> float | None:
    """Return the mean flow in L/min of a run that ended by itself and was long enough; None when it tells nothing."""
    ended = run.state is RunState.DONE and run.litres is not None and run.open_s is not None
    if not ended or run.litres is None or run.open_s is None or run.open_s < SETTLED_AFTER_S:
        return None
    flow = run.litres / run.open_s * 60
    low, high = (share * zone.flow_l_min for share in CREDIBLE)
    return flow if low <= flow <= high else None


def with_flow(measured: tuple[float, ...], flow: float) -> tuple[float, ...]:
    """Return the last measured flows with one more, oldest first."""
    return (*measured, round(flow, 3))[-COUNTS:]


def learned(measured: dict[str, tuple[float, ...]], zones: Iterable[Zone]) -> dict[str, float]:
    """Return the learned flow in L/min by zone id: the median, where enough was measured within what is credible.

    Zones without a meter have none; a nominal flow that people change makes what no longer fits it void.
    """
    found = {}
    for zone in zones:
        low, high = (share * zone.flow_l_min for share in CREDIBLE)
        flows = [flow for flow in measured.get(zone.id, ()) if low <= flow <= high]
        if zone.has_meter and len(flows) >= AT_LEAST:
            found[zone.id] = round(median(flows), 3)
    return found
