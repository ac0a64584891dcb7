"""Turns at a shared source: rounds roll over what the source lacked, and the account adds up."""

import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from irrigation.rota import Loan, Ration, Rota, Share, ShareUnit, Shortage, Swap, merged
from irrigation.rounds import Turn, rounds, turns
from irrigation.water_account import Received, accounts, estimated_litres, share_outside

TZ = "Asia/Ho_Chi_Minh"  # UTC+7, no DST
ANCHOR = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)  # Monday 05:00 at the farm
HOUSEHOLDS = ("mai", "lan", "tung")


def rota(**more: Any) -> Rota:
    """Mai 60 minutes, Lan 120, Tung 60, every two days."""
    shares = tuple(
        Share(household_id=who, amount=amount) for who, amount in zip(HOUSEHOLDS, (60, 120, 60), strict=True)
    )
    given_: dict[str, Any] = {
        "source_id": "suoi", "unit": ShareUnit.MINUTES, "anchor": ANCHOR, "period_days": 2, "shares": shares,
    }  # fmt: skip
    return Rota(**given_ | more)


def at(hours: float) -> datetime:
    return ANCHOR + timedelta(hours=hours)


def told(rota_: Rota, days: float = 2, capacity: float = 100) -> list[tuple[str, list[tuple[float, float]]]]:
    """Each turn with its spans in hours since the anchor."""
    return [
        (turn.household_id, [(_hours(start), _hours(end)) for start, end in turn.spans])
        for turn in turns(rota_, capacity, TZ, at(days * 24))
    ]


def _hours(moment: datetime) -> float:
    return round((moment - ANCHOR) / timedelta(hours=1), 3)


def test_turns_follow_one_another_and_each_round_begins_at_its_time() -> None:
    assert told(rota(), days=4) == [
        ("mai", [(0, 1)]), ("lan", [(1, 3)]), ("tung", [(3, 4)]),
        ("mai", [(48, 49)]), ("lan", [(49, 51)]), ("tung", [(51, 52)]),
    ]  # fmt: skip


def test_litres_take_the_time_that_the_source_needs_for_them() -> None:
    by_litres = rota(unit=ShareUnit.LITRES, shares=(Share(household_id="mai", amount=6000),))
    assert told(by_litres, capacity=50) == [("mai", [(0, 2)])]


def test_an_outage_stops_the_turn_and_moves_those_behind_it() -> None:
    out = Shortage(start=at(2), end=at(10))
    assert told(rota(shortages=(out,))) == [
        ("mai", [(0, 1)]), ("lan", [(1, 2), (10, 11)]), ("tung", [(11, 12)]),
    ]  # fmt: skip


def test_half_the_flow_makes_a_turn_twice_as_long() -> None:
    low = Shortage(start=at(0), end=at(4), flow_share=0.5)
    assert told(rota(shortages=(low,))) == [("mai", [(0, 2)]), ("lan", [(2, 5)]), ("tung", [(5, 6)])]


def test_a_round_that_was_kept_long_moves_the_next_one_on_and_slack_takes_it_up_again() -> None:
    out = Shortage(start=at(3), end=at(50))
    assert told(rota(shortages=(out,)), days=6) == [
        ("mai", [(0, 1)]), ("lan", [(1, 3)]), ("tung", [(50, 51)]),
        ("mai", [(51, 52)]), ("lan", [(52, 54)]), ("tung", [(54, 55)]),
        ("mai", [(96, 97)]), ("lan", [(97, 99)]), ("tung", [(99, 100)]),
    ]  # fmt: skip


def test_a_turn_that_an_open_outage_stops_has_no_end_and_is_the_last() -> None:
    found = list(turns(rota(shortages=(Shortage(start=at(2)),)), 100, TZ, at(400)))
    assert [(turn.household_id, turn.whole, turn.end) for turn in found] == [("mai", True, at(1)), ("lan", False, None)]
    assert found[1].covers(at(1.5))
    assert not found[1].covers(at(2.5))


def test_turns_rest_outside_of_the_hours_of_the_rota() -> None:
    by_day = rota(hours=(time(5), time(7)))
    assert told(by_day, days=1) == [("mai", [(0, 1)]), ("lan", [(1, 2), (24, 25)]), ("tung", [(25, 26)])]


def test_hours_that_the_clocks_jump_over_hold_no_water() -> None:
    # Paris, 29 March 2026: 02:00 to 03:00 is not there.
    paris = replace(rota(), anchor=datetime(2026, 3, 28, 12, tzinfo=UTC), hours=(time(2), time(3)))
    (first, *_) = turns(paris, 100, "Europe/Paris", datetime(2026, 4, 1, tzinfo=UTC))
    assert first.spans == ((datetime(2026, 3, 30, 0, tzinfo=UTC), datetime(2026, 3, 30, 1, tzinfo=UTC)),)


