"""The demo as its user starts it: one command, then its address, accounts and processes from DATA/demo.json."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from firmware_sim.demo.ready import answers
from firmware_sim.field_client import FieldClient
from tests.e2e.phone import Phone
from tests.fixtures.processes import Process, Processes


class House:
    """`tuoi demo` in a process of its own. `field` judges the valves without asking those who drive them."""

    def __init__(self, processes: Processes, data: Path, *options: str, ready_s: float = 120) -> None:
        self.data = data
        self.demo: Process = processes.start(
            sys.executable,
            "-m",
            "tuoi",
            "demo",
            "--data",
            data,
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            *options,
            name="demo",
        )
        begun = time.monotonic()
        self.demo.wait_for(r"http://127\.0\.0\.1", ready_s)
        self.ready_s = time.monotonic() - begun
        self.told = json.loads((data / "demo.json").read_text())
        self.url: str = self.told["url"]
        self.field = FieldClient(data / "field.sock")
        self._phones: list[Phone] = []

    def phone(self, role: str = "farmer") -> Phone:
        """A signed-in person of that role, following the live stream."""
        account = self.account(role)
        phone = Phone(self.url, account["name"], account["password"])
        phone.sign_in()
        phone.watch()
        self._phones.append(phone)
        return phone

    def node_of(self, zone_id: str) -> str:
        """The board that has the zone's valve."""
        return self.field.zone_valve(zone_id).node

    def small_zones(self, count: int) -> list[str]:
        """So many zones whose flows the sources can give at the same time."""
        snapshot = self._phones[-1].snapshot()
        left = {source["id"]: float(source["capacity_l_min"]) for source in snapshot["sources"].values()}
        found: list[str] = []
        for zone in sorted(snapshot["zones"].values(), key=lambda zone: float(zone["flow_l_min"])):
            if zone["flow_l_min"] <= left[zone["source_id"]] and len(found) < count:
                left[zone["source_id"]] -= zone["flow_l_min"]
                found.append(str(zone["id"]))
        assert len(found) == count, "the farm has not so many zones that fit together"
        return found

    def account(self, role: str) -> dict[str, str]:
        """The demo's sign-in of that role: role, name, password."""
        account: dict[str, str] = next(account for account in self.told["accounts"] if account["role"] == role)
        return account

    def all_ready(self, phone: Phone) -> None:
        """Return when all boards are in hearing and all valves closed, as the phone is told and as the field has it."""
        self._answers()
        phone.wait(
            lambda view: view["link"]["gateway_online"] and all(node["online"] for node in view["nodes"].values()),
            "every board online",
            60,
        )
        phone.all_closed()
        self.field.wait_all_closed(10)

    def _answers(self, timeout_s: float = 60) -> None:
        """Return when the server answers: one that was killed may still be starting."""
        deadline_s = time.monotonic() + timeout_s
        while not answers(f"{self.url}/readyz"):
            assert time.monotonic() < deadline_s, f"the server does not answer after {timeout_s:g} s"
            time.sleep(0.05)  # nothing tells us; a server has to be asked

    def pid(self, name: str) -> int:
        """The process of that name as it is now (a killed one is started anew, as systemd would)."""
        told: dict[str, Any] = json.loads((self.data / "demo.json").read_text())
        return int(told["processes"][name])

    def kill(self, name: str, number: int = signal.SIGKILL) -> tuple[int, int]:
        """Send a signal to a process of the house; return its pid and the moment before (monotonic ns)."""
        pid, moment_ns = self.pid(name), time.monotonic_ns()
        os.kill(pid, number)
        return pid, moment_ns

    def end(self) -> int:
        """Ctrl-C; return the exit code."""
        for phone in self._phones:
            phone.close()
        self.field.close()
        self.demo.signal(signal.SIGINT)
        return self.demo.wait(30)
