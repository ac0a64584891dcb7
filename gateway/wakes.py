"""Moments at which the gateway must look again, by APScheduler. A wake only sets an event; the work is a task's."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler

Wake = Callable[[], None]


class Wakes:
    """Named wakes; a new moment for a name takes the place of the old one. One that was missed rings at once."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 3}
        )
        self._set: dict[str, datetime] = {}

    def __enter__(self) -> Self:
        self._scheduler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scheduler.shutdown(wait=False)

    def at(self, name: str, moment: datetime | None, wake: Wake) -> None:
        """Ring at that moment; None takes the wake away."""
        if moment == self._set.get(name):
            return
        if moment is None:
            self._set.pop(name, None)
            with suppress(JobLookupError):  # it has rung
                self._scheduler.remove_job(name)
            return
        self._set[name] = moment
        self._scheduler.add_job(self._ring, "date", run_date=moment, args=[name, wake], id=name, replace_existing=True)

    def every(self, name: str, seconds: float, wake: Wake) -> None:
        """Ring again and again."""
        self._scheduler.add_job(
            self._ring, "interval", seconds=seconds, args=[name, wake], id=name, replace_existing=True
        )

    async def _ring(self, name: str, wake: Wake) -> None:  # not a plain function: APScheduler calls those in a thread
        self._set.pop(
            name, None
        )  # a timer can be early by the clock of the calendar: then the same moment is set again
        wake()
