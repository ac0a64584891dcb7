"""What a board is asked to do with one valve, from a person, a timetable entry or the base plan."""

from dataclasses import dataclass
from datetime import datetime

from contract.messages import Open, Origin
from irrigation.model import Dose, Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One watering: `max_s` is the lease in s. `expires_at` is None for what the board's own plan asks for."""

    run_id: str
    zone_id: str
    channel: str
    dose: Dose
    max_s: float
    actor: str
    origin: Origin
    expires_at: datetime | None = None
    entry_id: str | None = None
    program_id: str | None = None


def from_command(command: Open) -> Order:
    """Return the order of an Open that has its channel and lease."""
    if command.channel is None or command.max_s is None:
        raise ValueError("an Open to a board names its channel and max_s")
    return Order(
        run_id=command.run_id,
        zone_id=command.zone_id,
        channel=command.channel,
        dose=command.dose,
        max_s=command.max_s,
        actor=command.actor,
        origin=command.origin,
        expires_at=command.expires_at,
        program_id=command.program_id,
    )


def from_entry(entry: Entry, origin: Origin) -> Order:
    """Return the order of a due watering; its run id follows from the entry's id."""
    return Order(
        run_id=f"run-{entry.id}"[:80],
        zone_id=entry.zone_id,
        channel=entry.channel,
        dose=entry.dose,
        max_s=entry.max_s,
        actor=f"program:{entry.program_id}",
        origin=origin,
        entry_id=entry.id,
        program_id=entry.program_id,
    )
