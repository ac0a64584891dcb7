"""What a board in virtual time measures, by the board's own rules: meters that may turn back, probes as calibrated."""

from collections.abc import Iterable
from dataclasses import dataclass

from contract.messages import Reason
from edge.control.order import Order
from edge.control.probe import Expected, Judged, Probe
from edge.control.watering import Watering
from edge.meter import Meter
from firmware_sim.replay.scenario import MeterAt, ProbeAt
from irrigation.model import Zone
from irrigation.run import RunState

LOOK_S = 1.0
"""How often an open valve's meter is looked at; a real board does several times a second."""
End = tuple[RunState, Reason | None]


class Pulses:
    """A meter's counter, which counts the water that it is told of, and may turn back."""

    def __init__(self, pulses_per_litre: float) -> None:
        self.litres = 0.0
        self._per_litre = pulses_per_litre

    def count(self) -> int:
        """Return the pulses; a count that fell has turned back."""
        return int(self.litres * self._per_litre + 1e-6)

    def close(self) -> None:
        """Nothing to give back."""


class WaterMeter:
    """The meter of a zone's valve, and the flow (L/min) that it sees while that is open. Times are monotonic s."""

    def __init__(self, at: MeterAt, zone: Zone) -> None:
        self._nominal_l_min = zone.flow_l_min
        self._flow_l_min = zone.flow_l_min if at.flow_l_min is None else at.flow_l_min
        self._pulses = Pulses(at.pulses_per_litre)
        self._meter = Meter(self._pulses, at.pulses_per_litre, litres_before=0.0)

    def litres(self) -> float:
        """Return the monotone total."""
        return self._meter.litres()

    def pass_water(self, for_s: float) -> None:
        """Let water through."""
        self._pulses.litres += self._flow_l_min / 60 * for_s

    def turn_back(self, litres: float) -> None:
        """Have its counter fall by so many litres, to 0 at most."""
        self._pulses.litres = max(0.0, self._pulses.litres - litres)

    def look(self, at_s: float, *, is_open: bool) -> None:
        """See whether what it counts can be water."""
        self._meter.look(at_s, is_open=is_open, nominal_l_min=self._nominal_l_min)

    def doubt(self, since_s: float) -> str | None:
        """Return why what it has counted since is not to be believed; None when it is."""
        return self._meter.since(since_s).reason


@dataclass(slots=True, kw_only=True)
class Metered:
    """A run whose valve has a meter, and how its dose ends by that. Times are monotonic s."""

    watering: Watering
    meter: WaterMeter
    opened_s: float
    litres_at_open: float
    looks: int = 0

    def until(self, at_s: float) -> tuple[float, End] | None:
        """Look at the meter again and again until that moment; return when and how the run ends, or None."""
        while (next_s := self.opened_s + (self.looks + 1) * LOOK_S) <= at_s:
            self.looks += 1
            self.meter.pass_water(LOOK_S)
            self.meter.look(next_s, is_open=True)
            self.watering.metered(round(self.meter.litres() - self.litres_at_open, 3), next_s)
            end = self.watering.dose_ends((), probes_lost=None, meter_doubt=self.meter.doubt(self.opened_s))
            if end is not None:
                return next_s, end
        return None

    def at_deadline(self) -> Reason | None:
        """Return why its lease ended it, when that was before its dose."""
        if not self.watering.wanted_more():
            return None
        return Reason(code=self.watering.cap_code(self.meter.doubt(self.opened_s)))


class Instruments:
    """The meters of a board by their zones, and its soil probes by their sensor ids."""

    def __init__(self, meters: Iterable[MeterAt], probes: Iterable[ProbeAt], zones: dict[str, Zone]) -> None:
        self.meters = {one.zone: WaterMeter(one, zones[one.zone]) for one in meters}
        self._probes = {one.sensor: Probe(expected=Expected(points=one.points)) for one in probes}

    def metered(self, order: Order, at_s: float) -> Metered | None:
        """Return a run that opens now and that a meter watches; None where there is none."""
        meter = self.meters.get(order.zone_id)
        if meter is None:
            return None
        watering = Watering(order=order)
        return Metered(watering=watering, meter=meter, opened_s=at_s, litres_at_open=meter.litres())

    def heard(self, sensor: str, share: float, at_s: float, *, wet: bool) -> Judged:
        """Return what a share of the reference means, and what that is worth. `wet`: the probe's zone is watered."""
        return self._probes[sensor].heard([share], at_s, wet=wet, is_share=True)
