"""The probes of one wire, read by a thread of their own: one that hangs stops nobody on another wire."""

import asyncio
import logging
import math
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from queue import SimpleQueue

from edge.hardware.drivers.driver import ProbeSettings
from edge.hardware.errors import LineFault, ProbeFault
from edge.hardware.ports import Hardware, Probe, Sample

log = logging.getLogger(__name__)

Samples = tuple[Sample, ...]


class Bus:
    """One wire and its probes. At most one read of each waits, so what waits is bounded by the wiring."""

    def __init__(self, name: str, probes: Iterable[ProbeSettings], hardware: Hardware) -> None:
        self.name = name
        self.probes = tuple(probes)
        self._hardware = hardware
        self._open: dict[str, Probe] = {}
        self._reads: dict[str, _Read] = {}
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon: a driver that hangs for ever must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name=f"bus {name}", daemon=True)

    async def read(self, settings: ProbeSettings) -> Samples:
        """Return what the probe measures now; raise LineFault, as ProbeFault `hung` after its patience_s.

        A read that hangs goes on; what it brings later is dropped, and until then no other is begun.
        """
        while True:
            read = self._under_way(settings) or self._begin(settings)
            done, _ = await asyncio.wait([read.answer], timeout=settings.patience_s)
            if not done:
                read.late = True
                raise ProbeFault("hung", f"{self.name}: no answer in {settings.patience_s:g} s")
            if not read.late:
                return read.answer.result()

    async def read_all(self) -> dict[str, Samples | LineFault]:
        """Return what each probe measures now, or its fault; after one that hangs nobody else is waited for."""
        found: dict[str, Samples | LineFault] = {}
        hung: LineFault | None = None
        for settings in self.probes:
            if hung is not None:
                found[settings.sensor] = hung
                continue
            try:
                found[settings.sensor] = await self.read(settings)
            except LineFault as exc:
                found[settings.sensor] = exc
                if isinstance(exc, ProbeFault) and exc.code == "hung":
                    hung = exc
        return found

    def close(self) -> None:
        """Let the thread end after what it is doing; a read that hangs is no longer waited for."""
        for read in self._reads.values():
            read.answer.cancel()
        self._jobs.put(None)

    def _under_way(self, settings: ProbeSettings) -> "_Read | None":
        read = self._reads.get(settings.sensor)
        return None if read is None or read.answer.done() else read

    def _begin(self, settings: ProbeSettings) -> "_Read":
        answer: Future[Samples] = Future()

        def job() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            try:
                answer.set_result(self._read(settings))
            except LineFault as exc:
                answer.set_exception(exc)
            except Exception as exc:  # noqa: BLE001 - a supervisor: drivers are other people's code
                fault = ProbeFault("driver-failed", f"{settings.driver}: {exc!r}")
                fault.__cause__ = exc
                answer.set_exception(fault)

        if self._thread.ident is None:
            self._thread.start()
        self._jobs.put(job)
        read = self._reads[settings.sensor] = _Read(asyncio.wrap_future(answer))
        return read

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
        for sensor, probe in self._open.items():
            try:
                probe.close()
            except Exception:
                log.exception("driver failed at its end sensor=%s", sensor)

    def _read(self, settings: ProbeSettings) -> Samples:
        probe = self._open.get(settings.sensor)
        if probe is None:
            probe = self._open[settings.sensor] = settings.open(self._hardware)
        samples = probe.read()
        for sample in samples:
            if not math.isfinite(sample.raw):
                raise ProbeFault("not-a-number", f"{settings.sensor}: {sample.quantity} is {sample.raw}")
        return samples


def buses(probes: Iterable[ProbeSettings], hardware: Hardware) -> dict[str, Bus]:
    """Return the buses that the probes are on, by name."""
    on: dict[str, list[ProbeSettings]] = {}
    for probe in probes:
        on.setdefault(probe.bus, []).append(probe)
    return {name: Bus(name, members, hardware) for name, members in on.items()}


class _Read:
    """A read under way or done."""

    def __init__(self, answer: "asyncio.Future[Samples]") -> None:
        self.answer = answer
        self.late = False
        """It hung for longer than its patience: nobody knows when it measured."""
        answer.add_done_callback(_looked_at)


def _looked_at(answer: "asyncio.Future[Samples]") -> None:
    if not answer.cancelled():
        answer.exception()  # what comes after everybody has stopped waiting is nobody's error
