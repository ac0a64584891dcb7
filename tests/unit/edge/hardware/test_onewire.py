from pathlib import Path

import pytest

from edge.hardware.errors import ProbeFault
from edge.hardware.ports import Sample
from tests.suites.hardware.probes import AtDs18b20


@pytest.fixture
def bench(tmp_path: Path) -> AtDs18b20:
    return AtDs18b20(tmp_path)


def read(bench: AtDs18b20) -> Sample:
    (sample,) = bench.settings.open(bench.hardware).read()
    return sample


def code_of(bench: AtDs18b20) -> str:
    with pytest.raises(ProbeFault) as caught:
        read(bench)
    return caught.value.code


def test_a_temperature_is_in_degrees(bench: AtDs18b20) -> None:
    bench.write(-10.125)
    assert read(bench) == Sample(bench.settings.quantities[0], -10.125, "degC")


def test_the_value_of_before_the_first_conversion_is_in_doubt(bench: AtDs18b20) -> None:
    bench.write(85.0)
    assert read(bench).doubt == "power-on-value"


def test_a_wrong_checksum_is_no_value(bench: AtDs18b20) -> None:
    bench.write(23.0, crc="NO")
    assert code_of(bench) == "bad-checksum"


def test_a_wire_that_is_held_low_is_not_freezing(bench: AtDs18b20) -> None:
    bench.write(0.0, scratchpad=bytes(9))  # nine zeros have the checksum zero: the kernel says YES
    assert code_of(bench) == "short-circuit"


def test_zero_degrees_are_a_value(bench: AtDs18b20) -> None:
    bench.write(0.0)
    assert read(bench).raw == 0.0


def test_beyond_what_it_can_measure_is_no_value(bench: AtDs18b20) -> None:
    bench.write(127.9375)
    assert code_of(bench) == "over-range"


@pytest.mark.parametrize("text", ["", "nonsense", "t=20000", "\xff\xfe"])
def test_what_is_not_the_kernels_format_is_no_value(bench: AtDs18b20, tmp_path: Path, text: str) -> None:
    (tmp_path / bench._folder.name / "w1_slave").write_text(text, encoding="latin-1")
    assert code_of(bench) in {"wrong-answer", "bus-error"}


def test_a_thermometer_that_is_gone_does_not_answer(bench: AtDs18b20) -> None:
    bench.write(20.0)
    bench.cut()
    assert code_of(bench) == "no-answer"


def test_a_kernel_that_shows_only_the_temperature_is_read_too(bench: AtDs18b20) -> None:
    (bench._folder / "temperature").write_text("23187\n")
    assert read(bench).raw == 23.187
    (bench._folder / "temperature").write_text("\n")
    assert code_of(bench) == "wrong-answer"
