"""`python -m firmware_sim.demo.seed DATA DAYS`: sets up farm and people, lives the history. A process of its own.

First it lives the days and leaves the ground's state for the field, saying `ground`; then it stores what was measured
and happened through the server's own ingest, and says `done`. A seed that was cut off is begun anew.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from contract.settings import load_toml
from contract.store import open_database
from edge.app import DATABASE
from edge.config import load_board
from edge.store import Store
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
        _set_meters(places, settings, past)
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


def _set_meters(places: Places, settings: FieldSettings, past: Past) -> None:
    """Let the boards' meters go on from where the history ended, as those of boards that were there would."""
    for board in (load_board(places.config(part.node)) for part in settings.boards):
        metered = {
            zone.channel: zone.id for zone in past.farm.zones if zone.node_id == board.node_id and zone.has_meter
        }
        litres = {channel: past.world.pipes[zone_id].litres for channel, zone_id in metered.items()}
        board.state_dir.mkdir(exist_ok=True)
        db = open_database(board.state_dir / DATABASE)
        Store(db).note("litres", dict[str, float], litres)
        db.close()


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
