"""`tuoi gateway`: its configuration file, its help, and what it says when something is at fault."""

from pathlib import Path

import pytest

from contract.settings import load_toml
from gateway.cli import main
from gateway.settings import Settings

EXAMPLE = Path(__file__).parents[3] / "configs" / "gateway.toml"


def test_the_example_is_a_configuration() -> None:
    settings = load_toml(EXAMPLE, Settings)
    assert settings.farm_id == "mai"
    assert settings.uplink is not None
    assert settings.mqtt.port == 8883


def test_the_least_configuration_names_its_client_by_the_farm(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('farm_id = "mai"\ndata_dir = "/var/lib/x"\n')
    settings = load_toml(path, Settings)
    assert (settings.client_id, settings.uplink, settings.plan.days) == ("mai-gateway", None, 14)


def test_check_says_what_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(EXAMPLE), "--check"]) == 0
    assert "farm mai" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('data_dir = "/x"\n', "farm_id"),
        ('farm_id = "Mai!"\ndata_dir = "/x"\n', "farm_id"),
        ('farm_id = "mai"\ndata_dir = "/x"\nmax_reading = 3\n', "max_reading"),
        ('farm_id = "mai"\ndata_dir = "/x"\n[mqtt]\nport = 0\n', "mqtt.port"),
        ('farm_id = "mai"\ndata_dir = "/x"\n[plan]\ndays = nan\n', "plan.days"),
        ("farm_id = \n", "TOML"),
    ],
)
def test_a_fault_in_the_file_is_one_sentence_that_names_file_and_field(
    text: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    assert main(["--config", str(path)]) == 2
    said = capsys.readouterr().err
    assert str(path) in said
    assert named in said
    assert len(said.strip().splitlines()) == 1


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err


def test_a_certificate_that_is_not_there_is_a_fault_of_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(f'farm_id = "mai"\ndata_dir = "{tmp_path}/d"\n[mqtt]\nca_file = "{tmp_path}/none.crt"\n')
    assert main(["--config", str(path)]) == 2
    assert "none.crt" in capsys.readouterr().err


def test_a_journal_that_cannot_be_written_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "gateway.toml"
    path.write_text(f'farm_id = "mai"\ndata_dir = "{tmp_path}/file/d"\n')
    assert main(["--config", str(path)]) == 1
    assert "cannot open the database" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "tuoi gateway --config /etc/tuoi/gateway.toml" in capsys.readouterr().out