def test_a_ration_makes_each_share_smaller_and_the_period_stays() -> None:
    dry = rota(rations=(Ration(first=date(2026, 11, 24), last=date(2026, 11, 26), pct=50),))
    assert told(dry, days=4) == [
        ("mai", [(0, 1)]), ("lan", [(1, 3)]), ("tung", [(3, 4)]),
        ("mai", [(48, 48.5)]), ("lan", [(48.5, 49.5)]), ("tung", [(49.5, 50)]),
    ]  # fmt: skip


def test_a_swap_counts_when_both_sides_have_agreed() -> None:
    swap = Swap(id="s1", round=0, household_a="mai", household_b="lan", agreed=("mai",))
    assert told(rota(swaps=(swap,))) == told(rota())
    both = replace(swap, agreed=("mai", "lan"))
    assert told(rota(swaps=(both,))) == [("lan", [(0, 2)]), ("mai", [(2, 3)]), ("tung", [(3, 4)])]


def test_a_loan_counts_when_both_sides_have_agreed_and_is_paid_back() -> None:
    loan = Loan(id="l1", round=0, lender="lan", borrower="mai", amount=30, repaid_in=1, agreed=("lan",))
    assert told(rota(loans=(loan,))) == told(rota())
    both = replace(loan, agreed=("lan", "mai"))
    assert told(rota(loans=(both,)), days=4) == [
        ("mai", [(0, 1.5)]), ("lan", [(1.5, 3)]), ("tung", [(3, 4)]),
        ("mai", [(48, 48.5)]), ("lan", [(48.5, 51)]), ("tung", [(51, 52)]),
    ]  # fmt: skip


def test_nobody_lends_more_than_they_have_nor_gets_back_more_than_they_lent() -> None:
    much = Loan(id="l1", round=0, lender="mai", borrower="lan", amount=500, repaid_in=1, agreed=("lan", "mai"))
    first, second = list(rounds(rota(loans=(much,)), 100, TZ, at(95)))
    assert [transfer.amount for transfer in first.transfers] == [60]
    assert [(transfer.giver, transfer.amount) for transfer in second.transfers] == [("lan", 60)]
    assert [turn.household_id for turn in first.turns] == ["lan", "tung"]


def test_the_account_says_what_was_entitled_received_and_is_owed() -> None:
    loan = Loan(id="l1", round=0, lender="lan", borrower="mai", amount=30, agreed=("lan", "mai"))
    by_turns = rota(loans=(loan,))
    water = [
        Received(household_id="mai", litres=8000.5, metered=True),
        Received(household_id="lan", litres=estimated_litres(5400, 90), metered=False, outside=1000),
        Received(household_id="stranger", litres=1, metered=True),
    ]
    begun = list(rounds(by_turns, 100, TZ, at(1)))
    found = accounts(by_turns, 100, begun, water, at(2))  # Mai's turn is over, Lan's half an hour in, Tung's to come
    mai, lan, tung = (found[who] for who in HOUSEHOLDS)
    assert (mai.entitled_ml, mai.borrowed_ml, mai.metered_ml) == (6_000_000, 3_000_000, 8_000_500)
    assert (mai.owed_ml, mai.not_taken_ml, mai.beyond_ml) == (0, 999_500, 0)
    assert (lan.lent_ml, lan.estimated_ml, lan.metered_ml, lan.outside_ml) == (3_000_000, 8_100_000, 0, 1_000_000)
    assert (lan.offered_ml, lan.owed_ml, lan.not_taken_ml, lan.beyond_ml) == (3_000_000, 6_000_000, 0, 5_100_000)
    assert (tung.received_ml, tung.owed_ml, tung.not_taken_ml) == (0, 6_000_000, 0)


def test_what_a_shortage_kept_back_is_owed_and_not_called_left() -> None:
    out = rota(shortages=(Shortage(start=at(0.25), end=at(5), flow_share=0.5),))
    found = accounts(out, 100, rounds(out, 100, TZ, at(1)), [], at(1.25))
    assert (found["mai"].offered_ml, found["mai"].not_taken_ml, found["mai"].owed_ml) == (4_500_000,) * 2 + (1_500_000,)


@pytest.mark.parametrize(
    ("first", "last", "outside"), [(0.5, 0.75, 0), (0.5, 1.5, 0.5), (6, 7, 1), (0.5, 0.5, 0), (47.5, 48.5, 0.5)]
)
def test_water_outside_of_the_households_turns_is_known_by_its_time(first: float, last: float, outside: float) -> None:
    found = list(turns(rota(), 100, TZ, at(60)))
    assert share_outside(found, "mai", at(first), at(last)) == outside


