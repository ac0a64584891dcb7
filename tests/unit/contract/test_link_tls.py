"""The link over TLS: certificates on both sides, as on a farm."""

import asyncio
import gc
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.link import Link
from contract.topics import Channel, down_filter
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import free_port
from tests.unit.contract.links import Ear, ack, linked, settings

pytestmark = pytest.mark.uses_broker


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca, other-ca, server and board: NAME.pem and NAME.key."""
    folder = tmp_path_factory.mktemp("keys")
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "other-ca"):
        own = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-days", "2", "-subj", f"/CN={name}")
        openssl(*new, "-x509", *own)
    extensions = folder / "extensions"
    extensions.write_text("subjectAltName = IP:127.0.0.1\n")
    for name in ("server", "board"):
        openssl(*new, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "2")
        asked = ("-in", folder / f"{name}.csr", "-out", folder / f"{name}.pem", "-extfile", extensions)
        openssl("x509", "-req", *asked, *signed)
    return folder


@pytest.fixture
def broker(keys: Path, tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that wants a client certificate and takes its name for the user's."""
    acl = tmp_path / "acl"
    acl.write_text("pattern readwrite tuoi/1/mai/%u/#\n")
    port = free_port()
    config = (
        f"listener {port} 127.0.0.1\nset_tcp_nodelay true\nlog_dest stderr\n"
        f"cafile {keys / 'ca.pem'}\ncertfile {keys / 'server.pem'}\nkeyfile {keys / 'server.key'}\n"
        f"require_certificate true\nuse_identity_as_username true\nacl_file {acl}\n"
    )
    made = Mosquitto(tmp_path / "broker", config=config, port=port)
    yield made
    made.close()


async def test_messages_pass_in_both_directions_and_in_order(broker: Mosquitto, keys: Path) -> None:
    tls = {"ca_file": keys / "ca.pem", "cert_file": keys / "board.pem", "key_file": keys / "board.key"}
    async with (
        linked(settings(broker.port, **tls), "one", [down_filter("mai", "board")]) as (_, ear),
        linked(settings(broker.port, **tls), "two") as (two, _),
    ):
        # Many at once: TLS decrypts more than one packet from a read, and the socket does not say so.
        await asyncio.gather(*(two.publish("mai", "board", Channel.ACK, ack(seq)) for seq in range(500)))
        assert [(await ear.next()).message.seq for _ in range(500)] == list(range(500))


# paho leaves the socket of a failed handshake open: it goes with the last that knows it, and says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("wrong", ["other-ca", "no certificate", "no tls"])
async def test_without_the_right_certificates_there_is_no_connection(
    broker: Mosquitto, keys: Path, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    tls: dict[str, Path] = {"ca_file": keys / "ca.pem", "cert_file": keys / "board.pem", "key_file": keys / "board.key"}
    if wrong == "other-ca":
        tls["ca_file"] = keys / "other-ca.pem"
    elif wrong == "no certificate":
        del tls["cert_file"], tls["key_file"]
    else:
        tls = {}
    ear = Ear()
    said = asyncio.Event()
    link = Link(
        settings(broker.port, **tls),
        client_id="board",
        subscriptions=(),
        on_message=ear.on_message,
        on_connect=ear.on_connect,
    )
    real: Callable[[str], None] = link._say_down

    def say_down(reason: str) -> None:
        real(reason)
        said.set()

    link._say_down = say_down  # type: ignore[method-assign]
    task = asyncio.create_task(link.run())
    async with asyncio.timeout(15):
        await said.wait()
    assert not link.connected
    assert ear.connections == 0
    assert "link down client_id=board" in caplog.text
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    left = [one for one in gc.get_objects() if isinstance(one, ssl.SSLSocket) and one.fileno() >= 0]
    assert not left
