"""What the guard needs of the machine around it: its socket and the service manager."""

import contextlib
import os
import socket
from pathlib import Path


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
