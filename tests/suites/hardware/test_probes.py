"""What the edge may ask of a probe: one suite over the fake and over every driver that ships."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.hardware.drivers.driver import OURS, find
from edge.hardware.errors import LineFault
from tests.suites.hardware.probes import BENCHES, ProbeBench


@pytest.fixture(params=BENCHES, ids=lambda bench: bench.__name__)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProbeBench]:
    make: Callable[[Path], ProbeBench] = request.param
    made = make(tmp_path)
    yield made
    made.close()


def test_a_probe_tells_all_its_quantities_and_what_it_measures_now(bench: ProbeBench) -> None:
    probe = bench.settings.open(bench.hardware)
    for raws in (*bench.steps, *bench.steps[:1]):
        bench.turn(raws)
        samples = probe.read()
        assert tuple(sample.quantity for sample in samples) == bench.settings.quantities
        assert [sample.raw for sample in samples] == pytest.approx(list(raws), abs=bench.within)
        assert all(sample.unit and sample.doubt is None for sample in samples)
    probe.close()


def test_a_probe_that_is_not_there_faults_and_is_read_again_when_it_is_back(bench: ProbeBench) -> None:
    bench.turn(bench.steps[1])
    probe = bench.settings.open(bench.hardware)
    before = probe.read()
    bench.cut()
    for _ in range(2):
        with pytest.raises(LineFault):
            probe.read()
    bench.mend()
    assert probe.read() == before


def test_two_of_the_same_wire_do_not_disturb_each_other(bench: ProbeBench) -> None:
    bench.turn(bench.steps[1])
    first, second = bench.settings.open(bench.hardware), bench.settings.open(bench.hardware)
    assert first.read() == second.read() == first.read()
    first.close()
    assert second.read()


def test_a_driver_names_its_bus_and_has_patience(bench: ProbeBench) -> None:
    assert bench.settings.bus
    assert bench.settings.patience_s >= 1


def test_every_driver_that_ships_is_at_a_bench(tmp_path: Path) -> None:
    shown = set()
    for make in BENCHES:
        folder = tmp_path / make.__name__
        folder.mkdir()
        bench: ProbeBench = make(folder)
        shown.add(type(bench.settings))
        bench.close()
    assert {find(name) for name in OURS} <= shown
