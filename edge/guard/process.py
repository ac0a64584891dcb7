"""The guard as a process: one thread, one selector, a unix socket for the agent, and the outputs.

The agent speaks JSON lines: `{"do": "open", "channel", "lease_id", "seconds"}`, `renew` with `lease_ids`, `close` with
`channel`, `close-all`, `lock` with `name` and `why`, `unlock` with `name`, `state`. Each is answered
`{"re": <do>, "ok": ...}` or `{"re", "error": code, "detail"}` (renew is not answered). Told unasked:
`closed` or `close-failed` when a lease has ended, `opened` when a valve that waited for its supply has opened, and
`close-failed` and `close-recovered` of a line.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import struct
import time
from collections.abc import Callable, Container, Mapping
from typing import Any

from edge.guard.house import listen, notify
from edge.guard.log import tell
from edge.guard.record import Kept, Lost, Record
from edge.guard.settings import GuardSettings
from edge.guard.table import Cap, Cause, Moved, Refused, Supply, Table, Valve
from edge.guard.use import quarter_of
from edge.hardware.errors import HardwareError, LineFault
from edge.hardware.lines import Level, ValveOutput

MAX_LINE = 4096
IDLE_S = 2.0  # the longest sleep: how often the service manager hears that it lives
RETRY_CLOSE_S = 0.5
RESERVE_S = 0.5  # how often the reserve is looked at while a latching valve is open
REWRITE_S = 900.0  # how old what is written about the use may become: so much of it is counted twice after a boot
_PEERCRED = struct.Struct("3i")


class Guard:
    """Owns the outputs (by channel and supply name) from `run` to its end; closed before, closed after."""

    def __init__(
        self,
        settings: GuardSettings,
        outputs: Mapping[str, ValveOutput],
        reserve: Level | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        uids: Container[int] | None = None,
    ) -> None:
        self._settings = settings
        self._latches = {one.channel: one.latch for one in settings.outputs if one.latch is not None}
        # Supplies first and slow lines last: the water stops with the first, and nothing waits for a pulse.
        names = [one.name for one in settings.supplies] + [one.channel for one in settings.outputs]
        self._outputs = {name: outputs[name] for name in sorted(names, key=self._latches.__contains__)}
        self._reserve = reserve
        self._now = monotonic
        self._uids = {0, os.geteuid()} if uids is None else uids  # whose processes may speak
        self._record = Record(settings.state_dir, settings.socket.parent)
        self._table = Table({}, settings.renew_s)
        self._written_s = monotonic()
        self._failed: set[str] = set()  # outputs whose line does not close
        self._close_again_s: dict[str, float] = {}  # when to drive them closed again: these, and latching valves
        self._waiting: set[str] = set()  # leases whose valve waits for its supply
        self._asked: str | None = None  # the lease that is being asked for
        self._agent: socket.socket | None = None
        self._buffer = b""
        self._selector = selectors.DefaultSelector()
        self._ending = False

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; every output is closed before this returns, whatever ended it."""
        wake_read, wake_write = socket.socketpair()
        wake_write.setblocking(False)  # noqa: FBT003 - its name in the library
        signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        try:
            for name in self._outputs:
                self._close_line(name)
            listener = listen(self._settings.socket)
            self._remember()
            self._selector.register(listener, selectors.EVENT_READ)
            self._selector.register(wake_read, selectors.EVENT_READ)
            notify("READY=1")
            tell("info", "guard ready channels=%s socket=%s", ",".join(self._table.leases()), self._settings.socket)
            while not self._ending:
                self._serve(listener, wake_read)
        finally:
            self._close_all(Cause.ENDING)
            for output in self._outputs.values():
                with contextlib.suppress(HardwareError, OSError):
                    output.close()
            notify("STOPPING=1")
            self._settings.socket.unlink(missing_ok=True)
            tell("info", "guard ended, all closed")

    def _end(self, _number: int, _frame: Any) -> None:
        self._ending = True

    def _serve(self, listener: socket.socket, wake: socket.socket) -> None:
        for key, _ in self._selector.select(self._wait_s()):
            if key.fileobj is listener:
                self._accept(listener)
            elif key.fileobj is wake:
                wake.recv(64)
            elif key.fileobj is self._agent:  # and not an old one, dropped a moment ago
                self._read(self._agent)
        self._watch_reserve()
        self._follow()
        for name, again_s in list(self._close_again_s.items()):
            if self._now() >= again_s:
                self._close_idle(name)
        if self._now() - self._written_s >= REWRITE_S and not self._holds():
            self._write_quietly()
        notify("WATCHDOG=1")

    def _wait_s(self) -> float:
        now_s = self._now()
        times = [now_s + IDLE_S, *self._close_again_s.values()]
        times += [next_s] if (next_s := self._table.next_s()) is not None else []
        times += [now_s + RESERVE_S] if any(map(self._table.is_on, self._latches)) else []
        return max(0.0, min(times) - now_s)

    # --- the agent ---

    def _accept(self, listener: socket.socket) -> None:
        agent, _ = listener.accept()
        _, uid, _ = _PEERCRED.unpack(agent.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
        if uid not in self._uids:
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

    def _read(self, agent: socket.socket) -> None:
        try:
            more = agent.recv(65_536)
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
            self._table.close(str(asked["channel"]), at_s)
            self._follow()
        elif do == "close-all":
            self._close_all(Cause.TOLD)
        elif do in {"lock", "unlock"}:
            self._lock(str(asked["name"]), str(asked["why"]) if do == "lock" else None, at_s)
        elif do != "state":
            return {"error": "bad-request", "detail": f"no act {do!r}"}
        failed = sorted(self._failed)
        return {"ok": {"leases": self._table.leases(), "failed": failed, "locked": dict(self._table.locked)}}

    def _open(self, channel: str, lease_id: str, seconds: float, at_s: float) -> dict[str, Any]:
        if self._failed:
            raise Refused(
                "close-failed", f"{', '.join(self._failed)} did not close; nothing opens before a person looked"
            )
        if channel in self._latches and not self._has_reserve():
            raise Refused("no-reserve", f"there is not the charge to close {channel} again")
        held = self._table.leases().get(channel) is not None
        opens_s, shuts_s = self._table.open(channel, lease_id, seconds, at_s)
        if not held:
            self._asked = lease_id  # what becomes of it now is in the answer
            try:
                self._begin(channel, at_s)
            finally:
                self._asked = None
        if not self._table.is_on(channel):
            self._waiting.add(lease_id)
        now_s = self._now()
        return {
            "channel": channel,
            "lease_id": lease_id,
            "left_s": shuts_s - now_s,
            "opens_in_s": 0.0 if self._table.is_on(channel) else max(0.0, opens_s - now_s),
        }

    def _begin(self, channel: str, at_s: float) -> None:
        """Write down what was granted, then open; the lease has ended again where this raises."""
        try:
            self._write()
        except OSError as exc:
            self._table.shut(channel, at_s, Cause.LINE_FAULT)
            self._follow()
            raise Refused("not-written", f"what is used could not be written down: {exc}") from exc
        fault = self._follow()
        if self._table.leases()[channel] is None:
            raise fault or LineFault(f"{channel} closed again at once")

    def _lock(self, name: str, why: str | None, at_s: float) -> None:
        if why is None:
            self._table.unlock(name)
        elif 1 <= len(why) <= 40:
            self._table.lock(name, why, at_s)
            self._follow()
            self._close_idle(name)
        else:
            raise Refused("bad-request", "why must have 1 to 40 characters")
        self._write_quietly()

    # --- the lines ---

    def _close_all(self, cause: Cause) -> int:
        held = self._holds()
        self._table.close_all(self._now(), cause)
        self._follow()
        for name in self._outputs:  # also those without a lease: closed is proven, not assumed
            self._close_idle(name)
        return held

    def _holds(self) -> int:
        """How many leases there are."""
        return sum(lease is not None for lease in self._table.leases().values())

    def _follow(self) -> LineFault | None:
        """Drive what the table wants driven until that is nothing; return the fault of a line that did not open."""
        fault: LineFault | None = None
        ended = False
        while moves := self._table.due(self._now()):
            moves.sort(key=lambda move: (move.is_open, move.name in self._latches))
            done: list[tuple[Moved, bool]] = []
            for move in moves:
                try:
                    done.append((move, self._open_line(move.name) if move.is_open else self._shut_valve(move.name)))
                except LineFault as exc:
                    fault = exc
            for move, follows in done:  # all lines first, words afterwards: a slow agent must not keep a valve open
                self._tell(move, follows=follows)
            ended = ended or any(not move.is_open for move in moves)
        if ended and not self._holds():
            self._write_quietly()  # only now: a slow card must not keep an open valve waiting
        return fault

    def _open_line(self, name: str) -> bool:
        try:
            self._close_again_s.pop(name, None)
            self._outputs[name].set(is_open=True)
        except OSError as exc:
            tell("error", "line does not open name=%s: %s", name, exc)
            self._table.shut(name, self._now(), Cause.LINE_FAULT)
            raise LineFault(str(exc)) from exc
        return True

    def _shut_valve(self, name: str) -> bool:
        """Drive a line to closed; the supply of a valve that does not follow is shut."""
        follows = self._close_line(name)
        supply = self._table.supply_of(name)
        if not follows and supply is not None:
            self._table.shut(supply, self._now(), Cause.CLOSE_FAILED)
        return follows

    def _close_idle(self, name: str) -> None:
        known = name in self._failed
        if not self._close_line(name) and not known:
            self._say({"event": "close-failed", "channel": name})

    def _close_line(self, name: str) -> bool:
        try:
            self._outputs[name].set(is_open=False)
        except OSError as exc:
            if name not in self._failed:
                tell("error", "line does not close name=%s: %s", name, exc)
            self._failed.add(name)
            self._close_again_s[name] = self._now() + RETRY_CLOSE_S
            return False
        self._close_again_s.pop(name, None)
        if name in self._latches:
            self._close_again_s[name] = self._now() + self._latches[name].reclose_s
        if name in self._failed:
            self._failed.discard(name)
            tell("info", "line closed at last name=%s", name)
            self._say({"event": "close-recovered", "channel": name})
        return True

    def _tell(self, move: Moved, *, follows: bool) -> None:
        message: dict[str, Any] = {"event": "opened", "channel": move.name}
        if not move.is_open:
            message["event"] = "closed" if follows else "close-failed"
        if move.cause is not None and move.lease_id != self._asked:
            message |= {"lease_id": move.lease_id, "cause": move.cause.value, "open_s": move.open_s}
        elif move.lease_id in self._waiting:
            message |= {"lease_id": move.lease_id, "left_s": move.shuts_s - self._now()}
        elif move.is_open or follows:
            return  # a supply, or what the answer tells
        self._waiting.discard(str(move.lease_id))
        self._say(message)

    def _has_reserve(self) -> bool:
        try:
            return self._reserve is not None and self._reserve.is_on()
        except OSError as exc:
            tell("error", "reserve cannot be read: %s", exc)
            return False

    def _watch_reserve(self) -> None:
        """Close the latching valves while there is still charge for it."""
        held = [name for name in self._latches if self._table.is_on(name)]
        if held and not self._has_reserve():
            tell("error", "reserve is low, closing %s", ",".join(held))
            for name in held:
                self._table.shut(name, self._now(), Cause.NO_RESERVE)

    # --- what is remembered ---

    def _remember(self) -> None:
        """Make the table, with what was used and locked before; what cannot be read counts as used up."""
        settings, now_s = self._settings, self._now()
        valves = {one.channel: Valve(Cap(one.max_open_s, one.max_day_s), one.supply) for one in settings.outputs}
        supplies = {
            one.name: Supply(Cap(one.max_open_s, one.max_day_s), one.start_after_s, one.stop_after_s)
            for one in settings.supplies
        }
        try:
            kept = self._record.read(now_s)
        except Lost as exc:
            tell("error", "use is not known, counted as used up: %s", exc)
            caps = {name: valve.cap for name, valve in valves.items()}
            caps |= {name: supply.cap for name, supply in supplies.items()}
            kept = Kept({name: {quarter_of(now_s): cap.max_day_s} for name, cap in caps.items()})
        self._table = Table(valves, settings.renew_s, supplies, used=kept.used, locked=kept.locked)
        self._write_quietly()

    def _write(self) -> None:
        now_s = self._now()
        self._record.write(Kept(self._table.used(now_s), self._table.locked), now_s)
        self._written_s = now_s

    def _write_quietly(self) -> None:
        """Write what need not be written: the file then says more than was used, never less."""
        try:
            self._write()
        except OSError as exc:
            self._written_s = self._now()
            tell("error", "use could not be written down: %s", exc)

    def _say(self, message: dict[str, Any]) -> None:
        if self._agent is None:
            return
        try:
            self._agent.sendall(json.dumps(message).encode() + b"\n")
        except OSError as exc:
            tell("warning", "agent does not listen: %s", exc)  # its silence will be noticed by the renewals
