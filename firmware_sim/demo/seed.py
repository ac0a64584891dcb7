"""`python -m firmware_sim.demo.seed DATA DAYS`: sets up farm and people, lives the history. A process of its own.

First it lives the days and leaves the ground's state for the field, saying `ground`; then it stores what was measured
and happened through the server's own ingest, and says `done`. A seed that was cut off is begun anew.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from contract.settings import load_toml
from firmware_sim.demo.accounts import people
from firmware_sim.demo.files import farm_file, read_farm
from firmware_sim.demo.places import Places, write_json
from firmware_sim.history import Past, live
from firmware_sim.settings import FieldSettings
from server.accounts import add_account
from server.app import bootstrap
from server.farms import load_farm
from server.records import Role
from server.settings import load_settings


def main(data: Path, days: int) -> int:
    """Seed the demo's folder with that many days; 0 = farm and people only."""
    places, now = Places(data), datetime.now(UTC)
    past: Past | None = None
    if days > 0:
        settings: FieldSettings = load_toml(places.config("field"), FieldSettings)
        past = live(settings, read_farm(farm_file(), now), now, days=days)
        past.world.save(places.field_state)
    _say("ground")
    app = bootstrap(load_settings(places.config("server")))
    try:
        ledger = app.services.ledger
        farm_id = load_farm(ledger, farm_file(), now)
        for person in people(places):
            role = Role(person.role)
            farms = [farm_id] if role is Role.FARMER else []
            add_account(
                ledger,
                name=person.name,
                password=person.password,
                role=role,
                farm_ids=farms,
                now=now,
                display_name=person.display_name,
            )
        for batch in past.batches() if past is not None else ():
            app.ingest.batch(farm_id, batch)
    finally:
        app.close()
    count = 0 if past is None else len(past.readings)
    write_json(places.seeded, {"at": now.isoformat(), "days": days, "readings": count})
    _say(f"done readings={count} events={0 if past is None else len(past.events)}")
    return 0


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
