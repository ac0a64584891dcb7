"""A phone without a browser: signs in, taps, and follows the live stream, as the app does."""

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
ENDS = {"done", "refused", "expired", "failed", "interrupted", "stopped"}


@dataclass
class Phone:
    """One signed-in person. `watch()` keeps `view`, the farm as the live stream tells it."""

    url: str
    name: str
    password: str
    farm_id: str = "mai"
    view: dict[str, Any] = field(default_factory=dict)
    heard: list[tuple[int, dict[str, Any]]] = field(default_factory=list)  # (monotonic ns, run) of each run told live

    def __post_init__(self) -> None:
        self.http = httpx.Client(
            base_url=f"{self.url}/api/v1", headers={"X-Tuoi": "1", "Accept-Language": "en"}, timeout=10
        )
        self.news = threading.Condition()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def sign_in(self) -> None:
        """Raise httpx.HTTPStatusError if name or password are wrong."""
        self.http.post("/session", json={"name": self.name, "password": self.password}).raise_for_status()

    def water(self, zone_id: str, *, key: str | None = None, **dose: float) -> httpx.Response:
        """Tap "water now"; `dose` is minutes=…, litres=…, or until_moisture_pct=… with max_minutes=…."""
        headers = {"Idempotency-Key": key or secrets.token_hex(12)}
        return self.http.post(f"/zones/{zone_id}/runs", json={"dose": dose}, headers=headers)

    def stop(self, run_id: str) -> httpx.Response:
        """Tap "stop"."""
        return self.http.post(f"/runs/{run_id}/stop")

    def run(self, run_id: str) -> dict[str, Any]:
        """The run as the server answers it now."""
        answer: dict[str, Any] = self.http.get(f"/runs/{run_id}").raise_for_status().json()
        return answer

    def runs_of(self, zone_id: str) -> list[dict[str, Any]]:
        """The zone's runs, newest first."""
        answer = self.http.get(f"/zones/{zone_id}/runs", params={"limit": 50}).raise_for_status().json()
        runs: list[dict[str, Any]] = answer["runs"]
        return runs

    def snapshot(self) -> dict[str, Any]:
        """The home screen's data."""
        answer: dict[str, Any] = self.http.get(f"/farms/{self.farm_id}/snapshot").raise_for_status().json()
        return answer

    def watch(self) -> None:
        """Follow the live stream in a thread until `close`."""
        self._thread = threading.Thread(target=self._follow, name="phone-live", daemon=True)
        self._thread.start()
        self.wait(lambda view: "zones" in view, "the live stream's snapshot")

    def close(self) -> None:
        """Leave the live stream and sign off the connection."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=20)
        self.http.close()

    def wait(self, seen: Callable[[dict[str, Any]], T | None], what: str, timeout_s: float = 30) -> T:
        """Wait until `seen(view)` is true and return it; raise TimeoutError with `what` and the runs as last told."""
        with self.news:
            end = time.monotonic() + timeout_s
            while not (found := seen(self.view)):
                left = end - time.monotonic()
                if left <= 0 or not self.news.wait(left):
                    runs = {key: (run["state"], run["reason"]) for key, run in self.view.get("runs", {}).items()}
                    raise TimeoutError(f"{what} was not told live within {timeout_s} s; runs: {runs}")
            return found

    def wait_state(self, run_id: str, *states: str, timeout_s: float = 30) -> dict[str, Any]:
        """Return the run as first told in one of `states`, which it may have left since; wait until it was."""

        def reached(_view: dict[str, Any]) -> dict[str, Any] | None:
            told = (run for _, run in self.heard if run["id"] == run_id and run["state"] in states)
            return next(told, None)

        return self.wait(reached, f"run {run_id} in {states}", timeout_s)

    def all_closed(self) -> None:
        """Tap "close all", release the hold, and wait until nothing is under way: every test begins and ends dry."""
        self.http.post(f"/farms/{self.farm_id}/stop-all").raise_for_status()
        self.wait(lambda view: all(run["state"] in ENDS for run in view["runs"].values()), "every run's end", 30)
        self.http.delete(f"/farms/{self.farm_id}/hold").raise_for_status()

    def states(self, run_id: str) -> list[str]:
        """The states of a run in the order told, each once in a row."""
        told = [run["state"] for _, run in self.heard if run["id"] == run_id]
        return [state for place, state in enumerate(told) if place == 0 or told[place - 1] != state]

    def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                with self.http.stream(
                    "GET", f"/farms/{self.farm_id}/live", timeout=httpx.Timeout(10, read=20)
                ) as answer:
                    answer.raise_for_status()
                    for name, data in events(answer.iter_lines()):
                        self._take(name, data)
                        if self._ended.is_set():
                            return
            except httpx.HTTPError:
                self._ended.wait(0.2)  # the server is away; the app comes back as well

    def _take(self, name: str, data: dict[str, Any]) -> None:
        now_ns = time.monotonic_ns()
        with self.news:
            if name == "snapshot":
                self.view = data
            elif name == "delta":
                for key, change in data.items():
                    if key in ("zones", "runs", "nodes", "alerts", "sources"):
                        for item_id, item in change.items():
                            if item is None:
                                self.view[key].pop(item_id, None)
                            else:
                                self.view[key][item_id] = item
                    else:
                        self.view[key] = change
            for run in data.get("runs", {}).values() if name in ("snapshot", "delta") else ():
                if run is not None:
                    self.heard.append((now_ns, run))
            self.news.notify_all()


def events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The (event, data) pairs of a server-sent event stream."""
    name, data = "message", ""
    for line in lines:
        if not line:
            if data:
                yield name, json.loads(data)
            name, data = "message", ""
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data += line[5:].strip()
