"""One house for the whole session, and a farmer's phone that finds and leaves every valve closed."""

from collections.abc import Iterator

import pytest

from tests.e2e.house import House
from tests.e2e.phone import Phone
from tests.fixtures.processes import Processes


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """`tuoi demo --no-history` in processes of its own; soil passes 60 times faster so that a short watering shows."""
    processes = Processes()
    try:
        house = House(
            processes, tmp_path_factory.mktemp("house") / "data", "--no-history", "--speed", "60", "--order-life", "8"
        )
        yield house
        assert house.end() == 0
    finally:
        processes.reap()


@pytest.fixture
def phone(house: House) -> Iterator[Phone]:
    """The farmer, signed in; nothing is under way before and after the test."""
    phone = house.phone()
    house.all_ready(phone)
    yield phone
    house.all_ready(phone)
    phone.close()
