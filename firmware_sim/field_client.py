"""A window on the field for tests and the demo: read lines back, wait for valves, break things.

Blocking, over one unix socket. Not safe for several threads: each opens its own.
"""

import json
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from firmware_sim.errors import FieldLost, Refused


@dataclass(frozen=True, slots=True)
class Valve:
    """One valve as the field has it. `since_ns` (CLOCK_MONOTONIC) is when it last moved; `pid` drives its line."""

    node: str
    gpio: int
    zone: str
    open: bool
    since_ns: int
    pid: int | None
    flow_l_min: float
    litres: float


class FieldClient:
    """Inspects a running field. Every change of a line or valve is pushed to it as it happens."""

    def __init__(self, path: Path | str, timeout_s: float = 5.0) -> None:
        self._timeout_s = timeout_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._buffer = b""
        self._events: deque[dict[str, Any]] = deque()
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError as exc:
                if time.monotonic() > deadline_s:
                    self._socket.close()
                    raise FieldLost("connect", exc) from exc
                time.sleep(0.02)
        first = self._ask("inspect")
        self._valves = {(valve["node"], valve["gpio"]): Valve(**valve) for valve in first["valves"]}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def snapshot(self) -> dict[str, Any]:
        """Return lines, valves, supplies, moisture_pct (zone, depth), litres (zone), rain_mm and charge, read now."""
        snapshot: dict[str, Any] = self._ask("snapshot")
        return snapshot

    def valves(self) -> list[Valve]:
        """Return every valve, read now."""
        return [Valve(**valve) for valve in self.snapshot()["valves"]]

    def valve(self, node: str, gpio: int) -> Valve:
        """Return one valve, read now."""
        return next(valve for valve in self.valves() if (valve.node, valve.gpio) == (node, gpio))

    def zone_valve(self, zone: str) -> Valve:
        """Return the valve of a zone, read now."""
        return next(valve for valve in self.valves() if valve.zone == zone)

    def line(self, node: str, gpio: int) -> dict[str, Any]:
        """Return one line, read now: function, level, owner, pid, since_ns."""
        for line in self.snapshot()["lines"]:
            if (line["node"], line["gpio"]) == (node, gpio):
                return dict(line)
        return {"node": node, "gpio": gpio, "function": "free", "level": 0, "owner": None, "pid": None, "since_ns": 0}

    def runs(self, node: str, supply: str) -> bool:
        """Whether a pump or master valve is driven, read now."""
        return any(one["on"] for one in self.snapshot()["supplies"] if (one["node"], one["id"]) == (node, supply))

    def history(self) -> list[dict[str, Any]]:
        """Return the last 1000 changes of all lines, oldest first."""
        changes: list[dict[str, Any]] = self._ask("history")
        return changes

    def moisture_pct(self, zone: str, depth_m: float = 0.05) -> float:
        """Return the true moisture of a zone's ground at a depth, volumetric %."""
        return float(self._ask("moisture", zone=zone, depth_m=depth_m))

    def litres(self, zone: str) -> float:
        """Return all the water that ever went into a zone."""
        return float(self.snapshot()["litres"][zone])

    def fault(self, name: str, key: str, *, on: bool = True) -> None:
        """Break something or mend it: `source-dry` SOURCE, `probe-open` NODE/ADC, `valve-stuck-shut` NODE/GPIO, ..."""
        self._ask("fault", name=name, key=key, on=on)

    @contextmanager
    def broken(self, name: str, key: str) -> Iterator[None]:
        """Break something for as long as it is entered; see `wiring.Fault` for what there is."""
        self.fault(name, key)
        try:
            yield
        finally:
            self.fault(name, key, on=False)

    def set_speed(self, speed: float) -> None:
        """Let soil and weather pass `speed` times faster than the clock from now on."""
        self._ask("speed", speed=speed)

    def wait_valve(self, node: str, gpio: int, *, open: bool = True, timeout: float = 5.0, after_ns: int = 0) -> Valve:
        """Return the valve once it is open (or closed), at once if it is; raise TimeoutError with what was seen last.

        `since_ns` of the answer is when it happened. With `after_ns`, only a change after that moment counts.
        """
        return self._wait(lambda valve: (valve.node, valve.gpio) == (node, gpio), open, timeout, after_ns)

    def wait_zone(self, zone: str, *, open: bool = True, timeout: float = 5.0, after_ns: int = 0) -> Valve:
        """The same as `wait_valve` for the valve of a zone."""
        return self._wait(lambda valve: valve.zone == zone, open, timeout, after_ns)

    def wait_all_closed(self, timeout: float = 5.0) -> None:
        """Return once no valve is open; raise TimeoutError naming those that are."""
        deadline_s = time.monotonic() + timeout
        for key in list(self._valves):
            self.wait_valve(*key, open=False, timeout=max(0.0, deadline_s - time.monotonic()))

    def _wait(self, wanted: Any, is_open: bool, timeout: float, after_ns: int) -> Valve:
        deadline_s = time.monotonic() + timeout
        while True:
            self._take_events()
            known = next((valve for valve in self._valves.values() if wanted(valve)), None)
            if known is None:
                raise Refused(f"no such valve, only {sorted(self._valves)}")
            if known.open == is_open and known.since_ns >= after_ns:
                return known
            if not self._receive(deadline_s):
                verb = "open" if is_open else "closed"
                raise TimeoutError(f"valve not {verb} within {timeout:g} s; last seen: {known}")

    def _take_events(self) -> None:
        while self._events:
            event = self._events.popleft()
            if event.pop("event") == "valve":
                self._valves[event["node"], event["gpio"]] = Valve(**event)

    def _ask(self, do: str, **more: Any) -> Any:
        try:
            self._socket.sendall(json.dumps({"do": do, **more}).encode() + b"\n")
        except OSError as exc:
            raise FieldLost(do, exc) from exc
        deadline_s = time.monotonic() + self._timeout_s
        while True:
            answer = self._receive(deadline_s)
            if answer is None:
                raise FieldLost(do, f"nothing in {self._timeout_s:g} s")
            if "error" in answer:
                raise Refused(str(answer["error"]))
            if "ok" in answer:
                return answer["ok"]

    def _receive(self, deadline_s: float) -> dict[str, Any] | None:
        """Return the next message, an event being kept for later too; None at the deadline."""
        while b"\n" not in self._buffer:
            self._socket.settimeout(max(0.001, deadline_s - time.monotonic()))
            try:
                more = self._socket.recv(65536)
            except TimeoutError:
                return None
            except OSError as exc:
                raise FieldLost("listen", exc) from exc
            if not more:
                raise FieldLost("listen", "it has ended")
            self._buffer += more
        raw, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(raw)
        if "event" in message:
            self._events.append(message)
        return message
