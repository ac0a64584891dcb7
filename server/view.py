"""Everything that the app shows of one farm, in memory: a snapshot, and what has changed since it was last told.

No clock and no I/O: the time is an argument.
"""

from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Literal
from zoneinfo import ZoneInfo

from contract.messages import FarmState, NodeReport, Quality, Quantity, Reading, RunProgress, ValveReport
from irrigation.model import ActiveRun, Dose, Knowledge, PlanState, Timetable, Zone
from irrigation.run import UNDER_WAY, RunState
from irrigation.verdict import with_left_out
from server import runs, shapes
from server.ledger.history import dose_body
from server.records import AlertRecord, DecisionRecord, FarmRecord, ResetRecord, RunRecord
from server.series.port import Latest, Sensor

SHOWN_AFTER_END = timedelta(hours=24)
_GONE_AFTER_INTERVALS = 6  # what a probe said so long ago is not now, and no part of its zone's median

Section = Literal["zones", "runs", "nodes", "alerts"]
Json = dict[str, Any]


class FarmView:
    """One farm. Whoever changes it calls `touch`; `delta` then gives each changed thing once, whole."""

    def __init__(self, farm: FarmRecord) -> None:
        self.farm = farm
        self.gateway_online = False
        self.gateway_heard: datetime | None = None
        self.runs: dict[str, RunRecord] = {}
        self.progress: dict[str, RunProgress] = {}
        self.nodes: dict[str, NodeReport] = {}
        self.alerts: dict[str, AlertRecord] = {}
        self.resets: dict[tuple[str, str], ResetRecord] = {}
        self.plan: Timetable | None = None
        self.last_dose: dict[str, Dose] = {}
        self.settled: dict[str, datetime] = {}
        self._left_out: dict[str, DecisionRecord] = {}  # by conditions; they keep their places
        self._latest: dict[Sensor, Latest] = {}  # the last word of each
        self._believed: dict[Sensor, Latest] = {}  # and the last that had a value to show
        self._rain: tuple[str, float] = ("", 0.0)  # farm-local day, mm
        self._probes: dict[Sensor, list[str]] = {}
        self._dirty: set[tuple[str, str]] = set()
        self._told: dict[tuple[str, str], Any] = {}
        self.set_farm(farm)

    # --- what is said to it ---

    def set_farm(self, farm: FarmRecord) -> None:
        """People have changed the farm."""
        gone = {zone.id for zone in self.farm.zones} - {zone.id for zone in farm.zones}
        self.farm = farm
        self._probes = {}
        for zone in farm.zones:
            for sensor in probes(farm.id, zone):
                self._probes.setdefault(sensor, []).append(zone.id)
        self.touch("farm", "hold", "sources")
        self._dirty |= {("zones", zone_id) for zone_id in gone}
        self.touch_all("zones", "nodes")

    def touch(self, *names: str) -> None:
        """These single values may have changed."""
        self._dirty |= {(name, "") for name in names}

    def touch_all(self, *sections: Section) -> None:
        """Anything in these may have changed."""
        for section in sections:
            self._dirty |= {(section, key) for key in self._keys(section)}

    def put_run(self, run: RunRecord) -> None:
        """A run is new, or has changed."""
        self.runs[run.id] = run
        if run.entry_id is not None:
            self.settled[run.entry_id] = run.asked_at
        if run.origin == "person":
            latest = [one for one in self.runs.values() if one.zone_id == run.zone_id and one.origin == "person"]
            if all(one.asked_at <= run.asked_at for one in latest):
                self.last_dose[run.zone_id] = run.dose
        if run.state not in UNDER_WAY:
            self.progress.pop(run.id, None)
        self._dirty |= {("runs", run.id), ("zones", run.zone_id)}

    def put_alert(self, alert: AlertRecord) -> None:
        """An alert is new, or has changed; a cleared one goes."""
        if alert.cleared_at is None:
            self.alerts[alert.id] = alert
        else:
            self.alerts.pop(alert.id, None)
        self._dirty.add(("alerts", alert.id))

    def has_valve(self, node_id: str, channel: str) -> bool:
        """Whether a zone or a board knows of that valve."""
        return any(valve["channel"] == channel for valve in self._node(node_id)["valves"])

    def put_reset(self, reset: ResetRecord) -> None:
        """Somebody asked to unlock a valve, or it was refused."""
        self.resets[reset.node_id, reset.channel] = reset
        self._dirty.add(("nodes", reset.node_id))

    def reset_of(self, command_id: str) -> ResetRecord | None:
        """What was asked by that order; None when something else was asked since."""
        return next((one for one in self.resets.values() if one.command_id == command_id), None)

    def drop_reset(self, reset: ResetRecord) -> None:
        """It is unlocked: nothing more to tell of the asking."""
        self.resets.pop((reset.node_id, reset.channel), None)
        self._dirty.add(("nodes", reset.node_id))

    def put_decision(self, decision: DecisionRecord) -> None:
        """A due watering is settled."""
        self.settled[decision.id] = decision.due
        if decision.params.keys() >= {"start", "until"}:
            self._left_out[decision.id] = decision
        self._dirty.add(("zones", decision.zone_id))

    def put_reading(self, latest: Latest) -> None:
        """A sensor was heard, now or (at the start) before."""
        known = self._latest.get(latest.sensor)
        if known is not None and known.at > latest.at:
            return
        self._latest[latest.sensor] = latest
        if latest.value is not None and latest.quality in _SHOWN:
            self._believed[latest.sensor] = latest
        if latest.sensor.quantity is Quantity.SOIL_MOISTURE:
            self._dirty |= {("zones", zone_id) for zone_id in self._probes.get(latest.sensor, ())}
        elif latest.sensor.quantity in (Quantity.AIR_TEMPERATURE, Quantity.RAIN):
            self.touch("weather")

    def readings(self, sender: str, readings: tuple[Reading, ...], now: datetime) -> None:
        """Readings have been stored."""
        last: dict[tuple[str, str, Quantity], Reading] = {}
        for reading in readings:
            key = (reading.node_id or sender, reading.sensor, reading.quantity)
            last[key] = reading
            if reading.quantity is Quantity.RAIN and reading.quality in _SHOWN and reading.value is not None:
                self.add_rain(reading.at, reading.value, now)
        for (node_id, sensor_id, quantity), reading in last.items():
            sensor = Sensor(farm_id=self.farm.id, node_id=node_id, sensor=sensor_id, quantity=quantity)
            self.put_reading(
                Latest(
                    sensor=sensor, value=reading.value, at=reading.at, quality=reading.quality, reason=reading.reason
                )
            )  # fmt: skip

    def add_rain(self, at: datetime, depth_mm: float, now: datetime) -> None:
        """Rain has fallen; only today's counts."""
        if self._day(at) != self._day(now):
            return
        day, fallen = self._rain
        self._rain = (self._day(now), depth_mm + (fallen if day == self._day(now) else 0.0))
        self.touch("weather")

    def gateway(self, *, online: bool | None, heard_at: datetime | None) -> None:
        """The gateway was heard, or its death was reported."""
        if heard_at is not None:
            self.gateway_heard = heard_at
        if online is not None and online is not self.gateway_online:
            self.gateway_online = online
            self.touch_all("nodes")
            self.touch("link")

    def state(self, state: FarmState) -> None:
        """The gateway's snapshot of its boards."""
        known, self.nodes = self.nodes, {report.node_id: report for report in state.nodes}
        for node_id in known.keys() | self.nodes.keys():
            if known.get(node_id) != self.nodes.get(node_id):
                self._dirty.add(("nodes", node_id))
        for asked in list(self.resets.values()):
            valves_now = known_valves(self.nodes.get(asked.node_id))
            if asked.refused is None and asked.channel in valves_now and valves_now[asked.channel].quarantine is None:
                self.drop_reset(asked)
        before = self.progress
        valves = (valve for report in state.nodes if report.state is not None for valve in report.state.valves)
        self.progress = {valve.run.run_id: valve.run for valve in valves if valve.run is not None}
        for run_id in before.keys() | self.progress.keys():
            if run_id in self.runs and before.get(run_id) != self.progress.get(run_id):
                self._dirty.add(("runs", run_id))

    def set_plan(self, plan: Timetable) -> None:
        """The gateway has compiled a timetable."""
        self.plan = plan
        self.touch_all("zones")
        self._dirty |= {("runs", run.id) for run in self.runs.values() if run.state is RunState.QUEUED}

    def tidy(self, now: datetime) -> None:
        """Forget what is no longer shown, and look again at what the passing of time changes."""
        for run in list(self.runs.values()):
            if run.ended_at is not None and run.ended_at < now - SHOWN_AFTER_END:
                del self.runs[run.id]
                self._dirty.add(("runs", run.id))
        self.settled = {key: at for key, at in self.settled.items() if at > now - timedelta(days=3)}
        self._left_out = {key: one for key, one in self._left_out.items() if key in self.settled}
        self.touch("hold", "weather", "link")
        self.touch_all("zones")

    # --- what it says ---

    def snapshot(self, now: datetime) -> Json:
        """Everything."""
        whole: Json = {"at": shapes.iso(now)}
        for name in ("farm", "link", "hold", "weather", "sources"):
            whole[name] = self._value(name, "", now)
        for section in ("zones", "runs", "nodes", "alerts"):
            whole[section] = {key: self._value(section, key, now) for key in self._keys(section)}
        return whole

    @property
    def changed(self) -> bool:
        """Whether there may be something to tell."""
        return bool(self._dirty)

    def delta(self, now: datetime) -> Json | None:
        """What has changed since the last call: whole things by key, null for what is gone; None when nothing has."""
        dirty, self._dirty = self._dirty, set()
        delta: Json = {}
        for section, key in sorted(dirty):
            value = self._value(section, key, now)
            if self._told.get((section, key), _NEVER) == value:
                continue
            self._told[section, key] = value
            if value is None and section in _SECTIONS:
                del self._told[section, key]
            if section in _SECTIONS:
                delta.setdefault(section, {})[key] = value
            else:
                delta[section] = value
        return {"at": shapes.iso(now)} | delta if delta else None

    def plan_state(self, now: datetime) -> PlanState:
        """What has happened, as the planner takes it."""
        flows = {zone.id: zone.flow_l_min for zone in self.farm.zones}
        active = tuple(
            ActiveRun(
                zone_id=run.zone_id, flow_l_min=flows.get(run.zone_id, 0.0), entry_id=run.entry_id,
                until=max(run.closes_at or (run.opened_at or run.asked_at) + timedelta(seconds=run.max_s), now),
            )
            for run in self.runs.values() if run.state in UNDER_WAY and run.state is not RunState.QUEUED
        )  # fmt: skip
        mine = [run for run in self.runs.values() if run.entry_id is not None]
        begun = [entry for entry in (self.plan.entries if self.plan else ()) if entry.id in self.settled]

        def of_begun(name: str) -> dict[str, float]:
            return {each.id: value for each in begun if isinstance(value := each.params.get(name), float)}

        state = PlanState(
            active=active, settled=frozenset(self.settled),
            ended={run.entry_id: run.ended_at for run in mine if run.entry_id and run.ended_at},
            shortened_pct=of_begun("shortened_pct"),
            owed_s=of_begun("owed_s"),
            known=(self.plan.known if self.plan else None) or Knowledge(),
        )  # fmt: skip
        return with_left_out(state, self._left_out.values(), self.farm.zones, now)

    def run_of_zone(self, zone_id: str) -> RunRecord | None:
        """The run under way in a zone; of several (an order while another runs) the one that has got furthest."""
        own = [run for run in self.runs.values() if run.zone_id == zone_id and run.state in UNDER_WAY]
        return max(
            own, key=lambda run: (run.opened_at is not None, run.state not in _NOT_BEGUN, run.asked_at), default=None
        )

    def run_shape(self, run: RunRecord) -> Json:
        """A run with what its board said of it last."""
        return shapes.run(run, self.progress.get(run.id), runs.turn(run, self.plan))

    # --- parts ---

    def _keys(self, section: str) -> list[str]:
        match section:
            case "zones":
                return [zone.id for zone in self.farm.zones]
            case "runs":
                return list(self.runs)
            case "nodes":
                return sorted(
                    {zone.node_id for zone in self.farm.zones} | self.farm.node_names.keys() | self.nodes.keys()
                )
            case _:
                return list(self.alerts)

    def _value(self, section: str, key: str, now: datetime) -> Any:
        match section:
            case "zones":
                zone = next((zone for zone in self.farm.zones if zone.id == key), None)
                return None if zone is None else self._zone(zone, now)
            case "runs":
                return self.run_shape(self.runs[key]) if key in self.runs else None
            case "nodes":
                return None if key not in self._keys("nodes") else self._node(key)
            case "alerts":
                return shapes.alert(self.alerts[key]) if key in self.alerts else None
            case "farm":
                return shapes.farm(self.farm)
            case "link":
                return {"gateway_online": self.gateway_online, "last_heard": shapes.iso(self.gateway_heard)}
            case "hold":
                held = self.farm.hold
                return shapes.hold(held if held is not None and (held.emergency or held.until > now) else None)
            case "weather":
                return self._weather(now)
            case _:
                return {
                    source.id: {"id": source.id, "name": source.name, "capacity_l_min": source.capacity_l_min}
                    for source in self.farm.sources
                }

    def _node(self, node_id: str) -> Json:
        return shapes.node(
            node_id, self.farm.node_names.get(node_id, node_id), self.farm.zones, self.nodes.get(node_id),
            {reset.channel: reset for reset in self.resets.values() if reset.node_id == node_id},
            gateway_online=self.gateway_online,
        )  # fmt: skip

    def _zone(self, zone: Zone, now: datetime) -> Json:
        run = self.run_of_zone(zone.id)
        dose = self.last_dose.get(zone.id)
        return {
            "id": zone.id, "name": zone.name, "crop": zone.crop, "area_m2": zone.area_m2, "emitters": zone.emitters,
            "node_id": zone.node_id, "channel": zone.channel, "source_id": zone.source_id,
            "flow_l_min": zone.flow_l_min, "has_meter": zone.has_meter, "max_run_s": zone.max_run_s,
            "moisture_low_pct": zone.moisture_low_pct, "moisture_high_pct": zone.moisture_high_pct,
            "moisture": self._moisture(zone, now), "report_every_s": self.farm.report_every_s,
            "next": self._next(zone, now), "last_dose": None if dose is None else dose_body(dose),
            "run_id": None if run is None else run.id,
        }  # fmt: skip

    def _moisture(self, zone: Zone, now: datetime) -> Json | None:
        """What the ground holds by the best that its probes said last; by a bad one, what was believed before it."""
        own = [sensor for sensor in probes(self.farm.id, zone) if sensor in self._latest]
        if not own:
            return None
        said = [self._latest[sensor] for sensor in own]
        too_old = _GONE_AFTER_INTERVALS * timedelta(seconds=self.farm.report_every_s)
        newest = max(said, key=lambda one: one.at)
        heard = [one for one in said if one.at >= newest.at - too_old]
        quality = next((q for q in _SHOWN if any(one.quality is q for one in heard)), newest.quality)
        used = [one for one in heard if one.quality is quality]
        values = used if quality in _SHOWN else [self._believed[s] for s in own if s in self._believed]
        at = max((one.at for one in values), default=newest.at)
        reason = max(used, key=lambda one: one.at).reason
        if quality in _SHOWN and at < now - too_old:
            quality, reason = Quality.STALE, "too-old"
        return {
            "value": round(median(one.value or 0.0 for one in values), 1) if values else None, "at": shapes.iso(at),
            "quality": quality.value, "reason": reason, "sensors": len(values),
        }  # fmt: skip

    def _next(self, zone: Zone, now: datetime) -> Json | None:
        entries = () if self.plan is None else self.plan.entries
        coming = [e for e in entries if e.zone_id == zone.id and e.start > now and e.id not in self.settled]
        if not coming:
            return None
        entry = min(coming, key=lambda one: one.start)
        return {
            "entry_id": entry.id, "start": shapes.iso(entry.start), "duration_s": shapes.duration_s(entry, zone),
            "program_id": entry.program_id, "rule": entry.rule.value, "params": entry.params,
        }  # fmt: skip

    def _weather(self, now: datetime) -> Json | None:
        air = [one for sensor, one in self._believed.items() if sensor.quantity is Quantity.AIR_TEMPERATURE]
        rain = [one for sensor, one in self._believed.items() if sensor.quantity is Quantity.RAIN]
        if not air and not rain:
            return None
        day, fallen = self._rain
        newest = max(air, key=lambda one: one.at, default=None)
        return {
            "rain_mm_today": round(fallen if day == self._day(now) else 0.0, 1) if rain else None,
            "air_temperature_c": None if newest is None or newest.value is None else round(newest.value, 1),
            "at": shapes.iso(max(one.at for one in air + rain)),
        }

    def _day(self, at: datetime) -> str:
        return at.astimezone(ZoneInfo(self.farm.tz)).date().isoformat()


def probes(farm_id: str, zone: Zone, quantity: Quantity = Quantity.SOIL_MOISTURE) -> list[Sensor]:
    """The soil probes of a zone, by one of the quantities that such a probe may tell."""
    return [Sensor(farm_id=farm_id, node_id=zone.node_id, sensor=sensor, quantity=quantity) for sensor in zone.sensors]


def known_valves(report: NodeReport | None) -> dict[str, ValveReport]:
    """What a board last said of its valves, by channel."""
    return {} if report is None or report.state is None else {valve.channel: valve for valve in report.state.valves}


def local_midnight(farm: FarmRecord, now: datetime) -> datetime:
    """When the farm's today began, in UTC."""
    local = now.astimezone(ZoneInfo(farm.tz)).replace(hour=0, minute=0, second=0, microsecond=0)
    return local.astimezone(UTC)


_NEVER = object()
_NOT_BEGUN = frozenset({RunState.ASKED, RunState.QUEUED})
_SHOWN = (Quality.GOOD, Quality.SUSPECT)  # the better first
_SECTIONS = frozenset({"zones", "runs", "nodes", "alerts"})
