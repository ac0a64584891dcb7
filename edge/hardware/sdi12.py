"""An SDI-12 line (SDI-12 Support Group, version 1.4): questions, measurements and the checksum of their answers."""

import re

from edge.hardware.errors import ProbeFault
from edge.hardware.serial_port import SerialPort

BREAK_S, MARK_S = 0.015, 0.010  # at least 12 ms and 8.33 ms (section 7.1)
ANSWER_S = 1.0  # a probe begins within 15 ms, and 40 characters take 0.3 s; the rest is for the adapter
TRIES = 3  # section 7.2
REQUEST_SPARE_S = 1.0  # beyond the time that the probe has named
END = b"\r\n"
VALUE = re.compile(r"[+-](?:\d+\.?\d*|\.\d+)")
FAILED_BELOW = -9990.0  # -9999 to -9990 is how METER's and others' probes say that they have failed


class Sdi12Line:
    """The recorder of one line. For one thread: that of its bus."""

    def __init__(self, port: SerialPort, *, send_break: bool = True) -> None:
        self._port = port
        self._break_s, self._mark_s = (BREAK_S, MARK_S) if send_break else (0.0, 0.0)

    def measure(self, address: str, command: str, *, checksum: bool, longest_s: float) -> list[float]:
        """Have a probe measure (`M`, `M1`...) and return its values; raise ProbeFault. Blocks while it measures."""
        asked = command.replace("M", "MC") if checksum else command
        answer, more = self._ask(address, asked)
        if not (found := re.fullmatch(r"(\d{3})(\d)", answer)):
            raise ProbeFault("wrong-answer", f"SDI-12 {address}{asked}!: {answer!r} is no time and count")
        wait_s, count = int(found[1]), int(found[2])
        if not count:
            raise ProbeFault("refused", f"SDI-12 {address}{asked}!: measures nothing")
        if wait_s > longest_s:
            raise ProbeFault("refused", f"SDI-12 {address}{asked}!: wants {wait_s} s, longest_s is {longest_s:g}")
        if wait_s:
            # It says when it is ready; if that gets lost, its time is over all the same.
            request = address.encode() + END
            self._port.hear(lambda heard: request in more + heard, wait_s + REQUEST_SPARE_S)
        return self._values(address, count, checksum=checksum)

    def answers(self, address: str) -> bool:
        """Whether a probe of that address is there (`a!`, asked once); raise ProbeFault for the port alone."""
        try:
            self._once(address, "", checksum=False)
        except ProbeFault as exc:
            if exc.code == "bus-error":
                raise
            return False
        return True

    def close(self) -> None:
        """Give the port back."""
        self._port.close()

    def _values(self, address: str, count: int, *, checksum: bool) -> list[float]:
        values: list[float] = []
        for page in range(10):  # D0 to D9
            text, _ = self._ask(address, f"D{page}", checksum=checksum)
            numbers = VALUE.findall(text)
            if not numbers or "".join(numbers) != text:
                raise ProbeFault("wrong-answer", f"SDI-12 {address}D{page}!: {text!r} after {len(values)} of {count}")
            values += map(float, numbers)
            if len(values) >= count:
                break
        for value in values:
            if value <= FAILED_BELOW:
                raise ProbeFault("refused", f"SDI-12 {address}: tells {value:g}, which means that it has failed")
        return values

    def _ask(self, address: str, command: str, *, checksum: bool = False) -> tuple[str, bytes]:
        """Return the answer without address, checksum and end, and what came after it already."""
        tries = TRIES
        while True:
            tries -= 1
            try:
                return self._once(address, command, checksum=checksum)
            except ProbeFault as exc:
                if not tries or exc.code == "bus-error":
                    raise

    def _once(self, address: str, command: str, *, checksum: bool) -> tuple[str, bytes]:
        question = f"{address}{command}!".encode()
        self._port.say(question, break_s=self._break_s, mark_s=self._mark_s)
        heard = _plain(self._port.hear(lambda heard: END in _plain(heard, question), ANSWER_S), question)
        who = f"SDI-12 {question.decode()}"
        line, end, more = heard.partition(END)
        if not end:
            raise ProbeFault("no-answer", f"{who}: {heard!r} in {ANSWER_S:g} s")
        if checksum:
            line, sent = line[:-3], line[-3:]
            if crc(line) != sent:
                raise ProbeFault("bad-checksum", f"{who}: wrong checksum in {heard!r}")
        text = line.decode("ascii", errors="replace")
        if not text.startswith(address):
            raise ProbeFault("wrong-answer", f"{who}: {text!r} is of another probe")
        return text[1:], more


def crc(answer: bytes) -> bytes:
    """Return the three characters that follow an answer from its address to its last value (section 4.4.12)."""
    value = 0
    for byte in answer:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return bytes((0x40 | value >> 12, 0x40 | value >> 6 & 0x3F, 0x40 | value & 0x3F))


def _plain(heard: bytes, question: bytes) -> bytes:
    # An adapter may hear its own break as a zero, and its own question.
    return heard.replace(b"\0", b"").removeprefix(question)
