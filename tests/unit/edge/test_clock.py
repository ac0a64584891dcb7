from datetime import UTC, datetime, timedelta

from edge.clock import BUILT, TOLERANCE, Clock

NOW = datetime(2026, 11, 23, 5, 30, tzinfo=UTC)


def test_a_board_that_boots_in_1970_is_not_believed() -> None:
    assert not Clock(None, lambda: datetime(1970, 1, 1, tzinfo=UTC)).trusted()
    assert Clock(None, lambda: BUILT).trusted()


def test_a_clock_below_the_last_known_time_is_not_believed_until_it_has_caught_up() -> None:
    times = [NOW - TOLERANCE - timedelta(seconds=1), NOW - TOLERANCE, NOW + timedelta(hours=1), NOW]
    clock = Clock(NOW, lambda: times.pop(0))
    assert [clock.trusted() for _ in range(4)] == [False, True, True, False]


def test_its_time_is_that_of_the_machine() -> None:
    assert Clock(None, lambda: NOW).now() == NOW
    assert Clock(None).now().tzinfo is UTC
