"""A Raspberry Pi 3B in QEMU. Its lines are read and its plug is pulled from outside, without asking the guest."""

import contextlib
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.pi.card import Card, Kernel
from tests.pi.programs import found, run

GPIO = 0x3F20_0000  # where the registers of the SoC's lines are: BCM2835 ARM Peripherals, chapter 6
FUNCTION, SET, CLEAR, LEVEL = 0x00, 0x1C, 0x28, 0x34
COMMAND_S = 60.0
LOOK_S = 0.001  # between two looks at a line, each of which stops the emulator for a moment; no relay is as quick


class Silent(AssertionError):
    """The board did not say or do what the test waited for; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the SoC as its registers have it. A released line is an input, whatever its level register keeps."""

    driven: bool
    level: int

    def on(self, *, active_high: bool = True) -> bool:
        """Whether a relay on this line is on: driven, and at its active level."""
        return self.driven and bool(self.level) is active_high


class Pi:
    """One emulated board with a card of its own, from `start` to `cut` and as often as one likes."""

    def __init__(self, folder: Path, card: Card, kernel: Kernel) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.card = folder / "card.img"
        self._files = card
        self._kernel = kernel
        # Sparse, and shared with the original where the file system can.
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", card.image, self.card], check=True)
        self._qemu: subprocess.Popen[bytes] | None = None
        self._said = ""
        self._news = threading.Condition()
        self._asked = 0

    def put(self, file: Path, place: str) -> None:
        """Write a file to the card while it is in no board."""
        run("debugfs", "-w", "-R", f"mkdir {Path(place).parent}", self.card)
        run("debugfs", "-w", "-R", f"write {file} {place}", self.card)

    def start(self) -> None:
        """Give it power; returns at once."""
        clock = f"now={time.time():.0f}"  # it has no clock of its own and no server to ask
        for name in ("serial", "qtest"):
            (self.folder / name).unlink(missing_ok=True)
        argv = [
            str(part)
            for part in (
                found("qemu-system-aarch64"),
                *("-M", "raspi3b", "-m", "1G", "-display", "none", "-nodefaults"),
                *("-accel", "tcg,thread=single"),  # with a thread for each of the four cores it is three times as slow
                *("-kernel", self._files.kernel(self._kernel), "-dtb", self._files.device_tree(self._kernel)),
                *("-initrd", self._files.initrd),
                *("-append", f"console=ttyS1,115200 loglevel=3 quiet {clock} {self._kernel.append}"),
                *("-drive", f"file={self.card},if=sd,format=raw"),
                *("-netdev", "user,id=farm", "-device", "usb-net,netdev=farm"),
                *("-chardev", f"socket,id=serial,path={self.folder}/serial,server=on,wait=on"),
                *("-serial", "null", "-serial", "chardev:serial"),  # the second is the one on the pins
                *("-qtest", f"unix:{self.folder}/qtest,server=on,wait=off", "-qtest-log", "none"),
            )
        ]
        with (self.folder / "qemu.err").open("ab") as errors:
            self._qemu = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=errors)
        self._said = ""
        self._serial = self._connect("serial")
        self._pump = threading.Thread(
            target=self._hear, args=(self._serial,), name=f"serial line of {self.folder.name}", daemon=True
        )
        self._pump.start()
        self._qtest = self._connect("qtest")
        self._answers = self._qtest.makefile("rb")

    @property
    def off(self) -> bool:
        """Whether it is without power."""
        return self._qemu is None

    def cut(self) -> None:
        """Take the power away, at whatever instruction it is."""
        if self._qemu is None:
            return
        self._qemu.kill()
        self._qemu.wait()
        self._pump.join(5)
        for each in (self._serial, self._answers, self._qtest):
            each.close()
        self._qemu = None

    # --- its lines, from outside ---

    def line(self, number: int) -> Line:
        """Read a line in the SoC's registers."""
        function = self._read(GPIO + FUNCTION + 4 * (number // 10)) >> 3 * (number % 10) & 7
        return Line(driven=function == 1, level=self._read(GPIO + LEVEL + 4 * (number // 32)) >> number % 32 & 1)

    def watch(self, number: int, *, on: bool, within_s: float, unless: Callable[[], bool] = lambda: False) -> bool:
        """Return whether the line became on, or off, before `unless` was true; raise Silent."""
        begun_s = time.monotonic()
        while (line := self.line(number)).on() is not on:
            if unless():
                return False
            if time.monotonic() - begun_s > within_s:
                raise Silent(f"line {number} did not become {'on' if on else 'off'} within {within_s:g} s: {line}")
            time.sleep(LOOK_S)
        return True

    def _read(self, address: int) -> int:
        self._qtest.sendall(f"readl {address:#x}\n".encode())
        answer = self._answers.readline().decode().split()
        if answer[:1] != ["OK"]:
            raise Silent(f"the emulator does not read {address:#x}: {answer}")
        return int(answer[1], 16)

    # --- its serial line ---

    def sh(self, command: str, timeout_s: float = COMMAND_S) -> str:
        """Run a command as root in the guest and return what it printed; raise Silent."""
        self._asked += 1
        first, last = f"begin-{self._asked}", f"end-{self._asked}"
        self.type(f"echo {first}; {command}\necho {last} $?")
        end = self.wait_for(rf"^{last} \d+$", timeout_s)
        with self._news:
            return self._said[self._said.index(f"{first}\n") + len(first) + 1 : end].strip()

    def type(self, command: str) -> None:
        """Type a command without waiting for anything."""
        self._serial.sendall(f"{command}\n".encode())

    def wait_for(self, pattern: str, timeout_s: float) -> int:
        """Return where the pattern is in what the serial line said, once it is; raise Silent."""
        wanted = re.compile(pattern, re.MULTILINE)
        deadline_s = time.monotonic() + timeout_s
        with self._news:
            while (match := wanted.search(self._said)) is None:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or not self._pump.is_alive():
                    errors = (self.folder / "qemu.err").read_text()
                    raise Silent(f"{pattern!r} never came. The serial line ends with:\n{self._said[-3000:]}\n{errors}")
                self._news.wait(min(left_s, 0.5))
            return match.start()

    def _hear(self, serial: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while heard := serial.recv(65_536):
                with self._news:
                    self._said += heard.decode(errors="replace").replace("\r", "")
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def _connect(self, name: str) -> socket.socket:
        deadline_s = time.monotonic() + 20
        while True:
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(str(self.folder / name))
            except OSError:
                line.close()
                if time.monotonic() > deadline_s or (self._qemu is not None and self._qemu.poll() is not None):
                    raise Silent(f"the emulator did not start: {(self.folder / 'qemu.err').read_text()}") from None
                time.sleep(0.02)  # nothing tells us that it listens
            else:
                return line
