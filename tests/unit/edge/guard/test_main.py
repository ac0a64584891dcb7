"""How the guard is called."""

from pathlib import Path

import pytest

from edge.guard.__main__ import main


@pytest.mark.parametrize("arguments", [(), ("--all-on", "board.toml"), ("--all-off", "--all-off", "board.toml")])
def test_called_in_another_way_it_says_how(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(*arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python -OO -m edge.guard [--all-off] BOARD.toml")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("--all-off", str(tmp_path / "none.toml")) == 2
    assert "none.toml" in capsys.readouterr().err
