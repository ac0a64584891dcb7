"""One suite for every ledger: SQLite, and a real PostgreSQL. One schema by steps and by tables; farms set up and set up again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select

from contract.messages import Ack, Lane
from irrigation.model import Dose
from irrigation.run import RunState
from server.farms import load_farm
from server.ingest import Ingest
from server.ledger import accounts, farms, history
from server.ledger.database import Ledger
from server.ledger.tables import audit, metadata
from server.records import Account, AlertRecord, Role, RunRecord, StopAllRecord
from server.series.memory import MemorySeries
from tests.unit.server.coop import FARM_FILE, NOW
from tests.unit.server.test_ingest import events

pytestmark = pytest.mark.real


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger, brought up to date."""
    sqlite = request.param == "sqlite"
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}" if sqlite else request.getfixturevalue("postgres_url"))
    made.migrate()
    yield made
    made.close()


def test_the_steps_lead_to_the_tables(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []
    ledger.migrate()  # again changes nothing


def test_what_raises_is_undone(ledger: Ledger) -> None:
    row = {"at": NOW, "account": "mai", "act": "x", "subject": "y", "detail": {}}
    with pytest.raises(RuntimeError), ledger.begin() as tx:
        tx.execute(insert(audit).values(row))
        raise RuntimeError
    with ledger.read() as connection:
        assert connection.execute(select(audit)).all() == []


def test_times_come_back_aware_and_naive_ones_are_refused(ledger: Ledger) -> None:
    hanoi = datetime(2026, 11, 23, 12, 0, tzinfo=timezone(timedelta(hours=7)))
    row = {"account": "mai", "act": "x", "subject": "y", "detail": {}}
    with ledger.begin() as tx:
        tx.execute(insert(audit).values(row | {"at": hanoi}))
        assert tx.execute(select(audit.c.at)).scalar() == datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
    with pytest.raises(Exception, match="aware"), ledger.begin() as tx:
        tx.execute(insert(audit).values(row | {"at": datetime(2026, 11, 23)}))  # noqa: DTZ001 - that is the point


# --- what is kept ---------------------------------------------------------------------------------------------------


def run(run_id: str, at: datetime = NOW, state: RunState = RunState.ASKED) -> RunRecord:
    return RunRecord(
        id=run_id, farm_id="mai", zone_id="dau-tay", state=state, dose=Dose(minutes=5), max_s=300.0, actor="mai",
        origin="person", asked_at=at, at=at, has_meter=True, reason_params={"litres": 4.5, "why": "vỡ ống"},
    )  # fmt: skip


def test_a_run_is_added_changed_and_found(ledger: Ledger) -> None:
    load_farm(ledger, FARM_FILE, NOW)
    done = run("run-1", NOW + timedelta(minutes=5), RunState.DONE)
    with ledger.begin() as tx:
        history.put_run(tx, run("run-1"))
        history.put_run(tx, done)
        history.put_run(tx, run("run-2", NOW + timedelta(hours=1)))
    with ledger.read() as connection:
        assert history.run(connection, "run-1") == done
        assert [one.id for one in history.runs_of_zone(connection, "dau-tay", 10)] == ["run-2", "run-1"]
        assert history.last_doses(connection, "mai") == {"dau-tay": Dose(minutes=5)}


def test_a_batch_that_comes_twice_is_stored_once(ledger: Ledger) -> None:
    load_farm(ledger, FARM_FILE, NOW)
    ingest = Ingest(ledger, MemorySeries())
    for _ in range(2):
        assert ingest.batch("mai", events(1, 5)) == Ack(boot_id="g1", lane=Lane.EVENTS, seq=5)
    with ledger.read() as connection:
        assert len(history.runs_of_zone(connection, "dau-tay", 10)) == 5
        assert history.held(connection, "mai", "gateway", "g1", Lane.EVENTS) == 5


def test_keys_alerts_wishes_and_last_words_are_kept_and_replaced(ledger: Ledger) -> None:
    load_farm(ledger, FARM_FILE, NOW)
    alert = AlertRecord(
        id="alert-1", farm_id="mai", kind="no-flow", severity="warning", raised_at=NOW, params={"n": 1.0}
    )
    wish = StopAllRecord(farm_id="mai", id="stop-1", actor="mai", until=NOW)
    with ledger.begin() as tx:
        history.remember(tx, "mai", "key-12345678", "hash", ["run-1"], NOW, NOW - timedelta(days=2))
        history.put_alert(tx, alert)
        history.put_stop_all(tx, wish)
        history.keep_said(tx, "mai", "state", "{}", NOW)
        history.keep_said(tx, "mai", "state", '{"a": 1}', NOW)
    with ledger.begin() as tx:
        assert history.remembered(tx, "mai", "key-12345678") == ("hash", ["run-1"])
        assert history.open_alerts(tx, "mai") == [alert]
        assert history.open_stop_alls(tx) == [wish]
        assert history.said(tx, "mai") == {"state": ('{"a": 1}', NOW)}
        history.remember(tx, "mai", "key-87654321", "hash", [], NOW + timedelta(days=3), NOW + timedelta(days=1))
        history.end_stop_all(tx, "mai")
    with ledger.read() as connection:
        assert history.remembered(connection, "mai", "key-12345678") is None
        assert history.open_stop_alls(connection) == []


def test_a_session_is_its_persons_until_it_expires(ledger: Ledger) -> None:
    load_farm(ledger, FARM_FILE, NOW)
    mai = Account(name="mai", display_name="Mai", role=Role.FARMER, language="vi", farms=frozenset({"mai"}))
    with ledger.begin() as tx:
        accounts.put(tx, mai, "hash", NOW)
        accounts.open_session(tx, "token", "mai", NOW, NOW + timedelta(hours=1))
    with ledger.read() as connection:
        assert accounts.by_session(connection, "token", NOW) == mai
        assert accounts.by_session(connection, "token", NOW + timedelta(hours=1)) is None
        assert accounts.by_session(connection, "other", NOW) is None


# --- farms ----------------------------------------------------------------------------------------------------------


def test_the_example_farm_is_set_up_as_it_is_written(ledger: Ledger) -> None:
    assert load_farm(ledger, FARM_FILE, NOW) == "mai"
    with ledger.read() as connection:
        farm = farms.get(connection, "mai")
    assert farm is not None
    assert (farm.name, farm.cooperative, farm.version) == ("Vườn nhà chị Mai", "HTX Đồi Sương", 1)
    assert {zone.node_id for zone in farm.zones} == set(farm.node_names) == {"board-1", "board-2", "board-3"}
    assert [source.capacity_l_min for source in farm.sources] == [60, 90]
    assert {program.planned.calendar.kind for program in farm.programs} == {"weekly", "every_n_days"}


def test_loading_a_farm_again_keeps_what_people_made_of_its_programs(ledger: Ledger, tmp_path: Path) -> None:
    load_farm(ledger, FARM_FILE, NOW)
    with ledger.begin() as tx:
        farms.delete_program(tx, "doi-tren")
        farm = farms.get(tx, "mai")
        assert farm is not None
        record = next(program for program in farm.programs if program.id == "sang-dau-tay")
        changed = replace(record, version=5, planned=replace(record.planned, name="Sáng sớm", enabled=False, since=NOW))
        farms.put_program(tx, changed)
    text = FARM_FILE.read_text().replace("capacity_l_min = 60", "capacity_l_min = 55")
    (tmp_path / "farm.toml").write_text(text)
    load_farm(ledger, tmp_path / "farm.toml", NOW + timedelta(days=1))
    with ledger.read() as connection:
        farm = farms.get(connection, "mai")
    assert farm is not None
    assert farm.version == 2
    assert farm.sources[0].capacity_l_min == 55
    kept = {program.id: program for program in farm.programs}
    assert kept["sang-dau-tay"] == changed
    assert "doi-tren" not in kept  # the file has it, but people have deleted it
