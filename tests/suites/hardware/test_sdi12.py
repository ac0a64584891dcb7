"""SDI-12 probes over a real pseudo-terminal, with the scripted probe that ships at the other end."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import edge.hardware.sdi12
from edge.hardware.drivers.driver import settings_of
from edge.hardware.fakes import FakeHardware, FakeSdi12
from edge.hardware.ports import Probe
from edge.hardware.sdi12 import crc
from tests.suites.hardware.lines import Sdi12Bus, fault_of, raws

Wire = Callable[..., Sdi12Bus]
MOISTURE = {"quantity": "soil_moisture", "place": 1}


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Make a wire with probes on it. Nobody here needs the second that real adapters get."""
    monkeypatch.setattr(edge.hardware.sdi12, "ANSWER_S", 0.2)
    monkeypatch.setattr(edge.hardware.sdi12, "REQUEST_SPARE_S", 0.1)
    made: list[Sdi12Bus] = []

    def make(*probes: FakeSdi12) -> Sdi12Bus:
        made.append(Sdi12Bus(*probes))
        return made[-1]

    yield make
    for line in made:
        line.close()


def opened(line: Sdi12Bus, **more: Any) -> Probe:
    table = {"driver": "sdi12", "sensor": "soil", "port": line.path, "address": "0", "values": [MOISTURE]}
    return settings_of({**table, **more}).open(FakeHardware())


def test_the_checksum_is_that_of_the_specification() -> None:
    assert crc(b"0+3.14") == b"OqZ"  # SDI-12 1.4, section 4.4.12


def test_a_measurement_is_asked_for_waited_for_and_fetched(wire: Wire) -> None:
    line = wire(FakeSdi12("0", 1823.5, 22.1, 120.0))
    assert raws(opened(line)) == [1823.5]
    assert line.asked == b"0MC!0D0!"


def test_more_values_than_an_answer_holds_are_fetched_page_by_page(wire: Wire) -> None:
    line = wire(FakeSdi12("0", 1, 2, 3, 4, 5))
    places = [MOISTURE, {"quantity": "soil_temperature", "place": 5}]
    assert raws(opened(line, values=places)) == [1.0, 5.0]
    assert line.asked == b"0MC!0D0!0D1!"


def test_a_probe_of_before_the_checksum_is_asked_without(wire: Wire) -> None:
    line = wire(FakeSdi12("0", -3.25))
    assert raws(opened(line, checksum=False, measure="M2")) == [-3.25]
    assert line.asked == b"0M2!0D0!"


def test_a_probe_that_is_ready_at_once_makes_no_request(wire: Wire) -> None:
    assert raws(opened(wire(FakeSdi12("0", 7.5, takes_s=0)))) == [7.5]


def test_a_probe_that_is_ready_before_its_time_is_not_waited_for(wire: Wire) -> None:
    assert raws(opened(wire(FakeSdi12("0", 7.5, takes_s=100)), longest_s=999)) == [7.5]  # the test has a minute


def test_a_service_request_that_is_lost_costs_only_its_time(wire: Wire) -> None:
    line = wire(FakeSdi12("0", 7.5, takes_s=1))
    line.mangle = lambda answer: answer.removesuffix(b"0\r\n") if answer.startswith(b"0001") else answer
    assert raws(opened(line)) == [7.5]


def test_a_wrong_checksum_is_asked_again_and_then_a_fault(wire: Wire) -> None:
    line = wire(FakeSdi12("0", 1823.5))
    line.mangle = lambda answer: answer.replace(b"+1823.5", b"+1823.6")
    assert fault_of(opened(line)).code == "bad-checksum"
    assert line.asked == b"0MC!" + 3 * b"0D0!"


def test_one_garbled_answer_costs_a_question_and_no_value(wire: Wire) -> None:
    line = wire(FakeSdi12("0", 1823.5))
    garbled = iter([b"0+18\xff3.5xyz\r\n"])
    line.mangle = lambda answer: next(garbled, answer) if b"+1823" in answer else answer
    assert raws(opened(line)) == [1823.5]


def test_a_probe_that_is_not_there_is_asked_three_times(wire: Wire) -> None:
    line = wire(FakeSdi12("1", 5.0))
    assert fault_of(opened(line)).code == "no-answer"
    assert line.asked == 3 * b"0MC!"


def test_the_answer_of_another_probe_is_nobodys_value(wire: Wire) -> None:
    line = wire(FakeSdi12("0", 5.0))
    line.mangle = lambda answer: b"1" + answer[1:]
    assert fault_of(opened(line)).code == "wrong-answer"


def test_a_value_that_stands_for_a_failure_is_not_taken_for_one_that_was_measured(wire: Wire) -> None:
    fault = fault_of(opened(wire(FakeSdi12("0", -9999))))
    assert (fault.code, "-9999" in str(fault)) == ("refused", True)


def test_fewer_values_than_the_configuration_reads_is_a_fault(wire: Wire) -> None:
    fault = fault_of(opened(wire(FakeSdi12("0", 5.0)), values=[{"quantity": "soil_ec", "place": 3}]))
    assert (fault.code, "1 values, none at 3" in str(fault)) == ("wrong-answer", True)


def test_a_probe_that_wants_longer_than_it_may_is_not_waited_for(wire: Wire) -> None:
    fault = fault_of(opened(wire(FakeSdi12("0", 5.0, takes_s=120))))
    assert (fault.code, "wants 120 s, longest_s is 5" in str(fault)) == ("refused", True)


def test_a_probe_that_measures_nothing_says_so(wire: Wire) -> None:
    assert fault_of(opened(wire(FakeSdi12("0")))).code == "refused"


def test_an_adapter_that_hears_its_own_break_and_question_does_not_matter(wire: Wire) -> None:
    line = wire(FakeSdi12("0", 1823.5))
    line.echo = True
    assert raws(opened(line)) == [1823.5]


def test_an_adapter_with_the_timing_in_itself_is_asked_at_its_own_speed(wire: Wire) -> None:
    line = wire(FakeSdi12("0", 1823.5))
    assert raws(opened(line, baud=9600, framing="8N1", send_break=False)) == [1823.5]
