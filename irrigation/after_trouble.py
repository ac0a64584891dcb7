"""What becomes of a due watering that trouble cut short, or that nobody could begin: its rest, once, or nothing."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

from irrigation.amount import Dose
from irrigation.bounds import STRICT, aware, slug
from irrigation.dose import asked_s, scaled
from irrigation.identity import is_rest, rest_id
from irrigation.site import Zone

RESUME_WITHIN = timedelta(hours=2)  # as long as a due watering is worth starting late
TOP_UP_WITHIN = timedelta(hours=24)  # the allowed hours of the next night are within it
LEAST_S = 120.0  # less than that is not worth opening a valve for, unless the whole was less


class AfterTrouble(StrEnum):
    """What a program does about a watering that a fault, a reboot or a power cut ended; never one that a person ended.

    Unless a program says otherwise its rest is not given: after a trouble nothing opens by itself.
    """

    SKIP = "skip"
    RESUME = "resume"  # the rest as soon as it can be given, within two hours
    TOP_UP = "top-up"  # what is short in the next allowed hours, within a day


WITHIN = {AfterTrouble.RESUME: RESUME_WITHIN, AfterTrouble.TOP_UP: TOP_UP_WITHIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeUp:
    """The rest of the due watering (or part of one) `of`, to be given once, from `since` on and begun by `until`.

    `cut` is when the trouble was. It has an id of its own, and what cuts it short in turn is made up no more.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    of: str
    program_id: str
    zone_id: str
    dose: Dose
    cut: datetime
    since: datetime
    until: datetime
    params: dict[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        slug(self.program_id, "make-up.program_id")
        slug(self.zone_id, "make-up.zone_id")
        for name in ("cut", "since", "until"):
            aware(getattr(self, name), f"make-up.{name}")
        if is_rest(self.of):
            raise ValueError(f"make-up.of must be a due watering, not itself a make-up: {self.of!r}")

    @property
    def id(self) -> str:
        """The id of the rest as a due watering of its own."""
        return rest_id(self.of)


def shortfall(dose: Dose, zone: Zone, *, open_s: float, litres: float | None, least_s: float = LEAST_S) -> Dose | None:
    """Return what is left of a concrete dose after `open_s` of watering; None when it is too little to be of use.

    Litres are what the meter counted; without that, and for minutes, what is left is reckoned by time. A dose "until
    moisture" keeps its mark, and what is left of its `max_minutes`.
    """
    whole_s = asked_s(dose, zone)
    given = open_s / whole_s if dose.litres is None or litres is None else litres / dose.litres
    left = 1 - given
    if left * whole_s < min(least_s, whole_s):
        return None
    rest = scaled(dose, min(1.0, left))
    if rest is None or rest.max_minutes is None or rest.litres is None:
        return rest
    minutes = rest.max_minutes - open_s / 60
    return replace(rest, max_minutes=minutes) if minutes * 60 >= min(least_s, whole_s) else None
