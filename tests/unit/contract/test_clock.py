"""What a machine can know of the time: each test sets its clock and lets monotonic seconds pass."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.clock import EARLIEST, TOLERANCE, Clock, kernel_keeps_time, set_from_battery

NOW = datetime(2026, 11, 23, 5, 30, tzinfo=UTC)
WOKEN = datetime(1970, 1, 1, 0, 0, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


class Machine:
    """A machine's two clocks, which a test sets and lets run."""

    def __init__(self, shows: datetime, *, kept: bool = False) -> None:
        self.shows = shows
        self.kept = kept
        self.up_s = 100.0

    def clock(self, last_known: datetime | None, *, proof: bool = False) -> Clock:
        return Clock(last_known, lambda: self.shows, monotonic=lambda: self.up_s, kept=lambda: self.kept, proof=proof)

    def passes(self, span: timedelta) -> None:
        self.shows += span
        self.up_s += span.total_seconds()


@pytest.mark.parametrize(
    ("shows", "last_known", "trusted"),
    [
        (WOKEN, None, False),
        (EARLIEST - TOLERANCE - SECOND, None, False),
        (EARLIEST, None, True),
        (NOW, None, True),
        (NOW, NOW + TOLERANCE, True),
        (NOW, NOW + TOLERANCE + SECOND, False),
        (NOW, NOW - 1000 * HOUR, True),
        (WOKEN, WOKEN, False),
    ],
)
def test_a_clock_below_the_last_known_time_is_not_believed(
    shows: datetime, last_known: datetime | None, trusted: bool
) -> None:
    assert Machine(shows).clock(last_known).trusted() is trusted


def test_while_it_is_believed_it_tells_the_machines_time() -> None:
    machine = Machine(NOW)
    clock = machine.clock(NOW - HOUR)
    assert clock.now() == NOW
    machine.passes(HOUR)
    assert (clock.now(), clock.untrusted_s()) == (NOW + HOUR, 0.0)
    assert Clock(None).now().tzinfo is UTC


def test_a_machine_that_wakes_in_1970_tells_the_last_known_time_and_what_has_passed_since() -> None:
    machine = Machine(WOKEN)
    clock = machine.clock(NOW)
    machine.passes(2 * HOUR)
    assert (clock.now(), clock.trusted(), clock.untrusted_s()) == (NOW + 2 * HOUR, False, 7200.0)
    machine.shows = NOW + 9 * HOUR
    assert (clock.now(), clock.trusted(), clock.untrusted_s()) == (NOW + 9 * HOUR, True, 0.0)


def test_a_clock_that_jumps_back_while_it_runs_is_not_followed() -> None:
    machine = Machine(NOW)
    clock = machine.clock(None)
    assert clock.trusted()
    machine.passes(HOUR)
    machine.shows -= 3 * HOUR
    assert (clock.now(), clock.trusted()) == (NOW + HOUR, False)
    machine.passes(2 * HOUR)
    assert clock.now() == NOW + 3 * HOUR


def test_small_steps_back_do_not_add_up() -> None:
    machine = Machine(NOW)
    clock = machine.clock(None)
    for _ in range(3):
        assert clock.trusted()
        machine.shows -= TOLERANCE / 2
    assert not clock.trusted()


def test_a_clock_that_had_jumped_ahead_is_believed_again_when_the_kernel_keeps_it_right() -> None:
    machine = Machine(NOW.replace(year=2099))
    clock = machine.clock(NOW)
    assert clock.trusted()
    machine.shows = NOW
    assert not clock.trusted()
    machine.kept = True
    assert (clock.now(), clock.trusted()) == (NOW, True)
    machine.kept = False
    assert clock.trusted()
    machine.shows, machine.kept = WOKEN, True  # nobody keeps a clock right at 1970
    assert not clock.trusted()


def test_what_a_message_was_stamped_with_is_past() -> None:
    machine = Machine(WOKEN)
    clock = machine.clock(None)
    assert clock.now() == EARLIEST
    clock.heard(NOW)
    clock.heard(NOW - HOUR)
    machine.passes(SECOND)
    assert (clock.now(), clock.trusted()) == (NOW + SECOND, False)
    machine.shows = NOW - HOUR  # awake again at the hour when it was switched off: later than 1970, and yet wrong
    assert not clock.trusted()


def test_the_word_of_a_better_clock_ends_the_reign_of_one_that_ran_ahead_and_was_set_right() -> None:
    machine = Machine(NOW + HOUR)
    clock = machine.clock(None)
    assert clock.trusted()
    clock.vouched(NOW)
    assert (clock.now(), clock.trusted()) == (NOW + HOUR, True)  # it still shows more: nothing else is known
    machine.shows = NOW  # a person sets it right, without NTP
    assert not clock.trusted()
    clock.vouched(NOW - TOLERANCE)
    assert (clock.now(), clock.trusted()) == (NOW, True)


def test_the_word_of_a_better_clock_is_not_the_machines() -> None:
    machine = Machine(WOKEN)
    clock = machine.clock(NOW + 6 * HOUR)
    clock.vouched(NOW)
    machine.passes(SECOND)
    assert (clock.now(), clock.trusted()) == (NOW + SECOND, False)
    clock.vouched(WOKEN)
    assert clock.now() == EARLIEST


def test_what_a_clock_gains_at_once_was_set_and_what_it_gains_slowly_was_not() -> None:
    machine = Machine(NOW)
    clock = machine.clock(NOW - HOUR)
    assert clock.set_ahead() == timedelta(0)
    machine.passes(HOUR)
    machine.shows += SECOND
    assert clock.set_ahead() == timedelta(0)
    machine.shows += HOUR / 3
    machine.passes(HOUR)
    assert clock.set_ahead() == HOUR / 3
    machine.shows -= HOUR
    assert clock.set_ahead() == HOUR / 3


def test_with_proof_asked_for_a_clock_that_nobody_has_set_is_not_believed() -> None:
    machine = Machine(NOW + SECOND)
    clock = machine.clock(NOW, proof=True)
    assert (clock.trusted(), clock.now()) == (False, NOW)
    machine.kept = True
    assert (clock.trusted(), clock.now()) == (True, NOW + SECOND)
    machine.kept = False  # the line is down again: the time it was given runs on
    assert clock.trusted()


def test_a_battery_is_proof_and_a_chip_that_was_not_asked_is_none(tmp_path: Path) -> None:
    assert not set_from_battery(tmp_path / "no-such-folder")
    for number, answer in enumerate(("0\n", "1\n")):
        (tmp_path / f"rtc{number}").mkdir()
        (tmp_path / f"rtc{number}" / "hctosys").write_text(answer)
        assert set_from_battery(tmp_path) is (answer == "1\n")


def test_the_kernel_answers_whether_it_keeps_time() -> None:
    assert kernel_keeps_time() in (True, False)
