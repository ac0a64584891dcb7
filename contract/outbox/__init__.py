"""Records on their way: `Outbox` keeps them until the next hop has committed them, `Sender` moves them over a link."""

from contract.outbox.rows import Outbox, Parcel, waiting
from contract.outbox.sender import Publisher, Sender

__all__ = ["Outbox", "Parcel", "Publisher", "Sender", "waiting"]
