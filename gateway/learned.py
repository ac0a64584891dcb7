"""What the gateway has learned of its zones and sources: flows, what is carried on, what sources lacked.

The journal keeps all of it.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from gateway.journal import Journal
from gateway.planning import learning, supply
from gateway.planning.runs import Run
from irrigation.carried import carried_after
from irrigation.condition import ConditionKind, Observed
from irrigation.model import (
    Carried,
    Entry,
    Farm,
    Former,
    Knowledge,
    Shortage,
    Skip,
    SourceTrouble,
    Trouble,
    Zone,
)
from irrigation.source import after_level
from irrigation.turns import after_troubles

FORMER_KEPT = timedelta(days=1)
"""How long a firing can still be under way by a program as it was: its longest and its delay together."""
_Flows = dict[str, tuple[float, ...]]
_Dry = dict[str, tuple[supply.Dry, ...]]
_Troubles = dict[str, SourceTrouble]
_Shortages = dict[str, tuple[Shortage, ...]]


class Learned:
    """Grows with what boards report. What is written is part of the caller's transaction."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._flows: _Flows = journal.fact("flows", _Flows) or {}
        self._carried: tuple[Carried, ...] = journal.fact("carried", tuple[Carried, ...]) or ()
        self._dry: _Dry = journal.fact("dry", _Dry) or {}
        self._troubles: _Troubles = journal.fact("troubles", _Troubles) or {}
        self._shortages: _Shortages = journal.fact("shortages", _Shortages) or {}
        self._former: tuple[Former, ...] = journal.fact("former", tuple[Former, ...]) or ()

    def known(self, farm: Farm) -> Knowledge:
        """What was learned, carried and lacked, as the planner takes it."""
        return Knowledge(
            flows_l_min=learning.learned(self._flows, farm.zones),
            carried=self._carried,
            troubles=self._troubles,
            shortages=self._shortages,
            former=self._former,
        )

    def changed(self, before: Farm, after: Farm, now: datetime) -> None:
        """Remember for a day the programs that people have changed or taken away, as they were."""
        since = {program.id: program.since for program in after.programs if program.enabled}
        gone = tuple(
            Former(program=program, until=since.get(program.id, now))
            for program in before.programs
            if program.enabled and since.get(program.id, now) > program.since
        )
        former = (*(one for one in self._former if now - one.until < FORMER_KEPT), *gone)
        if former != self._former:
            self._former = former
            self._journal.note("former", tuple[Former, ...], former)

    def trouble(self, source_id: str) -> SourceTrouble | None:
        """Return why a source gives nothing now; None when it does."""
        return self._troubles.get(source_id)

    def ended(self, run: Run, farm: Farm | None, code: str | None = None) -> None:
        """Take what the end of a run tells of its zone's flow, and of its source; `code` is why it ended, if told."""
        zone = next((zone for zone in farm.zones if zone.id == run.zone_id), None) if farm else None
        if farm is None or zone is None:
            return
        self._supplied(run, farm, zone, code)
        flow = learning.settled_flow(run, zone)
        if flow is not None:
            self._flows = self._flows | {run.zone_id: learning.with_flow(self._flows.get(run.zone_id, ()), flow)}
            self._journal.note("flows", _Flows, self._flows)

    def _supplied(self, run: Run, farm: Farm, zone: Zone, code: str | None) -> None:
        source_id, before = zone.source_id, self._troubles.get(zone.source_id)
        dry = supply.after_end(self._dry.get(source_id, ()), run, code)
        if dry != self._dry.get(source_id, ()):
            self._dry = self._dry | {source_id: dry}
            self._journal.note("dry", _Dry, self._dry)
        trouble, at = supply.after_dry(before, dry, run, code)
        self._troubled(source_id, trouble, at, farm)

    def levelled(self, farm: Farm, observed: Iterable[Observed], now: datetime) -> bool:
        """Follow the troubles of sources to their levels; return whether one has come or gone.

        A level that is older than a trouble says nothing of it. A source that was low and whose level nobody tells any
        more is believed to have filled after its `recovery_min`.
        """
        before = self._troubles
        levels = {one.subject_id: one for one in observed if one.kind is ConditionKind.SOURCE_LOW}
        for source in farm.sources:
            trouble, level = self._troubles.get(source.id), levels.get(source.id)
            if level is not None and now - level.at <= supply.LEVEL_AGE:
                if trouble is None or level.at > trouble.since:
                    self._troubled(source.id, after_level(source, trouble, level.value, level.at), level.at, farm)
            elif trouble is not None and trouble.kind is Trouble.LOW and supply.filled(source, trouble, level, now):
                self._troubled(source.id, None, now, farm)
        return self._troubles != before

    def _troubled(self, source_id: str, trouble: SourceTrouble | None, at: datetime, farm: Farm) -> None:
        if trouble == self._troubles.get(source_id):
            return
        others = {each: one for each, one in self._troubles.items() if each != source_id}
        troubles = others if trouble is None else others | {source_id: trouble}
        self._shortages = after_troubles(self.known(farm), troubles, farm, at)
        self._troubles = troubles
        self._journal.note("shortages", _Shortages, self._shortages)
        self._journal.note("troubles", _Troubles, troubles)

    def carry(self, done: Iterable[Entry | Skip]) -> None:
        """Keep what these due waterings leave owed."""
        carried = carried_after(Knowledge(carried=self._carried), done).carried
        if carried != self._carried:
            self._carried = carried
            self._journal.note("carried", tuple[Carried, ...], carried)
