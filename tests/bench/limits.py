"""What this machine can do at best, measured in the same run: the denominator of every number that we print."""

import os
import socket
import sqlite3
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` (0-1) of `values` lie, by nearest rank; `values` may be unsorted, not empty."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def mqtt_round_trip_ms(port: int, count: int = 300) -> list[float]:
    """Round trips of a bare QoS 1 publish to ourselves through the broker on loopback, Nagle off, in ms."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bench-round-trip", protocol=paho.MQTTv5)
    came = threading.Event()
    ready = threading.Event()
    client.on_socket_open = _no_delay
    client.on_message = lambda c, u, message: came.set()
    client.on_subscribe = lambda c, u, mid, codes, properties: ready.set()
    client.on_connect = lambda c, u, flags, code, properties: c.subscribe("bench/round-trip", 1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    if not ready.wait(10):
        raise TimeoutError("the broker did not take the bench's subscription within 10 s")
    taken = []
    for _ in range(count):
        came.clear()
        begun = time.perf_counter()
        client.publish("bench/round-trip", b"x", 1)
        if not came.wait(5):
            raise TimeoutError("a bare MQTT round trip took more than 5 s")
        taken.append((time.perf_counter() - begun) * 1e3)
    client.disconnect()
    client.loop_stop()
    return taken


def _no_delay(_client: paho.Client, _userdata: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def sqlite_rows_per_s(rows: int = 300_000) -> float:
    """Rows per second into one indexed table, in durable commits of 1,000 (WAL, synchronous=FULL)."""
    with tempfile.TemporaryDirectory() as folder:
        db = sqlite3.connect(Path(folder) / "limit.db", isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(
            "CREATE TABLE reading (series INTEGER, at INTEGER, value REAL, PRIMARY KEY (series, at)) WITHOUT ROWID"
        )
        begun = time.perf_counter()
        for start in range(0, rows, 1000):
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT INTO reading VALUES (?, ?, ?)", [(n % 50, n, 1.5) for n in range(start, start + 1000)]
            )
            db.execute("COMMIT")
        took = time.perf_counter() - begun
        db.close()
    return rows / took


def commit_ms(count: int = 200) -> list[float]:
    """One-row durable commits, in ms: what a lease on disk costs before its valve may open."""
    with tempfile.TemporaryDirectory() as folder:
        db = sqlite3.connect(Path(folder) / "limit.db", isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE lease (id INTEGER PRIMARY KEY, body TEXT)")
        taken = []
        for number in range(count):
            begun = time.perf_counter()
            db.execute("INSERT INTO lease VALUES (?, 'x')", (number,))
            taken.append((time.perf_counter() - begun) * 1e3)
        db.close()
    return taken


def resident_kb(pid: int) -> int:
    """VmRSS of a process in kB (1,024 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise ProcessLookupError(f"process {pid} has no VmRSS (pid of this bench: {os.getpid()})")
