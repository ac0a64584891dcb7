"""What the guard may ask of its lines: one suite over the fakes, gpiozero's pins and lgpio's, and what each does besides."""

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from edge.hardware.errors import LineFault
from edge.hardware.fakes import FakeLatchingValve, FakeLevel, FakeValve
from edge.hardware.lines import Level, ValveOutput
from edge.hardware.outputs import GpioLevel, GpioValve, LatchingValve, load_factory

OPEN, CLOSE, RESERVE = 17, 18, 24
UP, DOWN, NONE = 32, 64, 128  # lgpio.h: LG_SET_PULL_UP, LG_SET_PULL_DOWN, LG_SET_PULL_NONE
INPUT, OUTPUT = "in", "out"


class LgpioError(Exception):
    """lgpio's own, which is no OSError."""


class Chip:
    """lgpio as far as an output needs it: each line's mode, level and pull, and all that it ever was."""

    def __init__(self) -> None:
        self.seen: dict[int, list[tuple[str, int, int]]] = {}
        self.jammed: set[int] = set()
        self.module = ModuleType("lgpio")
        self.module.__dict__.update(
            error=LgpioError,
            SET_PULL_UP=UP,
            SET_PULL_DOWN=DOWN,
            SET_PULL_NONE=NONE,
            BOTH_EDGES=3,
            RISING_EDGE=1,
            FALLING_EDGE=2,
            exceptions=True,
            gpiochip_open=lambda _chip: 5,
            gpiochip_close=lambda _handle: None,
            gpio_get_mode=lambda _handle, pin: 2 if self.now(pin)[0] == OUTPUT else 0,
            gpio_claim_input=self._claim_input,
            gpio_claim_output=self._claim_output,
            gpio_free=lambda _handle, _pin: None,
            gpio_read=lambda _handle, pin: self._read(pin),
            gpio_write=self._write,
        )

    def now(self, pin: int) -> tuple[str, int, int]:
        return self.seen.get(pin, [(INPUT, 0, NONE)])[-1]

    def _claim_input(self, _handle: int, pin: int, pull: int = 0) -> None:
        self._check(pin)
        self.seen.setdefault(pin, []).append((INPUT, int(pull == UP), pull))

    def _claim_output(self, _handle: int, pin: int, level: int = 0, flags: int = 0) -> None:
        self._check(pin)
        self.seen.setdefault(pin, []).append((OUTPUT, level, flags))

    def _read(self, pin: int) -> int:
        self._check(pin)
        return self.now(pin)[1]

    def _write(self, _handle: int, pin: int, level: int) -> None:
        if pin not in self.jammed:
            self.seen[pin].append((OUTPUT, int(level), self.now(pin)[2]))

    def _check(self, pin: int) -> None:
        if pin > 27:
            raise LgpioError("bad GPIO number")
        if pin in self.jammed and pin == RESERVE:
            raise LgpioError("GPIO busy")


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chip]:
    """A chip under gpiozero's own lgpio pins: the module in whose place it stands exists on boards only."""
    made = Chip()
    monkeypatch.setitem(sys.modules, "lgpio", made.module)
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    monkeypatch.setattr("gpiozero.pins.local.LocalPiFactory._get_revision", lambda _self: 0x902120)
    yield made
    sys.modules.pop("gpiozero.pins.lgpio", None)


@pytest.fixture
def lgpio(chip: Chip) -> Any:
    return load_factory("lgpio")


@pytest.fixture
def mock() -> Any:
    return MockFactory()


@pytest.fixture(params=["fake", "mock", "mock-low", "lgpio", "lgpio-low"])
def valve(request: pytest.FixtureRequest) -> tuple[ValveOutput, Callable[[], bool]]:
    """A valve, and a look at whether it is open."""
    if request.param == "fake":
        fake = FakeValve()
        return fake, lambda: fake.is_open
    high = not request.param.endswith("low")
    factory = request.getfixturevalue(request.param.removesuffix("-low"))
    made = GpioValve(factory, OPEN, active_high=high)
    if request.param.startswith("lgpio"):
        chip = request.getfixturevalue("chip")
        return made, lambda: chip.now(OPEN)[:2] == (OUTPUT, int(high))
    pin = factory.pin(OPEN)
    return made, lambda: pin.function == "output" and int(pin.state) == int(high)


def test_a_valve_follows_and_is_closed_at_first_and_when_it_is_released(
    valve: tuple[ValveOutput, Callable[[], bool]],
) -> None:
    output, is_open = valve
    assert not is_open()
    for wanted in (True, True, False, False, True):
        output.set(is_open=wanted)
        assert is_open() is wanted
    output.close()
    assert not is_open()


@pytest.fixture(params=["fake", "mock", "lgpio"])
def latching(request: pytest.FixtureRequest) -> tuple[ValveOutput, Callable[[], list[bool]]]:
    """A latching valve, and the pulses that it got, True = to open."""
    if request.param == "fake":
        fake = FakeLatchingValve()
        return fake, lambda: fake.pulses
    factory = request.getfixturevalue(request.param)
    made = LatchingValve(factory, OPEN, CLOSE, 0.001)
    if request.param == "lgpio":
        chip = request.getfixturevalue("chip")
        return made, lambda: coils(chip)
    opening, closing = factory.pin(OPEN), factory.pin(CLOSE)
    log: list[bool] = []
    for pin, what in ((opening, True), (closing, False)):
        note(pin, what, log)
    return made, lambda: log