def test_shortages_that_overlap_become_one_and_the_worst_counts() -> None:
    low, out = Shortage(start=at(0), end=at(4), flow_share=0.5), Shortage(start=at(2), end=at(6))
    assert merged([out, low]) == (
        Shortage(start=at(0), end=at(2), flow_share=0.5), Shortage(start=at(2), end=at(6)),
    )  # fmt: skip
    assert merged([low, Shortage(start=at(4), flow_share=0.5)]) == (Shortage(start=at(0), flow_share=0.5),)
    assert merged([Shortage(start=at(0), end=at(1), flow_share=1)]) == ()


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (lambda: rota(shares=()), "rota.shares must name at least one household"),
        (lambda: rota(period_days=0), "rota.period_days must be between 1 and 366"),
        (lambda: rota(hours=(time(18), time(5))), "rota.hours must be two times of one day"),
        (lambda: rota(shortages=(Shortage(start=at(2)), Shortage(start=at(3)))), "only the last may have no end"),
        (lambda: Shortage(start=at(2), end=at(1)), "shortage.end must be after shortage.start"),
        (lambda: Ration(first=date(2026, 5, 2), last=date(2026, 5, 1), pct=50), "ration.last must not be before"),
        (lambda: Swap(id="s1", round=0, household_a="mai", household_b="mai"), "two different households"),
        (
            lambda: Swap(id="s1", round=0, household_a="mai", household_b="lan", agreed=("tung",)),
            "only mai and lan can",
        ),
        (lambda: rota(swaps=(Swap(id="s1", round=0, household_a="mai", household_b="hoa"),)), "hoa, who has no share"),
        (
            lambda: Loan(id="l1", round=3, lender="mai", borrower="lan", amount=1, repaid_in=3),
            "repaid_in must be a round after 3",
        ),
        (lambda: list(turns(rota(), 0, TZ, at(1))), "capacity_l_min must be"),
        (lambda: list(turns(rota(), 1, "Mars/Base", at(1))), "tz must be an IANA time zone"),
    ],
)
def test_what_cannot_be_a_rota_says_why(broken: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        broken()


# --- laws -----------------------------------------------------------------------------------------------------------

amounts = st.floats(1, 600).map(lambda value: round(value, 1))


@st.composite
def rotas(draw: st.DrawFn) -> Rota:
    """Any rota of these households, with shortages that end, hours, a ration and agreements."""
    edges = sorted(draw(st.lists(st.integers(0, 240), max_size=6, unique=True)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    shortages = tuple(
        Shortage(start=at(first), end=at(last), flow_share=draw(st.sampled_from([0, 0.25, 0.5, 0.9])))
        for first, last in pairs
    )
    sides = st.sampled_from(HOUSEHOLDS)
    loans = []
    for number in range(draw(st.integers(0, 3))):
        lender, borrower = draw(sides), draw(sides)
        if lender != borrower:
            first = draw(st.integers(0, 3))
            agreed = draw(st.sampled_from([(lender,), (lender, borrower)]))
            back = draw(st.sampled_from([None, first + 1, first + 2]))
            loans.append(
                Loan(id=f"l{number}", round=first, lender=lender, borrower=borrower, amount=draw(amounts),
                     repaid_in=back, agreed=agreed)
            )  # fmt: skip
    swap = Swap(id="s1", round=draw(st.integers(0, 3)), household_a="mai", household_b="tung", agreed=("mai", "tung"))
    return rota(
        unit=draw(st.sampled_from(ShareUnit)), period_days=draw(st.integers(1, 4)),
        shares=tuple(Share(household_id=who, amount=draw(amounts)) for who in HOUSEHOLDS),
        hours=draw(st.sampled_from([None, (time(5), time(18)), (time(22, 30), time(23))])),
        rations=(Ration(first=date(2026, 11, 24), last=date(2026, 11, 27), pct=draw(st.sampled_from([0, 40, 100]))),),
        shortages=shortages, swaps=draw(st.sampled_from([(), (swap,)])), loans=tuple(loans),
    )  # fmt: skip


def offered(one: Turn, by: Rota, capacity: float) -> float:
    """What the source offers during a turn, counted minute by minute's edges: in the rota's unit."""
    total = 0.0
    for start, end in one.spans:
        edges = sorted({start, end, *[e for s in by.shortages for e in (s.start, s.end) if e and start < e < end]})
        for first, last in itertools.pairwise(edges):
            share = next((s.flow_share for s in by.shortages if s.start <= first < (s.end or last)), 1.0)
            total += share * (last - first).total_seconds() / 60
    return total * (capacity if by.unit is ShareUnit.LITRES else 1.0)


@given(rotas(), st.floats(1, 200))
def test_every_whole_turn_offers_its_amount_and_no_two_overlap(by: Rota, capacity: float) -> None:
    found = list(turns(by, capacity, TZ, at(24 * 8)))
    for one in found:
        assert offered(one, by, capacity) == pytest.approx(one.amount, rel=1e-4, abs=1e-3)
    spans = [span for one in found for span in one.spans]
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    if by.hours is not None:
        for start, end in spans:
            assert by.hours[0] <= (start + timedelta(hours=7)).time()
            assert (end + timedelta(hours=7)).time() <= by.hours[1]


@given(
    rotas(), st.floats(1, 200), st.lists(st.tuples(st.sampled_from(HOUSEHOLDS), amounts, st.booleans())),
    st.floats(0, 24 * 8),
)  # fmt: skip
def test_the_accounts_add_up(by: Rota, capacity: float, taken: list[tuple[str, float, bool]], now_h: float) -> None:
    begun = list(rounds(by, capacity, TZ, at(now_h)))
    water = [Received(household_id=who, litres=litres, metered=metered) for who, litres, metered in taken]
    found = accounts(by, capacity, begun, water, at(now_h)).values()
    assert sum(one.lent_ml for one in found) == sum(one.borrowed_ml for one in found)
    assert sum(one.received_ml for one in found) == sum(round(litres * 1000) for _, litres, _ in taken)
    for one in found:
        due = one.entitled_ml - one.lent_ml + one.borrowed_ml
        assert due == one.received_ml + one.not_taken_ml + one.owed_ml - one.beyond_ml
        assert min(one.not_taken_ml, one.beyond_ml) == 0
        assert one.owed_ml >= -1  # half a ml of each turn under way is rounded
    for one_round in begun:
        if all(turn.whole for turn in one_round.turns):
            assert sum(turn.amount for turn in one_round.turns) == pytest.approx(sum(one_round.entitled.values()))


@given(rotas(), st.floats(1, 200), st.floats(0, 24 * 8))
def test_an_account_is_the_sum_of_those_of_its_rounds(by: Rota, capacity: float, now_h: float) -> None:
    begun = list(rounds(by, capacity, TZ, at(now_h)))
    whole = accounts(by, capacity, begun, [], at(now_h))
    each = [accounts(by, capacity, [one], [], at(now_h)) for one in begun]
    for household in HOUSEHOLDS:
        for field in ("entitled_ml", "lent_ml", "borrowed_ml", "offered_ml", "owed_ml"):
            assert getattr(whole[household], field) == sum(getattr(one[household], field) for one in each), field


@given(rotas(), st.randoms(use_true_random=False))
def test_in_which_order_agreements_and_rations_were_written_changes_no_account(by: Rota, chance: random.Random) -> None:
    # Loans of one giver in one round are served first come, first served: their order is part of what was agreed.
    rounds_of = [loan.round for loan in by.loans] + [loan.repaid_in for loan in by.loans]
    assume(len(set(rounds_of)) == len(rounds_of))
    other = replace(by, loans=tuple(chance.sample(by.loans, len(by.loans))), swaps=by.swaps[::-1])
    assert list(rounds(other, 50, TZ, at(96))) == list(rounds(by, 50, TZ, at(96)))


@given(rotas(), st.lists(st.tuples(st.floats(0, 200), st.floats(0.1, 60), st.sampled_from([0.0, 0.3, 1.0]))))
def test_merged_shortages_say_of_every_moment_what_the_worst_of_them_says(
    by: Rota, more: list[tuple[float, float, float]]
) -> None:
    each = [*by.shortages, *(Shortage(start=at(a), end=at(a + b), flow_share=share) for a, b, share in more)]
    found = merged(each)
    rota(shortages=found)  # in order, without overlap
    for moment in [one.start for one in each] + [one.end for one in each if one.end]:
        worst = min((s.flow_share for s in each if s.start <= moment and (s.end is None or moment < s.end)), default=1)
        told = next((s.flow_share for s in found if s.start <= moment and (s.end is None or moment < s.end)), 1)
        assert told == worst


@given(rotas())
def test_an_agreement_that_one_side_has_not_given_changes_nothing(by: Rota) -> None:
    alone = replace(by, loans=tuple(replace(loan, agreed=(loan.lender,)) for loan in by.loans))
    assert list(turns(alone, 50, TZ, at(96))) == list(turns(replace(by, loans=()), 50, TZ, at(96)))
