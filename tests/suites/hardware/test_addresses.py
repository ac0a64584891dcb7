"""Who answers on a serial bus, asked over real pseudo-terminals: a real pymodbus server, the SDI-12 probe that ships."""

import pytest

import edge.hardware.sdi12
from edge.bench.addresses import answering
from edge.bench.findings import Verdict
from edge.bench.running import Running
from edge.bench.wires import probes
from edge.config import BoardSettings
from edge.hardware.drivers.driver import settings_of
from edge.hardware.fakes import FakeHardware, FakeSdi12
from tests.suites.hardware.lines import ModbusBus, Sdi12Bus


def test_a_silent_modbus_probe_is_told_with_the_units_that_do_answer() -> None:
    cable = ModbusBus({2: [314], 7: [258]})
    try:
        probe = {
            "driver": "modbus", "sensor": "soil-1", "port": cable.path, "unit_id": 1, "timeout_s": 0.1,
            "registers": [{"quantity": "soil_moisture", "address": 0, "scale": 0.1}],
        }  # fmt: skip
        board = BoardSettings.model_validate(
            {
                "farm_id": "mai", "node_id": "board-1", "state_dir": "/tmp", "gpio": {"factory": "sim"}, "probe": [probe],
                "valve": ({"channel": "v1", "pin": 17, "max_open_s": 60},),
            },
            strict=False,
        )  # fmt: skip
        silent, others = probes(board, FakeHardware(), Running())
    finally:
        cable.close()
    assert (silent.verdict, silent.code) == (Verdict.BROKEN, "probe-silent")
    assert (others.code, others.params) == ("addresses", {"addresses": "2, 7"})


def test_sdi12_addresses_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.hardware.sdi12, "ANSWER_S", 0.2)
    line = Sdi12Bus(FakeSdi12("3", 1823.5), FakeSdi12("0", 1.0))
    try:
        table = {
            "driver": "sdi12", "sensor": "soil", "port": line.path, "address": "1",
            "values": [{"quantity": "soil_moisture", "place": 1}],
        }  # fmt: skip
        assert answering(settings_of(table), FakeHardware()) == ["0", "3"]
    finally:
        line.close()


def test_a_port_that_is_not_there_has_nobody_on_it() -> None:
    table = {
        "driver": "sdi12", "sensor": "soil", "port": "/dev/none", "address": "1",
        "values": [{"quantity": "soil_moisture", "place": 1}],
    }  # fmt: skip
    assert answering(settings_of(table), FakeHardware()) == []
