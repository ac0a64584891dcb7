import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.hardware.edges import EVENT, REQUEST, WRAPS_AT, Edges, KernelPulses
from edge.hardware.errors import LineFault

MS = 1_000_000


def count(edges: Edges, at_ns: list[int], first: int = 1) -> int:
    for number, at in enumerate(at_ns, first):
        edges.take(at, number % WRAPS_AT)
    return edges.pulses


def contact(closings: int, bounces: int, *, every_ms: int, closed_ms: int) -> list[int]:
    """When the edges are of a contact that closes so often and bounces for some 10 us at each change."""
    changes = [turn * every_ms * MS + after for turn in range(closings) for after in (0, closed_ms * MS)]
    return [at + bounce * 5_000 for at in changes for bounce in range(2 * bounces + 1)]


def test_the_structures_are_as_long_as_the_kernels() -> None:
    assert (REQUEST.size, EVENT.size) == (592, 48)  # linux/gpio.h; the first is in the number of the call too


def test_without_a_debounce_every_fall_is_a_pulse() -> None:
    assert count(Edges(0), list(range(300))) == 300


@given(closings=st.integers(0, 50), bounces=st.integers(0, 20), closed_ms=st.integers(5, 15))
def test_a_contact_that_bounces_counts_once_for_each_closing(closings: int, bounces: int, closed_ms: int) -> None:
    assert count(Edges(3 * MS), contact(closings, bounces, every_ms=20, closed_ms=closed_ms)) == closings


def test_a_contact_that_stays_closed_for_long_counts_once_although_it_bounces_when_it_opens() -> None:
    edges = Edges(5 * MS)
    changes = contact(1, 5, every_ms=60_000, closed_ms=30_000)
    assert count(edges, changes[:11]) == 1  # from its closing on
    assert count(edges, changes[11:], first=12) == 1


def test_what_the_kernel_had_no_room_for_is_known_by_its_numbers() -> None:
    falls = Edges(0)
    assert count(falls, list(range(10))) == 10
    assert count(falls, list(range(10)), first=111) == 120
    both = Edges(MS)
    told = contact(300, 0, every_ms=4, closed_ms=2)
    assert count(both, told[:20]) == 10
    assert count(both, told[220:], first=221) == 300


@given(lost=st.integers(0, 5000), kept=st.integers(1, 100))
def test_the_count_never_falls(lost: int, kept: int) -> None:
    edges = Edges(0)
    before = edges.pulses
    for number in range(lost + 1, lost + kept + 1):
        edges.take(number * MS, number)
        assert edges.pulses >= before
        before = edges.pulses
    assert edges.pulses == lost + kept


def test_the_kernels_numbers_begin_again_after_four_thousand_million() -> None:
    edges = Edges(0)
    edges.take(0, number=1)
    edges._number = WRAPS_AT - 3
    assert count(edges, list(range(4)), first=WRAPS_AT - 2) == 5


def test_a_chip_that_is_not_there_is_a_fault_with_its_name() -> None:
    with pytest.raises(LineFault, match="GPIO 22 of gpiochip31: cannot be claimed: No such file"):
        KernelPulses(22, chip=31, debounce_us=0)
