"""Serial lines without a wire: real pseudo-terminals, a real Modbus server and the scripted SDI-12 probe behind them."""

import asyncio
import os
import pty
import select
import threading
import tty
from collections.abc import Callable, Sequence

import pytest
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge.hardware.errors import ProbeFault
from edge.hardware.fakes import FakeSdi12
from edge.hardware.ports import Probe


class Terminal:
    """A pseudo-terminal: a program opens `path`, we read and write the other end."""

    def __init__(self) -> None:
        self.ours, theirs = pty.openpty()
        tty.setraw(theirs)
        self.path = os.ttyname(theirs)
        self._theirs = theirs  # held open, so that ours does not end when the program closes its end

    def close(self) -> None:
        os.close(self.ours)
        os.close(self._theirs)


class Pump:
    """A thread that hands what comes in at each terminal to its hand, until it is stopped."""

    def __init__(self, hands: dict[int, Callable[[bytes], None]]) -> None:
        self._hands = hands
        self._wake, self._ring = os.pipe()
        self._thread = threading.Thread(target=self._run, name="pump")
        self._thread.start()

    def _run(self) -> None:
        while True:
            ready = select.select([self._wake, *self._hands], [], [])[0]
            if self._wake in ready:
                return
            for fd in ready:
                self._hands[fd](os.read(fd, 4096))

    def stop(self) -> None:
        os.write(self._ring, b"x")
        self._thread.join()
        os.close(self._wake)
        os.close(self._ring)


class ModbusBus:
    """A real pymodbus server with its units, a cable whose answers can be mangled, and `path` for the master.

    Holding registers of each unit begin at 0, input registers at 100; other registers are refused. A unit that is not
    there is silent.
    """

    def __init__(self, units: dict[int, Sequence[int]]) -> None:
        self._master, self._server_end = Terminal(), Terminal()
        self.path = self._master.path
        self.asked: list[bytes] = []
        self.mangle: Callable[[bytes], bytes] = lambda answer: answer
        self.echo = False
        self._pump = Pump({self._master.ours: self._to_units, self._server_end.ours: self._to_master})
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._units = units
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), name="modbus")
        self._thread.start()
        assert self._up.wait(10)

    def put(self, unit: int, registers: Sequence[int]) -> None:
        """Let a unit hold these from now on."""
        for function, address in ((16, 0), (16, 100)):
            asyncio.run_coroutine_threadsafe(
                self._server.async_setValues(unit, function, address, list(registers)), self._loop
            ).result(10)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(10)
        self._thread.join()
        self._loop.close()
        self._pump.stop()
        self._master.close()
        self._server_end.close()

    async def _shut(self) -> None:
        await self._server.shutdown()  # type: ignore[no-untyped-call]

    async def _serve(self) -> None:
        devices = [
            SimDevice(
                id=unit,
                simdata=[SimData(address, values=list(values), datatype=DataType.REGISTERS) for address in (0, 100)],
            )
            for unit, values in self._units.items()
        ]
        self._server = ModbusSerialServer(
            devices, port=self._server_end.path, baudrate=9600, ignore_missing_devices=True
        )
        await self._server.serve_forever(background=True)
        self._up.set()
        await self._server.serving

    def _to_units(self, sent: bytes) -> None:
        self.asked.append(sent)
        if self.echo:
            os.write(self._master.ours, sent)
        if sent[0] in self._units:  # pymodbus would answer for a unit that is not there
            os.write(self._server_end.ours, sent)

    def _to_master(self, answer: bytes) -> None:
        if mangled := self.mangle(answer):
            os.write(self._master.ours, mangled)


class Sdi12Bus:
    """The scripted probes that ship, behind a terminal: `path` for the recorder."""

    def __init__(self, *probes: FakeSdi12) -> None:
        self._terminal = Terminal()
        self.path = self._terminal.path
        self.probes = probes
        self.asked = b""
        self.mangle: Callable[[bytes], bytes] = lambda answer: answer
        self.echo = False
        self._pump = Pump({self._terminal.ours: self._hear})

    def close(self) -> None:
        self._pump.stop()
        self._terminal.close()

    def _hear(self, sent: bytes) -> None:
        self.asked += sent
        if self.echo:
            os.write(self._terminal.ours, b"\0" + sent)
        for probe in self.probes:
            if answer := self.mangle(probe.hear(sent)):
                os.write(self._terminal.ours, answer)


def raws(probe: Probe) -> list[float]:
    """What the probe tells now."""
    return [sample.raw for sample in probe.read()]


def fault_of(probe: Probe) -> ProbeFault:
    """The fault that reading the probe ends in."""
    with pytest.raises(ProbeFault) as caught:
        probe.read()
    return caught.value
