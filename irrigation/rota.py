"""Who shares a source by turns, how much of each round is whose, and what was agreed, rationed and lacking.

How the rounds come of it is in irrigation/rounds.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from enum import StrEnum
from typing import Any, ClassVar

from irrigation.bounds import STRICT, aware, slug, within


class ShareUnit(StrEnum):
    """In what a rota counts: minutes of the whole source, or litres."""

    MINUTES = "minutes"
    LITRES = "litres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A household's part of each round, in the rota's unit."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    household_id: str
    amount: float

    def __post_init__(self) -> None:
        slug(self.household_id, "share.household_id")
        within(self.amount, 0.1, 10_000_000, f"share of {self.household_id}: amount", "minutes or litres")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ration:
    """Each share is `pct` % of itself in rounds that begin on farm-local dates from `first` to `last`, both included.

    That is the dry-season ration: rounds keep their period, so less water is given out.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    first: date
    last: date
    pct: float

    def __post_init__(self) -> None:
        within(self.pct, 0, 100, "ration.pct", "%")
        if self.last < self.first:
            raise ValueError(f"ration.last must not be before ration.first, {self.first}, as {self.last} is")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """The source gives only `flow_share` (0 = nothing, 1 = all) of its flow from `start` on; `end` None = still."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    start: datetime
    end: datetime | None = None
    flow_share: float = 0.0

    def __post_init__(self) -> None:
        aware(self.start, "shortage.start")
        within(self.flow_share, 0, 1, "shortage.flow_share", "of the source's flow")
        if self.end is not None and aware(self.end, "shortage.end") <= self.start:
            raise ValueError(f"shortage.end must be after shortage.start, {self.start}, not {self.end}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """Two households change places in one round, each with its own share; in force when both have agreed."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    id: str
    round: int
    household_a: str
    household_b: str
    agreed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _between(self.id, "swap", self.round, self.household_a, self.household_b, self.agreed)

    @property
    def in_force(self) -> bool:
        """Whether both sides have agreed."""
        return {self.household_a, self.household_b} <= set(self.agreed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """One household gives another `amount` of its share in a round, and gets it back in a later one, if one is named.

    In force when both have agreed. Nobody lends more than the share that a round leaves them: the rest stays unlent.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    id: str
    round: int
    lender: str
    borrower: str
    amount: float
    repaid_in: int | None = None
    agreed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _between(self.id, "loan", self.round, self.lender, self.borrower, self.agreed)
        within(self.amount, 0.1, 10_000_000, f"loan {self.id}: amount", "minutes or litres")
        if self.repaid_in is not None and self.repaid_in <= self.round:
            raise ValueError(f"loan {self.id}: repaid_in must be a round after {self.round}, not {self.repaid_in}")

    @property
    def in_force(self) -> bool:
        """Whether both sides have agreed."""
        return {self.lender, self.borrower} <= set(self.agreed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rota:
    """The turns at one source. `hours`: the farm-local times of day between which turns run; None = day and night."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    source_id: str
    unit: ShareUnit
    anchor: datetime
    period_days: int
    shares: tuple[Share, ...]
    hours: tuple[time, time] | None = None
    rations: tuple[Ration, ...] = ()
    shortages: tuple[Shortage, ...] = ()
    swaps: tuple[Swap, ...] = ()
    loans: tuple[Loan, ...] = ()

    def __post_init__(self) -> None:
        slug(self.source_id, "rota.source_id")
        aware(self.anchor, "rota.anchor")
        within(self.period_days, 1, 366, "rota.period_days", "days")
        names = [share.household_id for share in self.shares]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"rota.shares must name at least one household, each only once, not {names}")
        if self.hours is not None and self.hours[0] >= self.hours[1]:
            raise ValueError(
                "rota.hours must be two times of one day, the first before the second, such as 05:00 and 18:00"
            )
        ends = [shortage.end for shortage in self.shortages]
        starts = [shortage.start for shortage in self.shortages]
        if starts != sorted(starts) or any(
            end is None or end > start for end, start in zip(ends, starts[1:], strict=False)
        ):
            raise ValueError("rota.shortages must stand in order and not overlap; only the last may have no end")
        sides = [(one.id, {one.household_a, one.household_b}) for one in self.swaps]
        sides += [(one.id, {one.lender, one.borrower}) for one in self.loans]
        for name, households in sides:
            if strangers := households - set(names):
                raise ValueError(f"rota: {name} names {', '.join(sorted(strangers))}, who has no share")


def merged(shortages: Iterable[Shortage]) -> tuple[Shortage, ...]:
    """Return shortages that may overlap as a rota takes them: in order, where several hold the worst of them counts."""
    found: list[Shortage] = []
    each = tuple(shortages)
    edges = sorted({one.start for one in each} | {one.end for one in each if one.end is not None})
    for start, end in zip(edges, [*edges[1:], None], strict=False):
        share = min(
            (one.flow_share for one in each if one.start <= start and (one.end is None or start < one.end)), default=1.0
        )
        if found and found[-1].end == start and found[-1].flow_share == share:
            found[-1] = replace(found[-1], end=end)
        elif share < 1:
            found.append(Shortage(start=start, end=end, flow_share=share))
    return tuple(found)


def _between(name: str, what: str, number: int, a: str, b: str, agreed: tuple[str, ...]) -> None:
    slug(name, f"{what}.id")
    slug(a, f"{what} {name}: a household")
    slug(b, f"{what} {name}: a household")
    within(number, 0, 100_000, f"{what} {name}: round", "")
    if a == b:
        raise ValueError(f"{what} {name}: two different households are needed, not {a!r} twice")
    if not set(agreed) <= {a, b}:
        raise ValueError(
            f"{what} {name}: only {a} and {b} can agree to it, not {', '.join(sorted(set(agreed) - {a, b}))}"
        )
