from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Processes
from tests.unit.edge.bench.hill import Hill

_farms = count(1)


@pytest.fixture
def hill(shared_mosquitto: Mosquitto, processes: Processes) -> Iterator[Hill]:
    # A short path: the kernel takes 108 characters for a unix socket.
    with TemporaryDirectory(prefix="tuoi-") as folder:
        made = Hill(Path(folder), f"hill-{next(_farms)}", shared_mosquitto.port, processes)
        yield made
        made.field.close()
        processes.reap()
