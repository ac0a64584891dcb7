"""How the guard is called."""

import os
from pathlib import Path

import pytest

from edge.guard.__main__ import main
from edge.guard.log import tell


@pytest.mark.parametrize("arguments", [(), ("--all-on", "board.toml"), ("--all-off", "--all-off", "board.toml")])
def test_called_in_another_way_it_says_how(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(*arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python -OO -m edge.guard [--all-off] BOARD.toml")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("--all-off", str(tmp_path / "none.toml")) == 2
    assert "none.toml" in capsys.readouterr().err


def test_in_the_journal_a_line_has_its_priority_and_not_its_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stderr = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{stderr.st_dev}:{stderr.st_ino}")
    tell("error", "line does not close name=%s", "v1")
    assert capsys.readouterr().err == '<3>level=error logger=edge.guard msg="line does not close" name=v1\n'
