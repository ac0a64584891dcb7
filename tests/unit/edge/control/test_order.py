from datetime import timedelta

import pytest

from contract.messages import Open, Origin
from edge.control.order import from_command, from_entry
from irrigation.model import Dose, Entry
from tests.unit.edge.control.orders import NOW


def test_an_open_becomes_an_order_with_its_expiry() -> None:
    command = Open(
        id="c1",
        issued_at=NOW,
        expires_at=NOW + timedelta(seconds=30),
        actor="hoa",
        run_id="run-1",
        zone_id="tea",
        dose=Dose(minutes=1),
        channel="v1",
        max_s=60.0,
    )
    order = from_command(command)
    assert (order.run_id, order.channel, order.max_s, order.expires_at) == ("run-1", "v1", 60, command.expires_at)
    with pytest.raises(ValueError, match="channel and max_s"):
        from_command(command.model_copy(update={"channel": None}))


def test_a_due_watering_becomes_the_same_run_however_often_it_is_tried() -> None:
    entry = Entry(
        id="morning:20261123:0530:tea",
        program_id="morning",
        zone_id="tea",
        node_id="board-1",
        channel="v1",
        due=NOW,
        start=NOW,
        max_s=60,
        dose=Dose(minutes=1),
        flow_l_min=8,
    )
    order = from_entry(entry, Origin.PROGRAM)
    assert order == from_entry(entry, Origin.PROGRAM)
    assert order.run_id == "run-morning:20261123:0530:tea"
    assert order.expires_at is None
