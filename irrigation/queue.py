"""The queue of what people asked for and the source could not give yet."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

from irrigation.amount import Dose
from irrigation.bounds import STRICT, aware, slug, within

QUEUE_LIFE = timedelta(hours=6)
"""What has not begun so long after it was asked for does not begin any more, whoever was away meanwhile."""


class QueuePolicy(StrEnum):
    """Where a watering that a person asks for stands in the queue of its source."""

    APPEND = "append"  # after what is queued, and in the gaps that programs leave
    FRONT = "front"  # next: what is queued waits, and so do programs
    REPLACE = "replace"  # what runs at its source is stopped and what is queued there cancelled; then as `front`


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """One asked watering that waits. It begins from `since` on, and is given up at `until`. `front`: before programs.

    It begins `soak_s` after the end of the one that it comes `after`, a part of the same watering, and not at all when
    that was not given whole; and `pause_s` after the end of the one that it stands `behind`, whatever became of that.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    run_id: str
    zone_id: str
    dose: Dose
    since: datetime
    until: datetime
    front: bool = False
    after: str | None = None
    soak_s: int = 0
    behind: str | None = None
    pause_s: int = 0

    def __post_init__(self) -> None:
        slug(self.zone_id, "queued.zone_id")
        aware(self.since, "queued.since")
        aware(self.until, "queued.until")
        within(self.soak_s, 0, 86_400, f"queued {self.run_id}: soak_s", "s")
        within(self.pause_s, 0, 3600, f"queued {self.run_id}: pause_s", "s")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """When a queued watering is expected to begin; None where it will find no room before it is given up."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    run_id: str
    zone_id: str
    until: datetime
    start: datetime | None = None
