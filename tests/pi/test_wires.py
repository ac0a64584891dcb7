"""What is wired to an emulated Raspberry Pi: its agent counts a meter's pulses and reads a converter, by the kernel alone.

The contact is a line of gpio-sim, the converter one of i2c-stub, and both are worked from the serial line. Only Debian's
own kernel has them: it is the same driver code in either.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from signal import SIGHUP, SIGKILL
from typing import Any

import pytest

from contract.messages import Quality, Quantity, Reading
from irrigation.model import Dose
from irrigation.run import RunState
from tests.pi.board import AGENT, METERED, METERED_ZONE, PATIENCE_S, PIN_METERED, PULSES_PER_LITRE, Board, Gateway
from tests.pi.card import RELEASING

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.parametrize("board", [RELEASING], ids=[RELEASING.name], indirect=True, scope="session"),
]

TRIES = 5
STOOD_STILL = {"not-renewed", "guard-lost", "expired"}
METER, CONVERTER, NO_CONVERTER = f"{METERED}-meter", "soil-48", "soil-49"


class Dry(Exception):
    """The emulator stood still for longer than a guard waits for its agent, and the board said so."""


class Run:
    """A run of the metered valve. Whatever waits for it raises Dry, or AssertionError when it ended in another way."""

    def __init__(self, board: Board, gateway: Gateway, run_id: str) -> None:
        self.id = run_id
        self._board = board
        self._gateway = gateway
        self._order = ""

    async def start(self, litres: float) -> None:
        """Return once its line is on, seen from outside."""
        dose = Dose(litres=litres)
        zone_id = METERED_ZONE.zone_id
        self._order = await self._gateway.open(self.id, zone_id=zone_id, channel=METERED, max_s=600.0, dose=dose)
        await self.until(lambda: RunState.OPEN in self._gateway.states_of(self.id))
        await self.is_on()

    async def is_on(self) -> None:
        if not self._board.pi.line(PIN_METERED).on():
            self.ended_by(await self.end())

    async def until(self, what: Callable[[], Any]) -> None:
        await self._gateway.until(lambda: what() or self._gateway.is_over(self._order, self.id))
        if not what():
            self.ended_by(await self.end())

    async def counted(self, litres: float) -> None:
        """Return once the board shows that so much has flowed in this run."""
        try:
            await self.until(lambda: self._shown() == litres)
        except TimeoutError:
            raise AssertionError(f"{self.id} shows {self._shown()} L, not {litres}") from None

    async def end(self) -> str:
        return await self._gateway.why_over(self._order, self.id)

    def _shown(self) -> float | None:
        runs = [valve.run for valve in self._gateway.states[-1].valves if valve.run is not None]
        return next((run.litres for run in runs if run.run_id == self.id), None)

    def ended_by(self, code: str) -> None:
        if code in STOOD_STILL:
            raise Dry
        raise AssertionError(f"{self.id} ended by {code}: {self._gateway.runs(self.id)}")


async def not_dry(board: Board, gateway: Gateway, name: str, attempt: Callable[[Run], Awaitable[None]]) -> None:
    """Make the attempt with a run, and again while the board ends the run because it stood still."""
    for number in range(TRIES):
        try:
            return await attempt(Run(board, gateway, f"{name}-{number}"))
        except Dry:
            await gateway.ready()
    raise AssertionError(f"{TRIES} runs ended dry")


async def look(board: Board, gateway: Gateway) -> dict[str, Reading]:
    """Have the board read all at once, as whoever has calibrated does; return moistures and litres by their sensors."""
    asked_at = float(await asyncio.to_thread(board.pi.sh, "echo $EPOCHREALTIME"))
    board.signal(AGENT, SIGHUP)

    def told() -> dict[str, Reading]:
        fresh = [one for one in told_of(gateway) if one.at.timestamp() >= asked_at]
        found = {one.sensor: one for one in fresh}
        return found if found.keys() >= {METER, CONVERTER, NO_CONVERTER} else {}

    found: dict[str, Reading] = await gateway.until(told)
    return found


async def pulses(board: Board, gateway: Gateway) -> float:
    """Return the meter's total, as the board tells it with the litres that it is."""
    reading = (await look(board, gateway))[METER]
    assert (reading.raw_unit, reading.quality) == ("pulses", Quality.GOOD)
    assert reading.raw is not None
    assert reading.value == reading.raw / PULSES_PER_LITRE
    return reading.raw


