"""The ledger in SQLite: durable, and its errors translated. What holds for every ledger: tests/suites/ledger."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from contract.errors import ConfigError
from server.errors import Unavailable
from server.farms import load_farm
from server.ledger import farms, migrations
from server.ledger.database import Ledger, newest_step
from tests.unit.server.coop import FARM_FILE, NOW, OTHER_FARM


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    made.migrate()
    return made


def test_commits_are_durable(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert tx.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
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


def test_the_newest_step_is_the_one_that_alembic_leads_to() -> None:
    assert newest_step() == ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head()


def test_a_ledger_of_an_older_step_is_brought_to_the_newest(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        tx.exec_driver_sql("ALTER TABLE farms DROP COLUMN forecast")
        tx.exec_driver_sql("ALTER TABLE households DROP COLUMN left_at")
        tx.exec_driver_sql("DROP TABLE zone_moves")
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '0004'")
    ledger.migrate()
    with ledger.read() as connection:
        assert farms.ids(connection) == ()
        connection.exec_driver_sql("SELECT forecast FROM farms")
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == newest_step()


def test_a_server_starts_without_alembic_when_its_ledger_is_up_to_date(ledger: Ledger, tmp_path: Path) -> None:
    code = (
        "import sys, server.app as app; from server.settings import LedgerSettings; "
        "app.open_ledger(LedgerSettings(url=sys.argv[1])).close(); print('alembic' in sys.modules)"
    )
    start = [sys.executable, "-c", code, f"sqlite:///{tmp_path / 'ledger.db'}"]
    assert subprocess.run(start, capture_output=True, text=True, check=True).stdout.strip() == "False"


# --- farms ---


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


def test_a_zone_that_a_program_waters_cannot_go(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "lan.toml").write_text(OTHER_FARM)
    load_farm(ledger, tmp_path / "lan.toml", NOW)
    text = OTHER_FARM.split("[[programs]]")[0].replace('id = "ca-chua"', 'id = "ot"')
    (tmp_path / "lan.toml").write_text(text)
    with pytest.raises(ConfigError, match="sang-ca-chua"):
        load_farm(ledger, tmp_path / "lan.toml", NOW)
