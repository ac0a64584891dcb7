"""What is wired to the boards: which line opens which valve, what an ADC channel sees, what makes pulses."""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

from firmware_sim.errors import Refused
from firmware_sim.lines import Function, Line, Lines
from firmware_sim.settings import BoardPart, FieldSettings, ProbePart, SupplyPart, ValvePart
from firmware_sim.world import World

ADC_STEPS = 1023
ADC_REFERENCE_V = 3.3
LEAK_SHARE, BURST_SHARE = 0.05, 4.0  # of a zone's nominal flow
JUMP_PULSES = 100  # at each look, twenty times a second
DRIFT_V_DAY = 0.05


class Fault(StrEnum):
    """What can be broken on purpose. The key is a source id, a zone id, or NODE/PIN, or NODE/ADC-CHANNEL."""

    SOURCE_DRY = "source-dry"
    PROBE_OPEN = "probe-open"  # a broken wire: the input floats up to the reference
    PROBE_SHORT = "probe-short"
    PROBE_STUCK = "probe-stuck"  # says for ever what it said then
    PROBE_DRIFT = "probe-drift"  # DRIFT_V_DAY further off on each day of the field
    VALVE_STUCK_OPEN = "valve-stuck-open"
    VALVE_STUCK_SHUT = "valve-stuck-shut"
    VALVE_LEAKS = "valve-leaks"  # dirt in its seat: a trickle while it is shut
    PIPE_BURST = "pipe-burst"
    METER_DEAD = "meter-dead"
    METER_JUMPS = "meter-jumps"  # a broken wire counts noise
    SUPPLY_STUCK_ON = "supply-stuck-on"
    SUPPLY_STUCK_OFF = "supply-stuck-off"
    RESERVE_LOW = "reserve-low"


