"""Turns at a shared source: who may take its water when, in rounds that roll over what the source lacked.

A *rota* gives each household a share of every round: minutes of the whole source, or litres. Turns follow one another
in the order of the shares. A turn ends when its share has been on offer, not when the clock says so: while the source
gives nothing the turn stands still, while it gives half the turn lasts twice as long, and those behind it move on.
Round k begins at `anchor` + k x `period_days`, or when the round before it has ended if that is later; what is left of
the period is nobody's turn. It is the *warabandi* of the Indus canals, with the shares kept whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import count, takewhile
from zoneinfo import ZoneInfo

from irrigation.bounds import known_zone, within
from irrigation.calendar import local_to_utc
from irrigation.rota import Rota, ShareUnit

_FURTHEST = timedelta(days=366)  # a share that is not on offer within a year is no turn

Span = tuple[datetime, datetime]
"""From one moment (UTC) to another, the latter not included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One household's time at the source: `amount` in the rota's unit, on offer during `spans` (in order, not empty).

    Not `whole`: the source gives nothing since the last span, and nobody knows until when; or another rota has begun.
    """

    round: int
    household_id: str
    amount: float
    spans: tuple[Span, ...]
    whole: bool = True

    @property
    def start(self) -> datetime:
        """When its water begins."""
        return self.spans[0][0]

    @property
    def end(self) -> datetime | None:
        """When its whole share has been on offer; None if that is not known, or never."""
        return self.spans[-1][1] if self.whole else None

    def covers(self, at: datetime) -> bool:
        """Whether the source is this household's then: not in a night or a shortage that its turn reaches over."""
        return any(start <= at < end for start, end in self.spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What changed hands in a round by a loan or its repayment, in the rota's unit."""

    loan_id: str
    giver: str
    taker: str
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round: when it began, each household's rationed share, what changed hands, and the turns that came of it."""

    number: int
    start: datetime
    entitled: dict[str, float]
    transfers: tuple[Transfer, ...]
    turns: tuple[Turn, ...]


def rounds(rota: Rota, capacity_l_min: float, tz: str, until: datetime) -> Iterator[Round]:
    """Yield the rounds that begin before `until`, in order, from the anchor on.

    `capacity_l_min` is the source's whole flow, above 0, by which litres become time. While the source gives nothing
    and nobody knows until when, the turn that stands is not whole, and it and its round are the last. ValueError for an
    unknown `tz` or a capacity that is not above 0.
    """
    within(capacity_l_min, 0.000001, 1_000_000, "capacity_l_min", "L/min")
    known_zone(tz, "tz")
    yield from takewhile(lambda one: one.start < until, _laid_out(rota, capacity_l_min, tz))


class _LaidOut:
    """A rota's rounds without end, each laid out once: a plan is compiled again and again from the same anchor."""

    def __init__(self, found: Iterator[Round]) -> None:
        self._found, self._next = list[Round](), found

    def __iter__(self) -> Iterator[Round]:
        for place in count():
            while place >= len(self._found):
                one = next(self._next, None)
                if one is None:
                    return
                self._found.append(one)
            yield self._found[place]


@lru_cache(maxsize=64)
def _laid_out(rota: Rota, capacity_l_min: float, tz: str) -> _LaidOut:
    return _LaidOut(_endless(rota, capacity_l_min, ZoneInfo(tz)))


def _endless(rota: Rota, capacity_l_min: float, zone: ZoneInfo) -> Iterator[Round]:
    per_minute = capacity_l_min if rota.unit is ShareUnit.LITRES else 1.0
    lent: dict[str, float] = {}
    anchor = rota.anchor.astimezone(UTC)
    number, at, stands = 0, anchor, False
    while not stands:
        entitled = _entitled(rota, at.astimezone(zone).date())
        amounts, transfers = _lend(rota, number, entitled, lent)
        begun, found = at, []
        for household_id in _order(rota, number):
            amount = amounts[household_id]
            if amount <= 0 or stands:
                continue
            spans, whole = _served(rota, at, amount / per_minute * 60, zone)
            stands = not whole
            if spans:
                found.append(
                    Turn(round=number, household_id=household_id, amount=amount, spans=tuple(spans), whole=whole)
                )
                at = spans[-1][1]
        yield Round(number=number, start=begun, entitled=entitled, transfers=transfers, turns=tuple(found))
        number += 1
        at = max(at, anchor + number * timedelta(days=rota.period_days))


def turns(rota: Rota, capacity_l_min: float, tz: str, until: datetime) -> Iterator[Turn]:
    """Yield the turns of the rounds that begin before `until`, in order; raise as `rounds` does."""
    for one in rounds(rota, capacity_l_min, tz, until):
        yield from one.turns


def on_offer(rota: Rota, turn: Turn, capacity_l_min: float, at: datetime) -> float:
    """Return how much of a turn's amount the source has offered by then, in the rota's unit: all of it once it is over.

    `rota` must be the one that the turn is of, with the same shortages; `capacity_l_min` as in `rounds`.
    """
    if turn.end is not None and turn.end <= at:
        return turn.amount
    minutes = 0.0
    for start, end in turn.spans:
        edge, last = start, min(end, at)
        while edge < last:
            share, until = _flow_share(rota, edge)
            until = last if until is None else min(until, last)
            minutes += share * ((until - edge) / timedelta(minutes=1))
            edge = until
    return min(turn.amount, minutes * (capacity_l_min if rota.unit is ShareUnit.LITRES else 1.0))


def _entitled(rota: Rota, begins: date) -> dict[str, float]:
    pct = next((one.pct for one in rota.rations if one.first <= begins <= one.last), 100.0)
    return {share.household_id: share.amount * pct / 100 for share in rota.shares}


def _lend(
    rota: Rota, number: int, entitled: dict[str, float], lent: dict[str, float]
) -> tuple[dict[str, float], tuple[Transfer, ...]]:
    """Return what each household has after the round's loans and repayments; note in `lent` what is out."""
    amounts = dict(entitled)
    found = []
    for loan in rota.loans:
        if not loan.in_force or number not in {loan.round, loan.repaid_in}:
            continue
        repays = number == loan.repaid_in
        giver, taker = (loan.borrower, loan.lender) if repays else (loan.lender, loan.borrower)
        amount = min(lent.get(loan.id, 0.0) if repays else loan.amount, amounts[giver])
        amounts[giver] -= amount
        amounts[taker] += amount
        lent[loan.id] = lent.get(loan.id, 0.0) + (-amount if repays else amount)
        found.append(Transfer(loan_id=loan.id, giver=giver, taker=taker, amount=amount))
    return amounts, tuple(found)


def _order(rota: Rota, number: int) -> list[str]:
    order = [share.household_id for share in rota.shares]
    for swap in rota.swaps:
        if swap.in_force and swap.round == number:
            a, b = order.index(swap.household_a), order.index(swap.household_b)
            order[a], order[b] = order[b], order[a]
    return order


def _served(rota: Rota, begin: datetime, need_s: float, zone: ZoneInfo) -> tuple[list[Span], bool]:
    """Return when the source offers `need_s` seconds of its whole flow from `begin` on, and whether it does at all."""
    spans: list[Span] = []
    for start, end, rate in _offers(rota, begin, zone):
        done = start + timedelta(seconds=need_s / rate)
        last = end is None or done <= end
        stop = done if end is None else min(done, end)
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], stop)
        else:
            spans.append((start, stop))
        if last:
            return spans, True
        need_s -= rate * (stop - start).total_seconds()
    return spans, False


