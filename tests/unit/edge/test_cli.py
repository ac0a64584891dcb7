import os
import sys
from pathlib import Path

import pytest

from edge.cli import main
from tests.fixtures.processes import Processes

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "configs" / "board.toml"


def test_check_says_what_is_in_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agent", "--config", str(EXAMPLE), "--check"]) == 0
    assert "farm mai, node board-1, 2 valves and 1 supplies on lgpio, 1 probes" in capsys.readouterr().out


@pytest.mark.parametrize("part", ["guard", "agent"])
def test_a_bad_file_is_one_sentence_and_exit_code_2(
    part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "board.toml"
    path.write_text(EXAMPLE.read_text().replace("pin = 17", "pin = 170"))
    assert main([part, "--config", str(path), "--check"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("tuoi edge: ")
    assert "valve.0.pin" in err
    assert err.count("\n") == 1


def test_all_off_is_the_guard_s(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["agent", "--config", str(EXAMPLE), "--all-off"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --all-off" in capsys.readouterr().err


def test_all_off_goes_through_the_front_door(tmp_path: Path, processes: Processes) -> None:
    path = tmp_path / "board.toml"
    path.write_text(EXAMPLE.read_text().replace('"lgpio"', '"mock"').replace("/var/lib/tuoi/board-1", "state"))
    process = processes.start(sys.executable, "-m", "tuoi", "edge", "guard", "--all-off", "--config", path, cwd=ROOT)
    process.wait_for("all off")
    assert process.wait() == 0


def test_help_teaches_both_processes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "guard" in text
    assert "configs/board.toml" in text


@pytest.mark.parametrize("part", ["guard", "agent"])
def test_an_unknown_factory_ends_both_processes_with_exit_code_2(
    part: str, tmp_path: Path, processes: Processes
) -> None:
    path = tmp_path / "board.toml"
    text = EXAMPLE.read_text().replace('"lgpio"', '"gpio4all"').replace("/var/lib/tuoi/board-1", "state")
    path.write_text(text)
    process = processes.start(
        sys.executable, "-m", "tuoi", "edge", part, "--config", path, cwd=ROOT, env={"HOME": os.environ["HOME"]}
    )
    process.wait_for("no factory 'gpio4all'; there is .*lgpio")
    assert process.wait() == 2
