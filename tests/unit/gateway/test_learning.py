"""What the gateway learns of a zone's flow."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from contract.messages import Origin
from gateway.planning.learning import learned, settled_flow, with_flow
from gateway.planning.runs import Run
from irrigation.model import Dose, Zone
from irrigation.run import RunState

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
TEA = Zone(
    id="tea", name="", node_id="b", channel="v", source_id="s", area_m2=1, flow_l_min=20, has_meter=True
)  # fmt: skip
DONE = Run(
    run_id="r", zone_id="tea", node_id="b", channel="v", state=RunState.DONE, origin=Origin.PROGRAM, actor="p",
    dose=Dose(minutes=10), max_s=600, flow_l_min=20, asked_at=NOW, ends_by=NOW, ended_at=NOW, litres=180.0, open_s=600.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("run", "flow"),
    [
        (DONE, 18.0),
        (replace(DONE, open_s=119.0, litres=30.0), None),
        (replace(DONE, state=RunState.STOPPED), None),
        (replace(DONE, litres=None), None),
        (replace(DONE, litres=900.0), None),  # a burst is no flow of the zone
        (replace(DONE, litres=10.0), None),
    ],
)
def test_only_a_settled_credible_run_tells_a_flow(run: Run, flow: float | None) -> None:
    assert settled_flow(run, TEA) == flow


def test_the_median_of_the_last_five_counts_from_three_on() -> None:
    measured: tuple[float, ...] = ()
    told = []
    for flow in (10.0, 18.0, 19.0, 18.5, 18.2, 18.4):
        measured = with_flow(measured, flow)
        told.append(learned({"tea": measured}, [TEA]).get("tea"))
    assert told == [None, None, 18.0, 18.25, 18.2, 18.4]
    assert learned({"tea": measured}, [replace(TEA, has_meter=False)]) == {}
    assert learned({"tea": measured}, [replace(TEA, flow_l_min=5.0)]) == {}
