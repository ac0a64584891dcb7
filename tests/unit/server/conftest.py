"""The cooperative that the server's tests share."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.server.coop import Coop


@pytest.fixture(scope="session")
def _founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coop")
    Coop.found(folder)
    return folder


@pytest.fixture
def coop(_founded: Path, tmp_path: Path) -> Iterator[Coop]:
    """Two farms, four people, a clock that stands, a link that leads to the test."""
    for file in _founded.iterdir():
        shutil.copy(file, tmp_path)
    made = Coop.open(tmp_path)
    yield made
    made.close()
