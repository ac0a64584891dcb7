"""Every message on the wire as a strict, frozen model. Golden files in tests/contract/golden pin each of them.

Unknown fields, NaN, infinities and wrong types are refused. Times are aware UTC. Ids are slugs or short tokens.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from irrigation.model import Decision, Dose, Entry, Farm, Timetable
from irrigation.queue import QUEUE_LIFE, QueuePolicy
from irrigation.run import RunState


def _utc(value: datetime) -> datetime:
    if value.utcoffset() != timedelta(0):
        raise ValueError("time must be UTC, as in 2026-11-23T05:30:00Z")
    return value.astimezone(UTC)


Utc = Annotated[AwareDatetime, AfterValidator(_utc)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_:.-]{1,80}$")]  # run, command, boot and entry ids
Text = Annotated[str, Field(max_length=200)]
Seq = Annotated[int, Field(ge=1, le=2**53 - 1)]  # what every JSON reader takes for an exact integer
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Params = dict[Annotated[str, Field(max_length=40)], float | Text]

MAX_BATCH = 2000
MAX_COMMAND_LIFE = timedelta(minutes=5)
MAX_QUEUED = 200


class Wire(BaseModel):
    """What all messages share: strict types, no unknown field, immutable, finite numbers."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


# --- birth, death, capabilities -------------------------------------------------------------------------------------


class Status(Wire):
    """Birth and death (the latter as last will). `boot_id` is new at every start of the process."""

    online: bool
    boot_id: Token
    at: Utc
    software: Text = ""


class ChannelInfo(Wire):
    """A valve output that the node has. `max_open_s` is the hard cap of the board's own configuration."""

    channel: Slug
    has_meter: bool
    max_open_s: Seconds


class SensorInfo(Wire):
    """A sensor that the node has."""

    sensor: Slug
    quantity: "Quantity"


class Hello(Wire):
    """Said at every connection: what the node has and which versions it holds (0 = none)."""

    boot_id: Token
    at: Utc
    clock_trusted: bool
    software: Text
    channels: tuple[ChannelInfo, ...] = ()
    sensors: tuple[SensorInfo, ...] = ()
    config_version: Count = 0
    timetable_version: Count = 0


# --- measured and happened ------------------------------------------------------------------------------------------


class Quantity(StrEnum):
    """What is measured; `UNIT` has the unit of each."""

    SOIL_MOISTURE = "soil_moisture"  # volumetric
    SOIL_TEMPERATURE = "soil_temperature"
    SOIL_EC = "soil_ec"  # bulk electrical conductivity: of soil, water and air together
    FLOW = "flow"
    VOLUME = "volume"  # monotone counter of litres
    BATTERY = "battery"  # the supply
    AIR_TEMPERATURE = "air_temperature"
    RAIN = "rain"  # depth fallen since the last reading
    WIND = "wind"  # mean since the last reading
    LEVEL = "level"  # of a source, full = 100


UNIT: dict[Quantity, str] = {
    Quantity.SOIL_MOISTURE: "%",
    Quantity.SOIL_TEMPERATURE: "degC",
    Quantity.SOIL_EC: "dS/m",
    Quantity.FLOW: "L/min",
    Quantity.VOLUME: "L",
    Quantity.BATTERY: "V",
    Quantity.AIR_TEMPERATURE: "degC",
    Quantity.RAIN: "mm",
    Quantity.WIND: "m/s",
    Quantity.LEVEL: "%",
}


class Quality(StrEnum):
    """How far a reading can be trusted. Only good ones may decide about water; bad and stale ones are no history."""

    GOOD = "good"
    SUSPECT = "suspect"  # shown, with its doubt
    BAD = "bad"  # the instrument is known to be wrong, or says nothing
    STALE = "stale"  # it was true once: too old to be now


_GOOD = Quality.GOOD
_MAY_LACK_VALUE = (Quality.BAD, Quality.STALE)


class Lane(StrEnum):
    """A stream of records with its own sequence. Events overtake readings, so that news is not behind a backlog."""

    EVENTS = "events"
    READINGS = "readings"