def _offers(rota: Rota, begin: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime | None, float]]:
    """Yield (from, until, share of the flow) whenever the source gives something, from `begin` on, in order.

    It ends when the source gives nothing for good as far as anybody knows, or after a year. `until` None = for good.
    """
    at = begin
    while at < begin + _FURTHEST:
        share, share_until = _flow_share(rota, at)
        if share_until is None and (share <= 0 or rota.hours is None):
            if share > 0:
                yield at, None, share
            return
        opened, hours_until = _opened(rota, at, zone)
        until = min(edge for edge in (share_until, hours_until) if edge is not None)
        if opened and share > 0:
            yield at, until, share
        at = until


def _flow_share(rota: Rota, at: datetime) -> tuple[float, datetime | None]:
    """Return the share of its flow that the source gives, and until when; None = for good."""
    for one in rota.shortages:
        if at < one.start:
            return 1.0, one.start.astimezone(UTC)
        if one.end is None or at < one.end:
            return one.flow_share, one.end.astimezone(UTC) if one.end else None
    return 1.0, None


def _opened(rota: Rota, at: datetime, zone: ZoneInfo) -> tuple[bool, datetime | None]:
    """Return whether it is one of the hours of the rota, and until when; None = always."""
    if rota.hours is None:
        return True, None
    today = at.astimezone(zone).date()
    days = [today + timedelta(days=ahead) for ahead in (-1, 0, 1, 2)]  # clocks may jump: today is not always enough
    edges = [edge for day in days for edge in _edges(day, rota.hours, zone)]
    until, closes = min(edge for edge in edges if edge[0] > at)  # opening before closing
    return closes, until


@lru_cache(maxsize=1024)
def _edges(day: date, hours: tuple[time, time], zone: ZoneInfo) -> tuple[tuple[datetime, bool], ...]:
    """Return when the hours begin and end on that day, and whether they end."""
    return (local_to_utc(day, hours[0], zone), False), (local_to_utc(day, hours[1], zone), True)