def note(pin: Any, what: bool, log: list[bool]) -> None:
    """Note each time that a mock pin goes high."""

    def set_state(self: Any, value: float) -> None:
        if value and not self.state:
            log.append(what)
        super(type(self), self)._set_state(value)

    pin.__class__ = type("NotingPin", (type(pin),), {"_set_state": set_state})


def coils(chip: Chip) -> list[bool]:
    """The order in which the two lines went high is not in their own histories: each is asked for by its own pulses."""
    return [True] * sum(one[1] for one in chip.seen[OPEN]) + [False] * sum(one[1] for one in chip.seen[CLOSE])


def test_a_latching_valve_gets_one_pulse_for_each_word_and_keeps_its_place_when_released(
    latching: tuple[ValveOutput, Callable[[], list[bool]]],
) -> None:
    output, pulses = latching
    output.set(is_open=True)
    assert pulses() == [True]
    output.set(is_open=False)
    output.set(is_open=False)  # closing is repeated
    assert pulses() == [True, False, False]
    output.close()
    assert pulses() == [True, False, False]


def test_a_coil_has_current_during_its_pulse_only_and_never_both(chip: Chip, lgpio: Any) -> None:
    output = LatchingValve(lgpio, OPEN, CLOSE, 0.001)
    assert [chip.now(pin) for pin in (OPEN, CLOSE)] == [(OUTPUT, 0, DOWN)] * 2
    output.set(is_open=True)
    output.set(is_open=False)
    assert [level for _, level, _ in chip.seen[OPEN]] == [0, 1, 0, 0]
    assert [level for _, level, _ in chip.seen[CLOSE]] == [0, 0, 1, 0]


def test_a_coil_whose_line_does_not_follow_is_a_fault_and_no_second_one_gets_current(chip: Chip, lgpio: Any) -> None:
    output = LatchingValve(lgpio, OPEN, CLOSE, 0.001)
    chip.jammed.add(OPEN)
    with pytest.raises(LineFault, match="GPIO 17: told True, reads False"):
        output.set(is_open=True)
    output.set(is_open=False)
    assert not chip.now(OPEN)[1]


# --- no pulse at the start, no float at the end ---


@pytest.mark.parametrize(("high", "closed", "pull"), [(True, 0, DOWN), (False, 1, UP)])
def test_a_line_of_lgpio_is_claimed_with_its_level_and_pulled_to_it_from_then_on(
    chip: Chip, lgpio: Any, *, high: bool, closed: int, pull: int
) -> None:
    output = GpioValve(lgpio, OPEN, active_high=high)
    assert chip.seen[OPEN] == [(OUTPUT, closed, pull)], "no moment as an input, none at the other level"
    output.set(is_open=True)
    output.close()
    assert chip.now(OPEN) == (INPUT, closed, pull)


def test_what_lgpio_raises_is_a_fault_of_the_line(chip: Chip, lgpio: Any) -> None:
    with pytest.raises(LineFault, match="GPIO 50: cannot be claimed: bad GPIO number"):
        GpioValve(lgpio, 50)
    output = GpioValve(lgpio, OPEN)
    chip.module.__dict__["gpio_read"] = raising("GPIO not allocated")
    with pytest.raises(LineFault, match="GPIO 17: told False: GPIO not allocated"):
        output.set(is_open=False)


def test_a_chip_that_cannot_be_opened_is_a_fault_with_a_sentence(chip: Chip) -> None:
    chip.module.__dict__["gpiochip_open"] = raising("can not open gpiochip")
    with pytest.raises(LineFault, match="'lgpio' does not start: can not open gpiochip"):
        load_factory("lgpio")


def raising(sentence: str) -> Callable[..., Any]:
    def call(*_: Any) -> Any:
        raise LgpioError(sentence)

    return call


# --- the reserve ---


@pytest.mark.parametrize("high", [True, False])
def test_a_level_is_on_at_its_active_level_and_off_when_its_wire_is_broken(mock: Any, *, high: bool) -> None:
    level = GpioLevel(mock, RESERVE, active_high=high)
    pin = mock.pin(RESERVE)
    assert pin.pull == ("down" if high else "up")
    assert not level.is_on()  # the pull alone
    (pin.drive_high if high else pin.drive_low)()
    assert level.is_on()


def test_a_level_that_cannot_be_read_or_claimed_is_a_fault(chip: Chip, lgpio: Any) -> None:
    level: Level = GpioLevel(lgpio, RESERVE)
    chip.jammed.add(RESERVE)
    with pytest.raises(LineFault, match="GPIO 24: cannot be read: GPIO busy"):
        level.is_on()
    with pytest.raises(LineFault, match="GPIO 53: cannot be claimed"):
        GpioLevel(lgpio, 53)


def test_a_fake_level_shows_what_it_is_told_or_faults() -> None:
    level = FakeLevel()
    seen = []
    for level.on in (False, True):
        seen.append(level.is_on())
    assert seen == [False, True]
    level.on = None
    with pytest.raises(LineFault):
        level.is_on()