class Reading(Wire):
    """One measured value. `node_id` is the origin when another node passes it on; absent = the sender.

    `raw` is what the instrument said, in `raw_unit`, before any calibration. `value` is absent when there is none to
    tell: an instrument that does not answer. `temperature_c` and `supply_v` are what the probe and the board had then.
    """

    seq: Seq
    node_id: Slug | None = None
    sensor: Slug
    quantity: Quantity
    value: float | None = None
    unit: Text
    at: Utc
    quality: Quality = Quality.GOOD
    reason: Token | None = None  # a stable code, of every reading that is not good
    raw: float | None = None
    raw_unit: Text | None = None
    temperature_c: float | None = None
    supply_v: float | None = None
    clock_trusted: bool = True

    @model_validator(mode="after")
    def _makes_sense(self) -> "Reading":  # in one, because there are many readings
        if self.unit != UNIT[self.quantity]:
            raise ValueError(f"unit of {self.quantity} must be {UNIT[self.quantity]!r}, not {self.unit!r}")
        if self.quality is not _GOOD and self.reason is None:
            raise ValueError(f"a {self.quality} reading must say why: reason is missing")
        if self.value is None and self.quality not in _MAY_LACK_VALUE:
            raise ValueError(f"a {self.quality} reading must have a value")
        if (self.raw is None) is not (self.raw_unit is None):
            raise ValueError("raw and raw_unit go together")
        return self


class Reason(Wire):
    """Why a run was refused, cut short or failed: a stable code for the app's sentence, and its numbers."""

    code: Token
    params: Params = {}


class Origin(StrEnum):
    """Who wanted the water."""

    PERSON = "person"
    PROGRAM = "program"
    BASE_PLAN = "base_plan"


class _Happened(Wire):
    seq: Seq
    node_id: Slug | None = None
    at: Utc
    clock_trusted: bool = True


class RunEvent(_Happened):
    """A run reached `state`. `litres` is what the meter counted since it opened; None without a meter."""

    kind: Literal["run"] = "run"
    run_id: Token
    zone_id: Slug
    channel: Slug
    state: RunState
    origin: Origin
    actor: Text
    dose: Dose
    max_s: Seconds
    entry_id: Token | None = None
    program_id: Slug | None = None
    opened_at: Utc | None = None
    closes_at: Utc | None = None
    litres: float | None = None
    open_s: float | None = None  # monotonic seconds that the valve was open
    reason: Reason | None = None


class GapEvent(_Happened):
    """Readings that were thinned out of a full outbox: how many, from when to when."""

    kind: Literal["gap"] = "gap"
    count: Seq
    first_at: Utc
    last_at: Utc


class DecisionEvent(_Happened):
    """What became of a due watering, and why."""

    kind: Literal["decision"] = "decision"
    decision: Decision


class FaultEvent(_Happened):
    """Something that a person must know about (`cleared=False`), or its end (`cleared=True`)."""

    kind: Literal["fault"] = "fault"
    code: Token  # of a valve: edge.control.faults.Fault; guard-lost, probe-bad, database-replaced, ...
    channel: Slug | None = None
    zone_id: Slug | None = None
    cleared: bool = False
    params: Params = {}


class BootEvent(_Happened):
    """The process started; `why` is start, crash or power when it can tell."""

    kind: Literal["boot"] = "boot"
    boot_id: Token
    why: Text = "start"


Event = Annotated[RunEvent | GapEvent | DecisionEvent | FaultEvent | BootEvent, Field(discriminator="kind")]


class Batch(Wire):
    """Records of one lane, in order. `after_seq` is the record just before them in the sender's store.

    A receiver that holds less than `after_seq` has missed some: it stores nothing and acknowledges what it holds, so
    that the sender goes back. Records that it holds already are passed over. That makes repeated and shuffled batches
    harmless.
    """

    boot_id: Token
    lane: Lane
    after_seq: Count
    readings: Annotated[tuple[Reading, ...], Field(max_length=MAX_BATCH)] = ()
    events: Annotated[tuple[Event, ...], Field(max_length=MAX_BATCH)] = ()

    @model_validator(mode="after")
    def _in_order(self) -> "Batch":
        if self.readings if self.lane is Lane.EVENTS else self.events:
            raise ValueError(f"a batch of lane {self.lane} holds {self.lane} only")
        last = self.after_seq
        for record in self.records:
            if record.seq <= last:
                raise ValueError(f"seq must rise: {record.seq} stands after {last}")
            last = record.seq
        if last == self.after_seq:
            raise ValueError("a batch holds at least one record")
        return self

    @property
    def records(self) -> tuple[Reading, ...] | tuple[Event, ...]:
        """The records of the batch's lane."""
        return self.readings if self.lane is Lane.READINGS else self.events