def told_of(gateway: Gateway) -> list[Reading]:
    return [one for one in gateway.readings if one.quantity in {Quantity.SOIL_MOISTURE, Quantity.VOLUME}]


async def test_closes_when_the_agent_is_killed_and_what_the_meter_has_counted_outlives_it(
    board: Board, gateway: Gateway
) -> None:
    before, pressed_before = await pulses(board, gateway), board.pressed

    async def attempt(run: Run) -> None:
        await run.start(litres=100.0)
        await asyncio.to_thread(board.press, 120)
        await run.counted(1.2)
        # Told ten seconds after the last pulse. What is counted is written down every two.
        await run.until(lambda: gateway.states_of(run.id)[-2:] == [RunState.WATERING, RunState.OPEN])
        allowed_s = board.allowed_s()
        at_s = board.signal(AGENT, SIGKILL)
        await asyncio.to_thread(board.pi.watch, PIN_METERED, on=False, within_s=PATIENCE_S)
        took_s = time.monotonic() - at_s
        if (code := await run.end()) != "restarted":
            run.ended_by(code)
        board.note(f"agent {SIGKILL.name} to line closed, s", took_s)
        assert took_s <= allowed_s
        await gateway.ready()
        assert gateway.states_of(run.id).count(RunState.INTERRUPTED) == 1
        assert gateway.runs(run.id)[-1].litres == 1.2

    await not_dry(board, gateway, "killed", attempt)
    assert not board.pi.line(PIN_METERED).on()
    assert await pulses(board, gateway) == before + board.pressed - pressed_before
    litres = [one.value for one in told_of(gateway) if one.sensor == METER and one.value is not None]
    assert litres == sorted(litres)


async def test_a_run_ends_when_the_kernel_has_counted_its_litres(board: Board, gateway: Gateway) -> None:
    before, pressed_before = await pulses(board, gateway), board.pressed

    async def attempt(run: Run) -> None:
        await run.start(litres=3.0)
        await asyncio.to_thread(board.press, 290)
        await run.counted(2.9)
        await run.is_on()
        await asyncio.to_thread(board.press, 10)
        if (code := await run.end()) != "done":
            run.ended_by(code)
        await asyncio.to_thread(board.pi.watch, PIN_METERED, on=False, within_s=PATIENCE_S)
        assert (await gateway.reached(run.id, RunState.DONE)).litres == 3.0

    await not_dry(board, gateway, "litres", attempt)
    assert await pulses(board, gateway) == before + board.pressed - pressed_before


async def test_a_converter_is_read_by_the_kernels_bus_and_one_that_is_taken_out_is_told(
    board: Board, gateway: Gateway
) -> None:
    async def hold(word: int) -> Reading:
        """Have the converter hold that code, and return what the board says of it."""
        low_first = word >> 8 | (word & 0xFF) << 8
        await asyncio.to_thread(board.pi.sh, f"i2cset -y 0 0x48 0 {low_first:#06x} w")
        readings = await look(board, gateway)
        assert (readings[NO_CONVERTER].quality, readings[NO_CONVERTER].reason) == (Quality.BAD, "no-answer")
        return readings[CONVERTER]

    # 2.048 V and 0.9 V of a probe at 3.3 V; 60 % at a share of 0.2 and 0 % at 0.8.
    for code, share, moisture_pct in ((16384, 0.62061, 17.939), (7200, 0.27273, 52.727)):
        reading = await hold(code)
        assert (reading.quality, reading.unit, reading.raw_unit) == (Quality.GOOD, "%", "share")
        assert reading.raw == pytest.approx(share, abs=1e-5)
        assert reading.value == pytest.approx(moisture_pct, abs=1e-3)
    await asyncio.to_thread(board.pi.sh, "unplug")
    gone = (await look(board, gateway))[CONVERTER]
    assert (gone.quality, gone.reason, gone.value, gone.raw) == (Quality.BAD, "bus-error", None, None)
    await asyncio.to_thread(board.pi.sh, "plug")
    assert (await hold(7200)).value == pytest.approx(52.727, abs=1e-3)
