"""Whether the farm can be used yet, asked of the server as a phone would."""

import json
import urllib.request
from http.client import HTTPException
from typing import Any

from firmware_sim.demo.accounts import Person

_WAIT_S = 5.0


def answers(url: str) -> bool:
    """Whether something answers there, and well."""
    try:
        with urllib.request.urlopen(url, timeout=_WAIT_S) as answer:
            return int(answer.status) == 200
    except (OSError, HTTPException):
        return False


class Visitor:
    """One signed-in session that looks at the farm."""

    def __init__(self, base: str, person: Person) -> None:
        self._api = f"{base}/api/v1"
        self._person = person
        self._cookie = ""

    def snapshot(self, farm_id: str) -> dict[str, Any] | None:
        """Return the farm as the home screen gets it; None while the server cannot tell."""
        try:
            if not self._cookie:
                body = {"name": self._person.name, "password": self._person.password}
                with self._call("POST", "/session", body) as answer:
                    self._cookie = answer.headers["Set-Cookie"].partition(";")[0]
            with self._call("GET", f"/farms/{farm_id}/snapshot") as answer:
                snapshot: dict[str, Any] = json.load(answer)
                return snapshot
        except (OSError, HTTPException, ValueError):
            return None

    def leave(self) -> None:
        """Sign out."""
        if self._cookie:
            try:
                self._call("DELETE", "/session").close()
            except (OSError, HTTPException):
                return

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-Tuoi": "1", "Content-Type": "application/json", "Cookie": self._cookie}
        request = urllib.request.Request(self._api + path, data, headers, method=method)
        return urllib.request.urlopen(request, timeout=_WAIT_S)


def boards_ready(snapshot: dict[str, Any], nodes: list[str]) -> bool:
    """Whether the gateway is there and every board is, each with its part of the timetable."""
    if not snapshot["link"]["gateway_online"]:
        return False
    known = snapshot["nodes"]
    return all(node in known and known[node]["online"] and known[node]["plan"] == "timetable" for node in nodes)