class Ack(Wire):
    """The receiver has committed everything of (`boot_id`, `lane`) up to `seq`; 0 = nothing.

    With `resume` it is a greeting: the receiver has just come to hear of the sender, and whatever is on its way in any
    lane found nobody and is to be sent again. `at` is the receiver's time, if its clock can be believed.
    """

    boot_id: Token
    lane: Lane
    seq: Count
    resume: bool = False
    at: Utc | None = None


# --- now ------------------------------------------------------------------------------------------------------------


class RunProgress(Wire):
    """A run under way as the board knows it now. `flow_l_min` is measured; None without a meter."""

    run_id: Token
    zone_id: Slug
    state: RunState
    origin: Origin
    actor: Text
    dose: Dose
    max_s: Seconds
    opened_at: Utc | None = None
    closes_at: Utc | None = None
    litres: float | None = None
    flow_l_min: float | None = None
    entry_id: Token | None = None
    program_id: Slug | None = None


class ValvePosition(StrEnum):
    """What the guard reports of an output."""

    CLOSED = "closed"
    OPEN = "open"
    CLOSING = "closing"
    CLOSE_FAILED = "close_failed"
    UNKNOWN = "unknown"  # the guard does not answer


class ValveReport(Wire):
    """One output. `position` is the guard's word, but a valve that its meter shows running on is `close_failed`.

    `quarantine` says for which fault (`code`) and since when (`params`) nothing opens it before a person's reset.
    """

    channel: Slug
    zone_id: Slug | None = None
    position: ValvePosition
    run: RunProgress | None = None
    quarantine: Reason | None = None


class PlanSource(StrEnum):
    """By what a board waters now."""

    TIMETABLE = "timetable"
    BASE = "base"
    FALLBACK = "fallback"  # the clock cannot be believed: either of them, by the last known time and what passed since
    NONE = "none"


class NodeState(Wire):
    """Snapshot of one board, retained on its `state` topic."""

    kind: Literal["node"] = "node"
    boot_id: Token
    at: Utc
    clock_trusted: bool
    software: Text = ""
    valves: tuple[ValveReport, ...]
    plan: PlanSource
    config_version: Count
    timetable_version: Count
    valid_until: Utc | None = None
    outbox_events: Count = 0
    outbox_readings: Count = 0
    battery_v: float | None = None


class NodeReport(Wire):
    """What the gateway knows of a board: whether it hears it, since when, and the board's last own snapshot."""

    node_id: Slug
    online: bool
    last_heard: Utc | None = None
    state: NodeState | None = None


class FarmState(Wire):
    """Snapshot of the gateway, retained on its `state` topic: its boards, and the runs that it has asked of them."""

    kind: Literal["farm"] = "farm"
    boot_id: Token
    at: Utc
    clock_trusted: bool
    software: Text = ""
    nodes: tuple[NodeReport, ...]
    config_version: Count
    timetable_version: Count
    valid_until: Utc | None = None
    outbox_events: Count = 0
    outbox_readings: Count = 0


State = Annotated[NodeState | FarmState, Field(discriminator="kind")]


# --- orders ---------------------------------------------------------------------------------------------------------


class _Order(Wire):
    id: Token
    issued_at: Utc
    expires_at: Utc
    actor: Text

    @model_validator(mode="after")
    def _expires(self) -> "_Order":
        if not timedelta(0) < self.expires_at - self.issued_at <= MAX_COMMAND_LIFE:
            raise ValueError("expires_at must be after issued_at by 5 minutes at most")
        return self


class Open(_Order):
    """Water a zone. To a board, `channel` names the valve and `max_s` is the lease; the gateway needs neither."""

    kind: Literal["open"] = "open"
    run_id: Token
    zone_id: Slug
    dose: Dose
    channel: Slug | None = None
    max_s: Seconds | None = None
    origin: Origin = Origin.PERSON
    program_id: Slug | None = None