class Wiring:
    """The boards' pins over the world. Valves are normally closed: open only while a line is driven to its level.

    All but those that latch: they go by the last pulse, which `noticed` is told of.
    """

    def __init__(self, settings: FieldSettings, world: World, lines: Lines) -> None:
        self._world, self._lines = world, lines
        self.boards = {board.node: board for board in settings.boards}
        self._sources = {source.id for source in settings.sources}
        self._zones = {zone.id for zone in settings.zones}
        self._dice = Random(settings.seed)
        self._faults: set[tuple[Fault, str]] = set()
        self._latched: set[tuple[str, int]] = set()  # latching valves that are open, by their opening pin
        self._since: dict[tuple[Fault, str], tuple[datetime, float]] = {}  # when a probe broke, and what it said then
        self._counted: dict[tuple[str, int], int] = {}
        self.pulses()  # what was counted before this process is not counted again

    def board(self, node: str) -> BoardPart:
        """Return a board; raise Refused if there is none of that name."""
        if node not in self.boards:
            raise Refused(f"there is no board {node!r} in this field, only {', '.join(self.boards)}")
        return self.boards[node]

    def valves(self) -> Iterator[tuple[str, ValvePart]]:
        """All valves, each with its board's node."""
        for node, board in self.boards.items():
            for valve in board.valves:
                yield node, valve

    def is_open(self, node: str, valve: ValvePart) -> bool:
        """Whether water can pass a valve now."""
        key = f"{node}/{valve.gpio}"
        if (Fault.VALVE_STUCK_OPEN, key) in self._faults:
            return True
        if (Fault.VALVE_STUCK_SHUT, key) in self._faults:
            return False
        if valve.close_gpio is not None:
            return (node, valve.gpio) in self._latched
        return self._driven(node, valve)

    def noticed(self, line: Line) -> None:
        """Take a change of a line: a pulse moves the latching valve that it belongs to."""
        for valve in self.board(line.node).valves:
            pulsed = line.function is Function.OUTPUT and line.level == int(valve.active_high)
            if valve.close_gpio is not None and pulsed and line.gpio == valve.gpio:
                self._latched.add((line.node, valve.gpio))
            elif valve.close_gpio is not None and pulsed and line.gpio == valve.close_gpio:
                self._latched.discard((line.node, valve.gpio))

    def supplies(self) -> Iterator[tuple[str, SupplyPart, bool]]:
        """All supplies, each with its board's node and whether it runs."""
        for node, board in self.boards.items():
            for supply in board.supplies:
                key = f"{node}/{supply.gpio}"
                runs = self._driven(node, supply) or (Fault.SUPPLY_STUCK_ON, key) in self._faults
                yield node, supply, runs and (Fault.SUPPLY_STUCK_OFF, key) not in self._faults

    def _driven(self, node: str, part: ValvePart | SupplyPart) -> bool:
        line = self._lines.at(node, part.gpio)
        return line.function is Function.OUTPUT and line.level == int(part.active_high)

    def level(self, node: str, gpio: int) -> int:
        """Return what is read on a pin: the reserve's own level, or that of the line."""
        reserve = self.board(node).reserve
        if reserve is not None and reserve.gpio == gpio:
            return int((Fault.RESERVE_LOW, f"{node}/{gpio}") not in self._faults)
        return self._lines.at(node, gpio).level

    def open_zones(self) -> set[str]:
        """Return the zones whose valves let water pass, be it a trickle: open, and their supply runs."""
        running = {(node, supply.id) for node, supply, runs in self.supplies() if runs}
        return {
            valve.zone
            for node, valve in self.valves()
            if (self.is_open(node, valve) or self._leaks(node, valve))
            and (valve.supply is None or (node, valve.supply) in running)
        }

    def shares(self) -> dict[str, float]:
        """Return what zones draw whose valve or pipe is broken, as a share of their nominal flow."""
        shares = {}
        for node, valve in self.valves():
            if not self.is_open(node, valve) and self._leaks(node, valve):
                shares[valve.zone] = LEAK_SHARE
            elif (Fault.PIPE_BURST, valve.zone) in self._faults:
                shares[valve.zone] = BURST_SHARE
        return shares

    def _leaks(self, node: str, valve: ValvePart) -> bool:
        return (Fault.VALVE_LEAKS, f"{node}/{valve.gpio}") in self._faults

    def open_valves(self) -> dict[str, int]:
        """Return how many valves each board holds open by a current."""
        return {
            node: sum(self.is_open(node, valve) for valve in board.valves if valve.close_gpio is None)
            for node, board in self.boards.items()
        }

    def dry_sources(self) -> set[str]:
        """Return the sources that give nothing."""
        return {key for fault, key in self._faults if fault is Fault.SOURCE_DRY}

    def set_fault(self, name: str, key: str, *, on: bool) -> None:
        """Break something, or mend it; raise Refused for what does not exist."""
        try:
            fault = Fault(name)
        except ValueError:
            raise Refused(f"there is no fault {name!r}, only {', '.join(Fault)}") from None
        known = set(self._keys(fault))
        if key not in known:
            raise Refused(f"fault {fault} knows {', '.join(sorted(known))}, not {key!r}")
        (self._faults.add if on else self._faults.discard)((fault, key))
        self._since.pop((fault, key), None)
        if on and fault in {Fault.PROBE_STUCK, Fault.PROBE_DRIFT}:
            node, _, channel = key.partition("/")
            probe = next(one for one in self.boards[node].probes if one.adc == int(channel))
            self._since[fault, key] = (self._world.at, self._probe_v(probe))

    def _keys(self, fault: Fault) -> list[str]:
        if fault in {Fault.SOURCE_DRY, Fault.PIPE_BURST}:
            return list(self._sources if fault is Fault.SOURCE_DRY else self._zones)
        keys = []
        for node, board in self.boards.items():
            if fault in {Fault.PROBE_OPEN, Fault.PROBE_SHORT, Fault.PROBE_STUCK, Fault.PROBE_DRIFT}:
                keys += [f"{node}/{probe.adc}" for probe in board.probes]
            elif fault in {Fault.METER_DEAD, Fault.METER_JUMPS}:
                keys += [f"{node}/{meter.gpio}" for meter in board.meters]
            elif fault in {Fault.SUPPLY_STUCK_ON, Fault.SUPPLY_STUCK_OFF}:
                keys += [f"{node}/{supply.gpio}" for supply in board.supplies]
            elif fault is Fault.RESERVE_LOW:
                keys += [f"{node}/{board.reserve.gpio}"] if board.reserve is not None else []
            else:
                keys += [f"{node}/{valve.gpio}" for valve in board.valves]
        return keys

    def adc(self, node: str, channel: int) -> int:
        """Return what a 10-bit converter reads on a channel, 0 to 1023; a channel with nothing on it reads 0."""
        volts = self._volts(self.board(node), channel)
        return max(0, min(ADC_STEPS, round(volts / ADC_REFERENCE_V * ADC_STEPS)))

    def _volts(self, board: BoardPart, channel: int) -> float:
        key = f"{board.node}/{channel}"
        for probe in board.probes:
            if probe.adc == channel:
                if (Fault.PROBE_OPEN, key) in self._faults:
                    return ADC_REFERENCE_V
                if (Fault.PROBE_SHORT, key) in self._faults:
                    return 0.0
                if (stuck := self._since.get((Fault.PROBE_STUCK, key))) is not None:
                    return stuck[1]
                return self._probe_v(probe) + self._drift_v(key)
        if board.battery is not None and board.battery.adc == channel:
            return self._world.battery_v(board.node, self.open_valves()[board.node]) / board.battery.divider
        if board.thermometer is not None and board.thermometer.adc == channel:
            return 0.5 + 0.01 * self._world.air_temperature_c()
        return 0.0

    def _drift_v(self, key: str) -> float:
        since = self._since.get((Fault.PROBE_DRIFT, key))
        return 0.0 if since is None else DRIFT_V_DAY * ((self._world.at - since[0]) / timedelta(days=1))

    def _probe_v(self, probe: ProbePart) -> float:
        moisture_pct = self._world.moisture_pct(probe.zone, probe.depth_m)
        slope = (probe.wet_v - probe.dry_v) / (probe.wet_pct - probe.dry_pct)
        return probe.dry_v + slope * (moisture_pct - probe.dry_pct) + self._dice.gauss(0, probe.noise_v)

    def pulses(self) -> dict[tuple[str, int], int]:
        """Return how many pulses each meter and rain gauge has made since this was last asked, those with any."""
        made = {}
        for node, board in self.boards.items():
            counts = [
                (meter.gpio, math.floor(self._world.pipes[meter.zone].litres * meter.pulses_per_litre + 1e-9))
                for meter in board.meters
            ]
            if board.rain_gauge is not None:
                counts.append((board.rain_gauge.gpio, math.floor(self._world.rain_mm / board.rain_gauge.mm_per_tip)))
            for gpio, count in counts:
                more = count - self._counted.get((node, gpio), count)
                self._counted[node, gpio] = count
                if (Fault.METER_JUMPS, f"{node}/{gpio}") in self._faults:
                    more += JUMP_PULSES
                if more > 0 and (Fault.METER_DEAD, f"{node}/{gpio}") not in self._faults:
                    made[node, gpio] = more
        return made
