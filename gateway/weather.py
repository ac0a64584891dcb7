"""Weather, soil and levels as boards measured them, and the latches of conditions. The journal keeps both."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from contract.messages import Reading
from gateway.journal import Journal
from gateway.planning import weather
from gateway.planning.weather import Heard
from irrigation.model import Farm, Knowledge
from irrigation.verdict import with_latches

_Latches = dict[str, datetime]


class Weather:
    """Grows with what boards measure. What is written is part of the caller's transaction."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._heard = journal.fact("weather", Heard) or Heard()
        self._latches: _Latches = journal.fact("latches", _Latches) or {}

    def measured(self, node_id: str, records: Iterable[Reading], farm: Farm | None, now: datetime) -> bool:
        """Take a board's readings; return whether anything in them may matter to the plan."""
        heard = weather.with_readings(self._heard, node_id, records, now)
        if heard is self._heard:
            return False
        self._heard = heard
        self._journal.note("weather", Heard, heard)
        if farm is not None:
            self.latch(farm)
        return True

    def latch(self, farm: Farm) -> None:
        """Follow the latches of the farm's conditions to the youngest values."""
        latches = self.known(farm, Knowledge()).latches
        if latches != self._latches:
            self._latches = latches
            self._journal.note("latches", _Latches, latches)

    def known(self, farm: Farm, known: Knowledge) -> Knowledge:
        """Return what is known with moistures, weather, levels and latches."""
        moistures, observed = weather.moistures(self._heard, farm), weather.observed(self._heard, farm)
        return with_latches(farm, replace(known, moistures=moistures, observed=observed), self._latches)
