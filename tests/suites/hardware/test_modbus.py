"""Modbus soil probes over a real pseudo-terminal, with a real pymodbus server at the other end."""

from collections.abc import Iterator
from typing import Any

import pytest
from pymodbus.framer import FramerRTU

from edge.hardware.drivers.driver import settings_of
from edge.hardware.fakes import FakeHardware
from edge.hardware.ports import Probe
from tests.suites.hardware.lines import ModbusBus, fault_of, raws

MOISTURE = {"quantity": "soil_moisture", "address": 0, "scale": 0.1}


@pytest.fixture
def cable() -> Iterator[ModbusBus]:
    line = ModbusBus({1: [314, 197, 240], 2: [258, 0xFFC9, 120]})
    yield line
    line.close()


class Board:
    """Opens probes on one cable."""

    def __init__(self, cable: ModbusBus) -> None:
        self._cable = cable
        self._hardware = FakeHardware()

    def probe(self, unit_id: int, *registers: dict[str, Any], **more: Any) -> Probe:
        table = {"driver": "modbus", "sensor": f"soil-{unit_id}", "port": self._cable.path, "unit_id": unit_id}
        return settings_of({**table, "registers": registers or (MOISTURE,), "timeout_s": 0.2, **more}).open(
            self._hardware
        )


def framed(text: str) -> bytes:
    frame = bytes.fromhex(text)
    return frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big")


def test_probes_on_one_cable_share_its_port_and_take_turns(cable: ModbusBus) -> None:
    board = Board(cable)
    first, second = board.probe(1), board.probe(2)
    for _ in range(3):
        assert raws(first) == [pytest.approx(31.4)]
        assert raws(second) == [pytest.approx(25.8)]


def test_registers_side_by_side_are_one_request_and_a_gap_is_not_read(cable: ModbusBus) -> None:
    temperature = {"quantity": "soil_temperature", "address": 1, "scale": 0.1, "format": "s16"}
    ec = {"quantity": "soil_ec", "address": 102, "function": 4, "scale": 0.001}
    assert raws(Board(cable).probe(2, MOISTURE, temperature, ec)) == pytest.approx([25.8, -5.5, 0.12])
    assert [request[1:6].hex() for request in cable.asked] == ["0300000002", "0400660001"]


def test_a_wrong_checksum_is_asked_again_and_then_a_fault(cable: ModbusBus) -> None:
    probe = Board(cable).probe(1)
    cable.mangle = lambda answer: answer[:-1] + bytes([answer[-1] ^ 1])
    fault = fault_of(probe)
    assert fault.code == "bad-checksum"
    assert "Modbus unit 1, register 0" in str(fault)
    assert len(cable.asked) == 3


def test_one_garbled_answer_costs_a_question_and_no_value(cable: ModbusBus) -> None:
    probe = Board(cable).probe(1)
    answers = iter([b"\x01\x03\x02\xff\xff\x00\x00"])
    cable.mangle = lambda answer: next(answers, answer)
    assert raws(probe) == [pytest.approx(31.4)]
    assert len(cable.asked) == 2


def test_a_refusal_is_told_with_its_meaning_and_not_repeated(cable: ModbusBus) -> None:
    probe = Board(cable).probe(1, {"quantity": "soil_moisture", "address": 50})
    fault = fault_of(probe)
    assert fault.code == "refused"
    assert "exception 2 (no such register)" in str(fault)
    assert len(cable.asked) == 1


def test_a_unit_that_is_not_there_is_silent_and_the_others_go_on(cable: ModbusBus) -> None:
    board = Board(cable)
    gone, there = board.probe(9), board.probe(2)
    assert fault_of(gone).code == "no-answer"
    assert raws(there) == [pytest.approx(25.8)]


def test_the_answer_of_another_unit_is_nobodys_value(cable: ModbusBus) -> None:
    probe = Board(cable).probe(1)
    cable.mangle = lambda _: framed("02 03 02 0102")
    fault = fault_of(probe)
    assert (fault.code, "unit 2 answers" in str(fault)) == ("wrong-answer", True)


def test_an_answer_to_another_question_is_no_value(cable: ModbusBus) -> None:
    probe = Board(cable).probe(1)
    for answer in ("01 03 04 0102 0304", "01 04 02 0102"):  # two registers for one, and of another kind
        cable.mangle = lambda _, answer=answer: framed(answer)  # type: ignore[misc]
        assert fault_of(probe).code == "wrong-answer"


def test_half_an_answer_is_no_answer(cable: ModbusBus) -> None:
    probe = Board(cable).probe(1)
    cable.mangle = lambda answer: answer[:4]
    fault = fault_of(probe)
    assert (fault.code, "4 bytes" in str(fault)) == ("no-answer", True)


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_probes(cable: ModbusBus) -> None:
    board = Board(cable)
    kept: list[bytes] = []

    def hold(answer: bytes) -> bytes:
        kept.append(answer)
        return b""

    cable.mangle = hold
    assert fault_of(board.probe(1)).code == "no-answer"
    cable.mangle = lambda answer: kept[0] + answer  # the late one of unit 1 just before that of unit 2
    second = board.probe(2)
    assert fault_of(second).code == "wrong-answer"
    cable.mangle = lambda answer: answer
    assert raws(second) == [pytest.approx(25.8)]


def test_an_adapter_that_hears_itself_does_not_matter(cable: ModbusBus) -> None:
    cable.echo = True
    assert raws(Board(cable).probe(1)) == [pytest.approx(31.4)]


def test_numbers_of_two_words(cable: ModbusBus) -> None:
    cable.put(1, [0x4204, 0x0000, 0xFFFE])
    board = Board(cable)
    assert raws(board.probe(1, {"quantity": "soil_moisture", "address": 0, "format": "f32"})) == [33.0]
    assert raws(board.probe(1, {"quantity": "soil_temperature", "address": 1, "format": "s32"})) == [65534.0]
    assert raws(board.probe(1, {"quantity": "soil_temperature", "address": 2, "format": "s16"})) == [-2.0]


def test_an_adapter_that_is_pulled_out_is_a_fault_of_the_bus(cable: ModbusBus) -> None:
    probe = settings_of(
        {"driver": "modbus", "sensor": "soil", "port": "/dev/serial/by-id/none", "unit_id": 1, "registers": [MOISTURE]}
    ).open(FakeHardware())
    for _ in range(2):
        fault = fault_of(probe)
        assert (fault.code, "/dev/serial/by-id/none" in str(fault)) == ("bus-error", True)


def test_a_port_that_another_program_has_is_not_shared_with_it(cable: ModbusBus) -> None:
    first, second = Board(cable).probe(1), Board(cable).probe(1)  # two boards: each opens the port for itself
    assert raws(first) == [pytest.approx(31.4)]
    assert fault_of(second).code == "bus-error"
