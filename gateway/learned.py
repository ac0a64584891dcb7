"""What the gateway has learned and measured: flows, what is carried on, moistures. The journal keeps the first two."""

from collections.abc import Iterable

from contract.messages import Event, Quality, Quantity, Reading
from gateway.journal import Journal
from gateway.planning import learning
from gateway.planning.runs import Run
from irrigation.carried import carried_after
from irrigation.model import Carried, Entry, Farm, Knowledge, Moisture, Skip

_Flows = dict[str, tuple[float, ...]]


class Learned:
    """Grows with what boards report. What is written is part of the caller's transaction."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._flows: _Flows = journal.fact("flows", _Flows) or {}
        self._carried: tuple[Carried, ...] = journal.fact("carried", tuple[Carried, ...]) or ()
        self._moistures: dict[tuple[str, str], Moisture] = {}  # by node and probe; after a restart they are heard anew

    def known(self, farm: Farm) -> Knowledge:
        """What was learned, carried and measured, as the planner takes it; of a zone's probes the driest counts."""
        moistures = {}
        for zone in farm.zones:
            keys = ((zone.node_id, sensor) for sensor in zone.sensors)
            heard = [self._moistures[key] for key in keys if key in self._moistures]
            if heard:
                moistures[zone.id] = min(heard, key=lambda one: one.pct)
        flows = learning.learned(self._flows, farm.zones)
        return Knowledge(flows_l_min=flows, carried=self._carried, moistures=moistures)

    def ended(self, run: Run, farm: Farm | None) -> None:
        """Take what the end of a run tells of its zone's flow."""
        zone = next((zone for zone in farm.zones if zone.id == run.zone_id), None) if farm else None
        flow = None if zone is None else learning.settled_flow(run, zone)
        if flow is not None:
            self._flows = self._flows | {run.zone_id: learning.with_flow(self._flows.get(run.zone_id, ()), flow)}
            self._journal.note("flows", _Flows, self._flows)

    def carry(self, done: Iterable[Entry | Skip]) -> None:
        """Keep what these due waterings leave owed."""
        carried = carried_after(Knowledge(carried=self._carried), done).carried
        if carried != self._carried:
            self._carried = carried
            self._journal.note("carried", tuple[Carried, ...], carried)

    def measured(self, node_id: str, records: Iterable[Reading | Event]) -> None:
        """Remember the last good moisture of each probe."""
        for one in records:
            if not isinstance(one, Reading) or one.value is None:
                continue
            if (one.quantity, one.quality) != (Quantity.SOIL_MOISTURE, Quality.GOOD):
                continue
            key = (one.node_id or node_id, one.sensor)
            if key not in self._moistures or self._moistures[key].at <= one.at:
                self._moistures[key] = Moisture(pct=one.value, at=one.at)
