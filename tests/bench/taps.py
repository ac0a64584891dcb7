"""From the tap on the phone to the pin on the board, and back to the phone."""

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.house import House
from tests.e2e.phone import Phone

ZONE = "dau-tay"
WARM_UP, TAPS = 5, 60
_WITHIN_S = 30.0


@dataclass
class Tapped:
    """In ms from the moment before the POST: when the line went up, and when the live stream said "open"."""

    pin_ms: list[float] = field(default_factory=list)
    told_ms: list[float] = field(default_factory=list)


class Wire:
    """The phone's two connections without a client library between them and the clock: one taps, one listens."""

    def __init__(self, phone: Phone) -> None:
        asked, cookies = urlsplit(phone.url), phone.http.cookies
        self._headers = {"X-Tuoi": "1", "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        self._taps = HTTPConnection(asked.hostname or "", asked.port, timeout=_WITHIN_S)
        self._live = HTTPConnection(asked.hostname or "", asked.port, timeout=_WITHIN_S)
        self._live.request("GET", f"/api/v1/farms/{phone.farm_id}/live", headers=self._headers)
        self._socket: socket.socket = self._live.sock
        self._stream = self._live.getresponse()
        self._lines: list[tuple[int, bytes]] = []
        self._news = threading.Condition()
        threading.Thread(target=self._listen, name="bench-live", daemon=True).start()
        self._until(lambda line: b'"zones"' in line, 0)

    def tap(self, minutes: float) -> tuple[int, str]:
        """Water the zone; return the moment before (monotonic ns), and the run's id."""
        begun_ns = time.monotonic_ns()
        return begun_ns, self._post(f"zones/{ZONE}/runs", {"dose": {"minutes": minutes}})

    def stop(self, run_id: str) -> None:
        """End it."""
        self._post(f"runs/{run_id}/stop", {})

    def told(self, run_id: str, state: str, after_ns: int) -> int:
        """Return when the stream first said that the run is in that state (monotonic ns)."""

        def says(line: bytes) -> bool:
            if not line.startswith(b"data:") or run_id.encode() not in line:
                return False
            run = json.loads(line[5:]).get("runs", {}).get(run_id)
            return run is not None and run["state"] == state

        return self._until(says, after_ns)

    def close(self) -> None:
        """Hang up."""
        self._taps.close()
        self._socket.shutdown(socket.SHUT_RDWR)

    def _post(self, path: str, body: dict[str, Any]) -> str:
        headers = self._headers | {"Content-Type": "application/json", "Idempotency-Key": secrets.token_hex(12)}
        self._taps.request("POST", f"/api/v1/{path}", json.dumps(body), headers)
        answer = self._taps.getresponse()
        said = json.loads(answer.read())
        if answer.status != 202:
            raise RuntimeError(f"{path} was answered with {answer.status}: {said}")
        return str(said["id"])

    def _listen(self) -> None:
        with suppress(HTTPException, OSError):  # hung up
            while line := self._stream.readline():
                now_ns = time.monotonic_ns()
                with self._news:
                    self._lines.append((now_ns, line))
                    self._news.notify_all()

    def _until(self, says: Callable[[bytes], bool], after_ns: int) -> int:
        seen = 0
        with self._news:
            while True:
                for at_ns, line in self._lines[seen:]:
                    if at_ns >= after_ns and says(line):
                        return at_ns
                seen = len(self._lines)
                if not self._news.wait(_WITHIN_S):
                    raise TimeoutError(f"the live stream was silent for {_WITHIN_S:.0f} s")


def measure(house: House) -> Tapped:
    """Tap, wait for pin and phone, stop, wait until it is closed and told; again and again."""
    phone = house.phone()
    house.all_ready(phone)
    wire, tapped = Wire(phone), Tapped()
    phone.close()
    for number in range(WARM_UP + TAPS):
        begun_ns, run_id = wire.tap(minutes=0.5)
        told_ns = wire.told(run_id, "open", begun_ns)
        opened_ns = house.field.wait_zone(ZONE, after_ns=begun_ns).since_ns
        if number >= WARM_UP:
            tapped.pin_ms.append((opened_ns - begun_ns) / 1e6)
            tapped.told_ms.append((told_ns - begun_ns) / 1e6)
        wire.stop(run_id)
        wire.told(run_id, "stopped", begun_ns)
        house.field.wait_zone(ZONE, open=False)
    wire.close()
    return tapped
