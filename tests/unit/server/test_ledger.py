"""The ledger: one schema by steps and by tables, its errors translated, farms set up and set up again."""

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select

from contract.errors import ConfigError
from server.errors import Unavailable
from server.farms import load_farm
from server.ledger import farms
from server.ledger.database import Ledger
from server.ledger.tables import audit, metadata
from tests.unit.server.coop import FARM_FILE, NOW, OTHER_FARM


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    made.migrate()
    return made


def test_the_steps_lead_to_the_tables(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []
    ledger.migrate()  # again changes nothing
    ledger.close()


def test_commits_are_durable(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert tx.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    ledger.close()


def test_what_raises_is_undone(ledger: Ledger) -> None:
    row = {"at": NOW, "account": "mai", "act": "x", "subject": "y", "detail": {}}
    with pytest.raises(RuntimeError), ledger.begin() as tx:
        tx.execute(insert(audit).values(row))
        raise RuntimeError
    with ledger.read() as connection:
        assert connection.execute(select(audit)).all() == []
    ledger.close()


def test_times_come_back_aware_and_naive_ones_are_refused(ledger: Ledger) -> None:
    hanoi = datetime(2026, 11, 23, 12, 0, tzinfo=timezone(timedelta(hours=7)))
    row = {"account": "mai", "act": "x", "subject": "y", "detail": {}}
    with ledger.begin() as tx:
        tx.execute(insert(audit).values(row | {"at": hanoi}))
        assert tx.execute(select(audit.c.at)).scalar() == datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
    with pytest.raises(Exception, match="aware"), ledger.begin() as tx:
        tx.execute(insert(audit).values(row | {"at": datetime(2026, 11, 23)}))  # noqa: DTZ001 - that is the point
    ledger.close()


def test_a_ledger_that_somebody_else_holds_is_unavailable(ledger: Ledger, tmp_path: Path) -> None:
    with ledger.read() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=1")
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="ledger"), ledger.begin():
        pass
    other.close()
    with ledger.begin():
        pass
    ledger.close()


@pytest.mark.parametrize("url", ["nonsense", "oracle9://x/y"])
def test_an_address_that_is_none_is_refused_by_its_setting(url: str) -> None:
    with pytest.raises(ConfigError, match=r"ledger\.url"):
        Ledger(url)


# --- farms ----------------------------------------------------------------------------------------------------------


def test_the_example_farm_is_set_up_as_it_is_written(ledger: Ledger) -> None:
    assert load_farm(ledger, FARM_FILE, NOW) == "mai"
    with ledger.read() as connection:
        farm = farms.get(connection, "mai")
    assert farm is not None
    assert (farm.name, farm.cooperative, farm.version) == ("Vườn nhà chị Mai", "HTX Đồi Sương", 1)
    assert {zone.node_id for zone in farm.zones} == set(farm.node_names) == {"board-1", "board-2", "board-3"}
    assert [source.capacity_l_min for source in farm.sources] == [60, 90]
    assert {program.calendar.kind for program in farm.programs} == {"weekly", "every_n_days"}
    ledger.close()


def test_loading_a_farm_again_keeps_what_people_made_of_its_programs(ledger: Ledger, tmp_path: Path) -> None:
    load_farm(ledger, FARM_FILE, NOW)
    with ledger.begin() as tx:
        farms.delete_program(tx, "doi-tren")
        farm = farms.get(tx, "mai")
        assert farm is not None
        record = next(program for program in farm.programs if program.id == "sang-dau-tay")
        changed = farms.program_record(
            id=record.id, farm_id="mai", name="Sáng sớm", enabled=False, calendar=record.calendar,
            starts=record.starts, zones=record.zones, version=5, updated_at=NOW, updated_by="mai",
        )  # fmt: skip
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
    ledger.close()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("lat = 21.3\n", "lat = 121.3\n", "lat"),
        ("lat = 21.3\n", "lat = nan\n", "lat"),
        ('tz = "Asia/Ho_Chi_Minh"', 'tz = "Asia/Son_La"', "tz"),
        ('source_id = "gieng"', 'source_id = "tank"', "source_id"),
        ("flow_l_min = 20", "flow_l_min = 0", "flow_l_min"),
        ("flow_l_min = 20", "flow = 20", "flow"),
        ('id = "ca-chua"', 'id = "dau-tay"', "dau-tay"),
        ('id = "sang-ca-chua"', 'id = "sang-dau-tay"', "sang-dau-tay"),
        ('starts = ["06:00"]', 'starts = ["25:00"]', "starts"),
        ('zone_id = "ca-chua"', 'zone_id = "rau"', "rau"),
        ("days = [1, 3, 5]", "days = [1, 1]", "days"),
        ('id = "lan"', 'id = "Lan!"', "id"),
        ("[[sources]]", "[sources", "not TOML"),
    ],
)
def test_a_bad_farm_file_is_refused_with_the_field_and_nothing_is_changed(
    ledger: Ledger, tmp_path: Path, old: str, new: str, says: str
) -> None:
    load_farm(ledger, FARM_FILE, NOW)
    assert old in OTHER_FARM
    (tmp_path / "lan.toml").write_text(OTHER_FARM.replace(old, new))
    with pytest.raises(ConfigError, match=says):
        load_farm(ledger, tmp_path / "lan.toml", NOW)
    with ledger.read() as connection:
        assert farms.ids(connection) == ("mai",)
    ledger.close()


def test_a_zone_that_a_program_waters_cannot_go(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "lan.toml").write_text(OTHER_FARM)
    load_farm(ledger, tmp_path / "lan.toml", NOW)
    text = OTHER_FARM.split("[[programs]]")[0].replace('id = "ca-chua"', 'id = "ot"')
    (tmp_path / "lan.toml").write_text(text)
    with pytest.raises(ConfigError, match="sang-ca-chua"):
        load_farm(ledger, tmp_path / "lan.toml", NOW)
    ledger.close()
