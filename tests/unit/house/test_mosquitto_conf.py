"""configs/mosquitto.conf and mosquitto.acl, run by a real mosquitto with certificates of a test authority."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
import trustme
from paho.mqtt.enums import CallbackAPIVersion

from contract.topics import Channel, down_filter, farm_up_filter, gateways_up_filter, topic
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import free_port

pytestmark = pytest.mark.uses_broker

CONFIGS = Path(__file__).parents[3] / "configs"
DENIED = "Not authorized"


class Site:
    """A broker that runs the project's own configuration, and clients with certificates for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(folder / "ca.crt")
        broker = self.authority.issue_cert("127.0.0.1")
        broker.private_key_pem.write_to_path(folder / "broker.key")
        broker.cert_chain_pems[0].write_to_path(folder / "broker.crt")
        (folder / "mosquitto.acl").write_text((CONFIGS / "mosquitto.acl").read_text())
        port = free_port()
        text = (CONFIGS / "mosquitto.conf").read_text()
        for there, here in {
            "/etc/tuoi/tls": str(folder),
            "/etc/tuoi/mosquitto.acl": str(folder / "mosquitto.acl"),
            "listener 8883": f"listener {port} 127.0.0.1",
        }.items():
            assert there in text, f"configs/mosquitto.conf no longer says {there!r}"
            text = text.replace(there, here)
        text += f"persistence_location {folder}/\nlog_dest stderr\n"  # Debian's own mosquitto.conf has these two
        self.broker = Mosquitto(folder, config=text, port=port)
        self.clients: list[Client] = []

    def client(self, identity: str, client_id: str | None = None) -> "Client":
        client = Client(self, identity, client_id or identity)
        self.clients.append(client)
        return client

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.broker.close()


class Client:
    """A plain MQTT 5 client whose calls wait for the broker's answer and return its reason."""

    def __init__(self, site: Site, identity: str, client_id: str) -> None:
        self._paho = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5)
        certificate = site.folder / f"{identity.replace('/', '_')}.pem"
        site.authority.issue_cert("client.test", common_name=identity).private_key_and_cert_chain_pem.write_to_path(
            certificate
        )
        self._paho.tls_set(str(site.folder / "ca.crt"), str(certificate))
        self.received: list[str] = []
        self._answers: dict[str, str] = {}
        self._news = threading.Condition()
        self._paho.on_connect = self._on_connect
        self._paho.on_disconnect = lambda *a: self._tell("disconnect", str(a[3]))
        self._paho.on_publish = lambda _c, _u, mid, reason, _p: self._tell(f"publish {mid}", str(reason))
        self._paho.on_subscribe = lambda _c, _u, mid, reasons, _p: self._tell(f"subscribe {mid}", str(reasons[0]))
        self._paho.on_message = self._on_message
        self._port = site.broker.port

    def connect(self) -> str:
        self._paho.connect("127.0.0.1", self._port, clean_start=True)
        self._paho.loop_start()
        return self.wait_for("connect")

    def publish(self, to: str, payload: str = "{}", *, retain: bool = False) -> str:
        return self.wait_for(f"publish {self._paho.publish(to, payload, qos=1, retain=retain).mid}")

    def subscribe(self, to: str) -> str:
        return self.wait_for(f"subscribe {self._paho.subscribe(to, qos=1)[1]}")

    def hears(self, wanted: str) -> bool:
        with self._news:
            return self._news.wait_for(lambda: wanted in self.received, 5)

    def wait_for(self, what: str) -> str:
        with self._news:
            assert self._news.wait_for(lambda: what in self._answers, 5), f"no answer: {what}"
            return self._answers[what]

    def close(self) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()
        left = self._paho.socket()  # of a connection that was begun anew just now
        if left is not None:
            left.close()

    def _on_connect(self, _c: Any, _u: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._tell("connect", str(reason))

    def _on_message(self, _c: Any, _u: Any, message: mqtt.MQTTMessage) -> None:
        with self._news:
            self.received.append(message.topic)
            self._news.notify_all()

    def _tell(self, what: str, answer: str) -> None:
        with self._news:
            self._answers[what] = answer
            self._news.notify_all()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def test_a_board_speaks_as_itself_and_its_gateway_hears_it(site: Site) -> None:
    gateway, board = site.client("mai/gateway"), site.client("mai/board-1")
    assert gateway.connect() == board.connect() == "Success"
    assert gateway.subscribe(farm_up_filter("mai")) == "Granted QoS 1"
    assert board.subscribe(down_filter("mai", "board-1")) == "Granted QoS 1"
    assert board.publish(topic("mai", "board-1", Channel.STATE)) == "Success"
    assert gateway.hears(topic("mai", "board-1", Channel.STATE))
    assert gateway.publish(topic("mai", "board-1", Channel.COMMAND)) == "Success"
    assert board.hears(topic("mai", "board-1", Channel.COMMAND))


def test_the_server_hears_gateways_and_orders_gateways_only(site: Site) -> None:
    server, gateway = site.client("server"), site.client("mai/gateway")
    assert server.connect() == gateway.connect() == "Success"
    server.subscribe(gateways_up_filter())
    gateway.subscribe(down_filter("mai", "gateway"))
    assert gateway.publish(topic("mai", "gateway", Channel.STATE)) == "Success"
    assert server.hears(topic("mai", "gateway", Channel.STATE))
    assert server.publish(topic("mai", "gateway", Channel.COMMAND)) == "Success"
    assert gateway.hears(topic("mai", "gateway", Channel.COMMAND))
    assert server.publish(topic("mai", "board-1", Channel.COMMAND)) == DENIED


def test_a_board_can_neither_speak_as_another_nor_give_orders(site: Site) -> None:
    board = site.client("mai/board-1")
    assert board.connect() == "Success"
    for farm, node, channel in [
        ("mai", "board-2", Channel.STATE),
        ("xuan", "board-1", Channel.STATE),
        ("mai", "gateway", Channel.STATE),
        ("mai", "board-1", Channel.COMMAND),
        ("mai", "board-2", Channel.COMMAND),
    ]:
        assert board.publish(topic(farm, node, channel)) == DENIED, (farm, node, channel)


def test_a_gateway_has_no_say_in_another_farm(site: Site) -> None:
    gateway = site.client("xuan/gateway")
    assert gateway.connect() == "Success"
    assert gateway.publish(topic("mai", "board-1", Channel.COMMAND)) == DENIED


def test_nobody_takes_over_the_session_of_another(site: Site) -> None:
    board, thief = site.client("mai/board-1"), site.client("mai/board-2", client_id="mai/board-1")
    assert board.connect() == thief.connect() == "Success"
    assert board.subscribe(down_filter("mai", "board-1")) == "Granted QoS 1"
    assert "disconnect" not in board._answers


def test_nobody_connects_without_a_certificate(site: Site) -> None:
    context = ssl.create_default_context(cafile=str(site.folder / "ca.crt"))
    with (
        socket.create_connection(("127.0.0.1", site.broker.port), 5) as plain,
        pytest.raises(OSError, match="certificate required"),
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.recv(1)
