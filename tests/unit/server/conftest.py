"""The cooperative that the server's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.server.coop import Coop


@pytest.fixture
def coop(tmp_path: Path) -> Iterator[Coop]:
    """Two farms, four people, a clock that stands, a link that leads to the test."""
    made = Coop.make(tmp_path)
    yield made
    made.close()
