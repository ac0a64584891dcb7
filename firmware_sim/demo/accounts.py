"""The people of the demo, with passwords that can be read out across a yard."""

import json
import secrets
from dataclasses import asdict, dataclass

from firmware_sim.demo.places import Places, write_json

_WORDS = (  # noqa: SIM905 - one word a line is worse
    "bap ben bo bup cam cau chim chuoi co da dau doi dua gio gung hoa lua mai man mat may mit "
    "mua nang nep nhan nui oi ong phin que rau rung sao sen suoi suong tam tao tra tre trang vai xoai"
).split()


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who can sign in."""

    role: str
    name: str
    password: str
    display_name: str


def people(places: Places) -> tuple[Person, ...]:
    """Return the demo's people; their passwords are chosen once and kept in the folder."""
    if not places.accounts.exists():
        chosen = (("farmer", "mai", "Chị Mai"), ("technician", "tuan", "Anh Tuấn"), ("manager", "hoa", "Cô Hoa"))
        made = [Person(role, name, _password(), display_name) for role, name, display_name in chosen]
        write_json(places.accounts, [asdict(person) for person in made])
    return tuple(Person(**person) for person in json.loads(places.accounts.read_text(encoding="utf-8")))


def _password() -> str:
    words = "-".join(secrets.choice(_WORDS) for _ in range(3))
    return f"{words}-{secrets.randbelow(90) + 10}"
