"""tuoi.py: teaches, dispatches, and stays light."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tuoi

ROOT = Path(__file__).parents[3]


def test_without_a_command_it_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert tuoi.main([]) == 0
    assert "tuoi demo" in capsys.readouterr().out


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert tuoi.main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"tuoi {name}" in told for name in tuoi.COMMANDS)


def test_an_unknown_command_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert tuoi.main(["flood"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "'flood'" in said
    assert "gateway" in said


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert tuoi.main(["--version"]) == 0
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert capsys.readouterr().out == f"tuoi {project['version']}\n"


def test_help_imports_nothing_of_the_house() -> None:
    heavy = "any(name in sys.modules for name in ('pydantic', 'contract', 'asyncio'))"
    code = f"import sys, tuoi; tuoi.main(['--help']); sys.exit({heavy})"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL, timeout=30)


def test_a_missing_library_is_answered_with_the_extra_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "lonely"
    part.mkdir()
    (part / "__init__.py").touch()
    (part / "cli.py").write_text("import spade_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(tuoi.COMMANDS, "dig", tuoi.Command("lonely", (), "edge", "digs"))
    assert tuoi.main(["dig"]) == 2
    said = capsys.readouterr().err
    assert "spade_that_nobody_has" in said
    assert "tuoi[edge]" in said


def test_a_part_gets_its_arguments_and_its_exit_code_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = tmp_path / "obedient"
    part.mkdir()
    (part / "__init__.py").touch()
    (part / "cli.py").write_text("def main(argv):\n    return 7 if argv == ['first', '--fast'] else 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(tuoi.COMMANDS, "do", tuoi.Command("obedient", ("first",), "edge", "does"))
    assert tuoi.main(["do", "--fast"]) == 7
