"""A past night from the ledger: what ran then, beside what the farm's programs would do."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from firmware_sim.replay.cli import main
from firmware_sim.replay.past import past
from firmware_sim.replay.run import replayed
from irrigation.model import Dose
from irrigation.run import RunState
from server.app import open_ledger
from server.ledger import history
from server.records import DecisionRecord, RunRecord
from tests.unit.server.coop import NOW, Coop, settings_in

CONFIG = """
[ledger]
url = "sqlite:///{ledger}"
"""
BEGIN = datetime(2026, 11, 20)  # noqa: DTZ001 - farm-local
END = BEGIN + timedelta(days=1)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    Coop.found(tmp_path)
    settings = settings_in(tmp_path).ledger
    ledger = open_ledger(settings)
    opened = datetime(2026, 11, 20, 9, tzinfo=NOW.tzinfo)
    with ledger.begin() as tx:
        history.put_run(
            tx,
            RunRecord(
                id="run-1", farm_id="mai", zone_id="man-hau", state=RunState.DONE, dose=Dose(minutes=10), max_s=600,
                actor="mai", origin="person", asked_at=opened, at=opened, has_meter=False, opened_at=opened,
                ended_at=opened + timedelta(minutes=10), open_s=600.0,
            ),
        )  # fmt: skip
        history.put_decision(
            tx,
            DecisionRecord(
                id="p:20261120:0500:man-hau", farm_id="mai", zone_id="man-hau", program_id="p", due=opened,
                result="skipped", rule="hold", at=opened,
            ),
        )  # fmt: skip
    ledger.close()
    path = tmp_path / "replay.toml"
    path.write_text(CONFIG.format(ledger=settings.url.removeprefix("sqlite:///")), encoding="utf-8")
    return path


def test_a_past_night_is_replayed_with_what_people_asked_for_beside_what_was_told(config: Path) -> None:
    scenario = past(config, "mai", BEGIN, END)
    assert scenario.expect == "2026-11-20 16:00 man-hau 10 min\nskip 2026-11-20 16:00 man-hau hold"
    with replayed(scenario) as happened:
        assert any(run.zone_id == "man-hau" and run.open_s == 600 for run in happened.runs)


def test_the_command_shows_what_differs_from_what_was_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = ["--from", BEGIN.isoformat(), "--to", END.isoformat()]
    assert main(["--from-ledger", str(config), "--farm", "mai", *times]) == 1
    assert "-skip 2026-11-20 16:00 man-hau hold" in capsys.readouterr().out
    assert main(["--from-ledger", str(config), "--farm", "moon", *times]) == 2
    assert "there is no farm 'moon'" in capsys.readouterr().err
    assert main(["--from-ledger", str(config)]) == 2
    assert main([]) == 2
