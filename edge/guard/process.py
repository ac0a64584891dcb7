"""The guard as a process: one thread, one selector, a unix socket for the agent, and the outputs.

The agent speaks JSON lines: `{"do": "open", "channel", "lease_id", "seconds"}`, `renew` with `lease_ids`, `close` with
`channel`, `close-all`, `state`. Each is answered `{"re": <do>, "ok": ...}` or `{"re", "error": code, "detail"}`
(renew is not answered); closures and faults are told unasked as `{"event": "closed" | "close-failed", ...}`.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.guard.log import tell
from edge.guard.settings import GuardSettings
from edge.guard.table import Cap, Cause, Closed, Refused, Table
from edge.hardware.errors import HardwareError, LineFault
from edge.hardware.ports import ValveOutput

MAX_LINE = 4096
RETRY_CLOSE_S = 0.5
_PEERCRED = struct.Struct("3i")


class Guard:
    """Owns the outputs from `run` to its end; closed before, closed after."""

    def __init__(
        self, settings: GuardSettings, outputs: dict[str, ValveOutput], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        caps = {output.channel: Cap(output.max_open_s, output.max_day_s) for output in settings.outputs}
        self._table = Table(caps, settings.renew_s)
        self._outputs = outputs
        self._path = settings.socket
        self._now = monotonic
        self._failed: dict[str, float] = {}  # channels whose line does not close, and when to try again
        self._agent: socket.socket | None = None
        self._buffer = b""
        self._selector = selectors.DefaultSelector()
        self._ending = False

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; every valve is closed before this returns, whatever ended it."""
        listener = listen(self._path)
        wake_read, wake_write = socket.socketpair()
        wake_write.setblocking(False)  # noqa: FBT003 - its name in the library
        signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        try:
            for channel in self._outputs:
                self._drive(channel, is_open=False)
            self._selector.register(listener, selectors.EVENT_READ)
            self._selector.register(wake_read, selectors.EVENT_READ)
            notify("READY=1")
            tell("info", "guard ready channels=%s socket=%s", ",".join(self._outputs), self._path)
            while not self._ending:
                self._serve(listener, wake_read)
        finally:
            self._close_all(Cause.ENDING)
            for output in self._outputs.values():
                with contextlib.suppress(HardwareError, OSError):
                    output.close()
            notify("STOPPING=1")
            listener.close()
            self._path.unlink(missing_ok=True)
            tell("info", "guard ended, all closed")

    def _end(self, _number: int, _frame: Any) -> None:
        self._ending = True

    def _serve(self, listener: socket.socket, wake: socket.socket) -> None:
        for key, _ in self._selector.select(self._wait_s()):
            if key.fileobj is listener:
                self._accept(listener)
            elif key.fileobj is wake:
                wake.recv(64)
            else:
                self._read()
        self._tell(self._table.due(self._now()))
        for channel, again_s in list(self._failed.items()):
            if self._now() >= again_s:
                self._drive(channel, is_open=False)
        notify("WATCHDOG=1")

    def _wait_s(self) -> float:
        times = [time_s for time_s in (self._table.next_s(), *self._failed.values()) if time_s is not None]
        return max(0.0, min(2.0, min(times, default=self._now() + 2.0) - self._now()))

    # --- the agent ---

    def _accept(self, listener: socket.socket) -> None:
        agent, _ = listener.accept()
        _, uid, _ = _PEERCRED.unpack(agent.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
        if uid not in (0, os.geteuid()):
            tell("warning", "refused a connection of uid=%d", uid)
            agent.close()
            return
        # The newest agent is the agent: an old one that still hangs on must not keep the valves.
        self._drop("another agent came")
        agent.settimeout(0.5)
        self._agent, self._buffer = agent, b""
        self._selector.register(agent, selectors.EVENT_READ)

    def _drop(self, why: str) -> None:
        if self._agent is None:
            return
        self._selector.unregister(self._agent)
        self._agent.close()
        self._agent = None
        closed = self._close_all(Cause.AGENT_GONE)
        tell("info", "agent gone (%s), closed %d", why, closed)

    def _read(self) -> None:
        if self._agent is None:
            return
        try:
            more = self._agent.recv(65_536)
        except OSError as exc:
            self._drop(str(exc))
            return
        if not more:
            self._drop("it closed the socket")
            return
        *lines, self._buffer = (self._buffer + more).split(b"\n")
        if max(map(len, (*lines, self._buffer))) > MAX_LINE:
            self._drop("it sent an endless line")
            return
        for line in lines:
            self._obey(line)

    def _obey(self, line: bytes) -> None:
        do: Any = None
        try:
            asked = json.loads(line)
            do = asked["do"]
            answer = self._do(do, asked)
        except (Refused, LineFault) as exc:
            answer = {"error": getattr(exc, "code", "line-fault"), "detail": str(exc)}
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            answer = {"error": "bad-request", "detail": repr(exc)}
        if answer is not None:
            self._say({"re": do, **answer})

    def _do(self, do: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        at_s = self._now()
        if do == "renew":
            self._table.renew(asked["lease_ids"], at_s)
            return None
        if do == "open":
            return {"ok": self._open(str(asked["channel"]), str(asked["lease_id"]), float(asked["seconds"]), at_s)}
        if do == "close":
            self._tell(self._table.close(str(asked["channel"]), at_s))
        elif do == "close-all":
            self._close_all(Cause.TOLD)
        elif do != "state":
            return {"error": "bad-request", "detail": f"no act {do!r}"}
        return {"ok": {"leases": self._table.leases(), "failed": sorted(self._failed)}}

    def _open(self, channel: str, lease_id: str, seconds: float, at_s: float) -> dict[str, Any]:
        if self._failed:
            raise Refused(
                "close-failed", f"{', '.join(self._failed)} did not close; nothing opens before a person looked"
            )
        drive, deadline_s = self._table.open(channel, lease_id, seconds, at_s)
        if drive:
            try:
                self._outputs[channel].set(is_open=True)
            except LineFault:
                self._tell(self._table.close(channel, self._now()))
                raise
        return {"channel": channel, "lease_id": lease_id, "left_s": deadline_s - self._now()}

    # --- the valves ---

    def _close_all(self, cause: Cause) -> int:
        closed = self._table.close_all(self._now(), cause)
        self._tell(closed)
        for channel in self._outputs:  # also those without a lease: closed is proven, not assumed
            self._drive(channel, is_open=False)
        return len(closed)

    def _tell(self, closed: list[Closed]) -> None:
        # All lines first, words afterwards: a slow agent must not keep a valve open.
        done = [(one, self._drive(one.channel, is_open=False)) for one in closed]
        for one, is_closed in done:
            self._say(
                {
                    "event": "closed" if is_closed else "close-failed",
                    "channel": one.channel,
                    "lease_id": one.lease_id,
                    "cause": one.cause.value,
                    "open_s": one.open_s,
                }
            )

    def _drive(self, channel: str, *, is_open: bool) -> bool:
        try:
            self._outputs[channel].set(is_open)
        except (LineFault, OSError) as exc:
            if channel not in self._failed:
                tell("error", "valve does not close channel=%s: %s", channel, exc)
            self._failed[channel] = self._now() + RETRY_CLOSE_S
            return False
        if self._failed.pop(channel, None) is not None:
            tell("info", "valve closed at last channel=%s", channel)
            self._say({"event": "close-recovered", "channel": channel})
        return True

    def _say(self, message: dict[str, Any]) -> None:
        if self._agent is None:
            return
        try:
            self._agent.sendall(json.dumps(message).encode() + b"\n")
        except OSError as exc:
            tell("warning", "agent does not listen: %s", exc)  # its silence will be noticed by the renewals


def listen(path: Path) -> socket.socket:
    """Return a listening unix socket that only this user can reach; a stale file of a dead guard is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(old)
    listener.listen(4)
    return listener


def notify(state: str) -> None:
    """Tell systemd (sd_notify) when it asked to be told; do nothing otherwise."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.send(state.encode())