class QueuedPart(Wire):
    """One watering to queue: not before `soak_s` have passed since the end of the run `after` which it is a next part.

    And not before `pause_s` have passed since the end of the run that it stands `behind`. Both are of the same order.
    """

    run_id: Token
    zone_id: Slug
    dose: Dose
    after: Token | None = None
    soak_s: Annotated[int, Field(ge=0, le=86_400)] = 0
    behind: Token | None = None
    pause_s: Annotated[int, Field(ge=0, le=3600)] = 0


class Enqueue(_Order):
    """Water these zones when their source has room for them: all of them are taken or none.

    Each begins by `give_up_at` or not at all. To the gateway only; a board gets an `Open` when the time has come.
    """

    kind: Literal["enqueue"] = "enqueue"
    policy: QueuePolicy
    parts: Annotated[tuple[QueuedPart, ...], Field(min_length=1, max_length=MAX_QUEUED)]
    give_up_at: Utc
    program_id: Slug | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "Enqueue":
        if not timedelta(0) < self.give_up_at - self.issued_at <= QUEUE_LIFE:
            raise ValueError("give_up_at must be after issued_at by 6 hours at most")
        known: set[str] = set()
        for part in self.parts:
            before = {run_id for run_id in (part.after, part.behind) if run_id is not None}
            if part.run_id in known or not before <= known:
                raise ValueError(
                    f"parts must each have a run_id of their own and come after one before them: {part.run_id}"
                )
            known.add(part.run_id)
        return self


class Close(_Order):
    """End one run: a desired state, so it is right whether or not the run is still open."""

    kind: Literal["close"] = "close"
    run_id: Token


class CloseAll(_Order):
    """Close every valve, and refuse what is waiting."""

    kind: Literal["close-all"] = "close-all"


class Pulse(_Order):
    """Open a valve for 1 to 5 s, so that a technician can hear which one it is.

    To the gateway, `node_id` names the board; a board needs none.
    """

    kind: Literal["pulse"] = "pulse"
    node_id: Slug | None = None
    channel: Slug
    seconds: Annotated[float, Field(ge=1, le=5)]


class Reset(_Order):
    """Let a valve open again that faults have locked. To the gateway, `node_id` names the board."""

    kind: Literal["reset"] = "reset"
    channel: Slug
    node_id: Slug | None = None


class Restart(_Order):
    """Start the process anew; refused while watering."""

    kind: Literal["restart"] = "restart"


Command = Annotated[Open | Enqueue | Close | CloseAll | Pulse | Reset | Restart, Field(discriminator="kind")]


class Outcome(StrEnum):
    """What became of a command."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DONE = "done"
    FAILED = "failed"


class Reply(Wire):
    """The answer to a command: accepted or refused and why; then its end. A repeated command gets the same answer."""

    command_id: Token
    at: Utc
    outcome: Outcome
    reason: Reason | None = None


# --- configuration and plan -----------------------------------------------------------------------------------------


class ChannelSettings(Wire):
    """What a board must know of the zone behind a valve. It can lower the board's own cap, never raise it.

    `source_l_min` is what the zone's source gives: a meter that counts far more counts no water. `dry_after_s` is for
    how long its pump may run without water.
    """

    channel: Slug
    zone_id: Slug
    max_run_s: Seconds
    flow_l_min: Annotated[float, Field(gt=0)]
    source_l_min: Annotated[float, Field(gt=0)] | None = None
    dry_after_s: Annotated[int, Field(ge=5, le=3600)] | None = None
    sensors: tuple[Slug, ...] = ()


class NodeConfig(Wire):
    """The farm's settings for one board."""

    kind: Literal["node"] = "node"
    version: Count
    tz: Text
    channels: tuple[ChannelSettings, ...]
    report_every_s: Annotated[float, Field(ge=1, le=86_400)] = 60


class FarmConfig(Wire):
    """What people have decided for the farm: the gateway's whole knowledge of sources, zones, programs and hold."""

    kind: Literal["farm"] = "farm"
    version: Count
    farm: Farm


Config = Annotated[NodeConfig | FarmConfig, Field(discriminator="kind")]

__all__ = ["Decision", "Dose", "Entry", "Timetable"]  # part of the wire, defined in irrigation.model
