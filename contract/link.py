"""A connection to the broker that is kept up for ever, and says the truth about what was sent. Only this imports paho.

paho runs inside the asyncio loop; a thread does the blocking connect and nothing else. Every connection has a client
of its own, so nothing that was published before can be sent again later: what may not get lost is in an outbox.
"""

import asyncio
import hashlib
import logging
import random
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from traceback import clear_frames
from typing import Any, Literal

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contract.codec import decode, encode
from contract.errors import BadPayload, BadTopic, ConfigError, ContractError, NotAllowed, NotConnected, TooLarge
from contract.messages import Status
from contract.topics import TABLE, Address, Channel, parse, topic

log = logging.getLogger(__name__)

RECEIVE_MAXIMUM = 64  # messages that the broker may send before the first is acknowledged; the size of our queue
MAX_PACKET = 2 * 1024 * 1024  # what we take; the largest channel has 1 MiB
ANSWER_S = 10.0  # for CONNACK and SUBACK
FAREWELL_S = 2.0  # for the last words at a clean end
MAX_TRIES = 3  # of a message whose handler raises
KEPT_FOR_INSPECTION = 20

_NO_SUBSCRIBERS = 16
_NOT_AUTHORIZED = 135
_PACKET_TOO_LARGE = 149
_FAILURE = 128  # this and all above


class LinkSettings(BaseModel):
    """How to reach a broker. The password is in a file, never here; paths are read when a process starts."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    host: str = "127.0.0.1"
    port: int = Field(default=1883, ge=1, le=65_535)
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    protocol: Literal["5", "3.1.1"] = "5"
    """3.1.1 is for the demo's embedded broker only: it cannot tell that a message was refused."""
    keepalive_s: int = Field(default=15, ge=1, le=3600)
    session_expiry_s: int = Field(default=86_400, ge=0, le=4_294_967_295)
    retry_least_s: float = Field(default=0.5, gt=0, le=3600)
    retry_most_s: float = Field(default=30.0, gt=0, le=3600)

    @model_validator(mode="after")
    def _whole(self) -> "LinkSettings":
        # Half a TLS configuration must not become a connection without TLS.
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        if self.cert_file is not None and self.ca_file is None:
            raise ValueError("cert_file needs ca_file, which says whom to trust")
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs username")
        return self


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that its channel takes. `retained`: the broker had it in store; it is not news."""

    address: Address
    message: Any
    retained: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """An incoming message that no handler has seen or could handle; the first bytes of it, for a person to look at."""

    topic: str
    reason: str
    payload: bytes


class Link:
    """Publishes and receives. `run` is a task of the process; all other calls are made in the same loop.

    Messages are handled one by one in order of arrival, and acknowledged to the broker after `on_message` returned.
    When it raises, the connection is made anew so that the message comes again, three times at most. `on_connect` is
    called at every connection, once the subscriptions stand; it must be idempotent, and messages can come before it
    has returned. Raises ConfigError when the certificates cannot be read.
    """

    def __init__(
        self,
        settings: LinkSettings,
        *,
        client_id: str,
        subscriptions: Sequence[str],
        on_message: Callable[[Incoming], Awaitable[None]],
        on_connect: Callable[[], Awaitable[None]],
        will: tuple[str, str, Status] | None = None,
    ) -> None:
        self.refused = 0
        self.refusals: deque[Refused] = deque(maxlen=KEPT_FOR_INSPECTION)
        self.unheard = 0
        """Messages that the broker took although nobody subscribes to them now."""
        self._settings = settings
        self._client_id = client_id
        self._subscriptions = tuple(subscriptions)
        self._on_message = on_message
        self._on_connect = on_connect
        self._will = _farewell(will)
        self._tls = _tls_context(settings)
        self._tries: dict[bytes, int] = {}
        self._connection: _Connection | None = None
        self._down_for = ""  # the failure that was logged; empty while the link is up

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and the connection was not lost since. End-to-end acks say more."""
        return self._connection is not None and self._connection.accepted

    async def publish(
        self, farm_id: str, node_id: str, channel: Channel, message: Any, *, expires_s: int | None = None
    ) -> None:
        """Send one message (or its JSON as bytes); return when the broker has acknowledged it. That is not storage.

        Raise NotConnected (not sent, or the connection broke before the answer), NotAllowed, TooLarge or BadPayload.
        `expires_s`: the broker drops it when it could not be delivered by then (MQTT 5).
        """
        name = topic(farm_id, node_id, channel)
        payload = message if isinstance(message, bytes) else encode(channel, message)
        rules = TABLE[channel]
        if len(payload) > rules.max_bytes:
            raise BadPayload(f"{channel}: {len(payload)} bytes is more than the {rules.max_bytes} that it may have")
        if self._connection is None or not self._connection.accepted:
            raise NotConnected(f"{name}: no broker at {self._settings.host}:{self._settings.port} now")
        code = await self._connection.publish(name, payload, rules.qos, rules.retain, expires_s)
        if code == _NO_SUBSCRIBERS:
            self.unheard += 1
        elif code == _NOT_AUTHORIZED:
            raise NotAllowed(f"{name}: the broker's access control refused it for client {self._client_id}")
        elif code == _PACKET_TOO_LARGE:
            raise TooLarge(f"{name}: {len(payload)} bytes is more than the broker takes")
        elif code >= _FAILURE:
            raise NotConnected(f"{name}: the broker did not take it, reason {code}")

    async def run(self) -> None:
        """Connect for ever; on cancellation say farewell (the will's message) and disconnect cleanly."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            accepted_at: float | None = None
            connection = _Connection(self._settings, self._client_id, self._tls, self._will, self._refuse)
            try:
                await connection.open()
                accepted_at = loop.time()
                self._connection = connection
                await self._use(connection)
            except NotConnected as exc:
                self._say_down(str(exc))
            except asyncio.CancelledError:
                await connection.farewell(self._will)
                raise
            finally:
                self._connection = None
                connection.close()
            lasted = accepted_at is not None and loop.time() - accepted_at > self._settings.retry_most_s
            failures = 1 if lasted else min(failures + 1, 16)
            longest = min(self._settings.retry_least_s * 2.0 ** (failures - 1), self._settings.retry_most_s)
            # Jitter over half of it: ten thousand boards lose the same broker in the same second.
            await asyncio.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    async def _use(self, connection: "_Connection") -> None:
        """Serve one connection until it ends; always raises."""
        # No task group: until Python 3.13 one that fails in the moment of its cancellation loses the cancellation.
        tasks = [
            asyncio.create_task(connection.watch(), name=f"link {self._client_id} watch"),
            asyncio.create_task(self._greet(connection), name=f"link {self._client_id} greet"),
            asyncio.create_task(self._handle(connection), name=f"link {self._client_id} handle"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        raise next(exc for exc in outcomes if isinstance(exc, Exception))

    async def _greet(self, connection: "_Connection") -> None:
        await connection.subscribe(self._subscriptions)
        log.info(
            "link up client_id=%s host=%s port=%d%s",
            self._client_id,
            self._settings.host,
            self._settings.port,
            f" after={self._down_for!r}" if self._down_for else "",
        )
        self._down_for = ""
        try:
            await self._on_connect()
        except NotConnected:
            raise
        except Exception as exc:  # a link must come back whatever its owner does
            log.exception("link on_connect failed client_id=%s", self._client_id)
            raise NotConnected(f"on_connect failed: {exc!r}") from exc

    async def _handle(self, connection: "_Connection") -> None:
        while True:
            message = await connection.inbox.get()
            payload = bytes(message.payload)
            try:
                address = parse(message.topic)
                incoming = Incoming(address, decode(address.channel, payload), message.retain)
            except (BadTopic, BadPayload) as exc:
                self._refuse(message.topic, str(exc), payload)
            else:
                await self._hand_over(incoming, message.topic, payload)
            connection.acknowledge(message)

    async def _hand_over(self, incoming: Incoming, name: str, payload: bytes) -> None:
        mark = hashlib.blake2b(name.encode() + b"\0" + payload, digest_size=16).digest()
        try:
            await self._on_message(incoming)
        except Exception as exc:
            tries = self._tries.pop(mark, 0) + 1
            log.exception("handler failed client_id=%s topic=%s try=%d", self._client_id, name, tries)
            if tries < MAX_TRIES:
                self._tries[mark] = tries
                while len(self._tries) > RECEIVE_MAXIMUM:
                    self._tries.pop(next(iter(self._tries)))
                # Not acknowledged: only a new connection makes the broker send it again.
                raise NotConnected(f"the handler of {name} failed: {exc!r}") from exc
            self._refuse(name, f"its handler failed {tries} times, last with {exc!r}", payload)
        else:
            self._tries.pop(mark, None)

    def _refuse(self, name: str, reason: str, payload: bytes) -> None:
        self.refused += 1
        self.refusals.append(Refused(name[:200], reason, payload[:2000]))
        # A flood must not become a flood of log lines.
        if self.refused <= 10 or self.refused % 1000 == 0:
            log.warning("message refused client_id=%s topic=%s: %s", self._client_id, name[:200], reason)

    def _say_down(self, reason: str) -> None:
        if reason != self._down_for:
            log.error("link down client_id=%s: %s", self._client_id, reason)
            self._down_for = reason


async def reach(settings: LinkSettings) -> None:
    """Open a connection to the broker, with its TLS, and close it without a word; raise NotConnected or ConfigError."""
    tls = _tls_context(settings)
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(settings.host, settings.port, ssl=tls)
    except TimeoutError as exc:
        raise NotConnected(f"{settings.host}:{settings.port}: no answer within {ANSWER_S:.0f} s") from exc
    except OSError as exc:
        raise NotConnected(f"{settings.host}:{settings.port}: {exc}") from exc
    writer.close()
    with suppress(OSError, ssl.SSLError):
        await writer.wait_closed()


async def try_once(settings: LinkSettings, client_id: str) -> None:
    """Have the broker accept us, and leave; raise NotConnected or ConfigError.

    A client of that name is thrown out by it, and keeps its session: only for when it does not run.
    """
    connection = _Connection(settings, client_id, _tls_context(settings), None, lambda _topic, _why, _payload: None)
    try:
        await connection.open()
        await connection.farewell(None)
    finally:
        connection.close()


class _Connection:
    """One connection from CONNECT to its end, with a paho client of its own."""

    def __init__(
        self,
        settings: LinkSettings,
        client_id: str,
        tls: ssl.SSLContext | None,
        will: tuple[str, bytes, int, bool] | None,
        refuse: Callable[[str, str, bytes], None],
    ) -> None:
        self._refuse = refuse
        self.accepted = False
        self.inbox: asyncio.Queue[paho.MQTTMessage] = asyncio.Queue(RECEIVE_MAXIMUM)
        self._settings = settings
        self._five = settings.protocol == "5"
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._answer: asyncio.Future[None] = self._loop.create_future()
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._subscribing: dict[int, asyncio.Future[list[ReasonCode]]] = {}
        self._attached: int | None = None
        self._max_packet = MAX_PACKET
        self._client = self._make_client(client_id, tls)
        if will is not None:
            self._client.will_set(*will)

    def _make_client(self, client_id: str, tls: ssl.SSLContext | None) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=paho.MQTTv5 if self._five else paho.MQTTv311,
            clean_session=None if self._five else False,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = ANSWER_S
        if tls is not None:
            client.tls_set_context(tls)
        client.on_socket_open = _no_delay
        client.on_socket_close = self._detach
        client.on_socket_register_write = self._register_write
        client.on_socket_unregister_write = self._unregister_write
        client.on_connect = self._got_connack
        client.on_disconnect = self._got_disconnect
        client.on_message = self._got_message
        client.on_publish = self._got_puback
        client.on_subscribe = self._got_suback
        return client

    # --- what the link does ---

    async def open(self) -> None:
        """Connect and wait until the broker accepts; raise NotConnected."""
        connecting = asyncio.ensure_future(asyncio.to_thread(self._connect))
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            # A thread cannot be cancelled; what it opens must be closed.
            with suppress(OSError, ValueError):
                await connecting
            raise
        except (OSError, ValueError) as exc:
            clear_frames(exc.__traceback__)  # paho leaves the socket of a failed handshake to them
            raise NotConnected(f"{self._settings.host}:{self._settings.port}: {exc}") from exc
        self._attach()
        await self._answered(self._answer, "CONNACK")

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe to all filters with QoS 1; raise NotConnected when one is refused, for a deaf link is none."""
        if not filters:
            return
        # No local: a gateway hears the up side of its whole farm, but not its own words.
        wanted = [(name, SubscribeOptions(qos=1, noLocal=True) if self._five else 1) for name in filters]
        code, mid = self._client.subscribe(wanted)  # type: ignore[arg-type]
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise NotConnected(f"cannot subscribe: {paho.error_string(code)}")
        answer: asyncio.Future[list[ReasonCode]] = self._loop.create_future()
        self._subscribing[mid] = answer
        for name, reason in zip(filters, await self._answered(answer, "SUBACK"), strict=True):
            if reason.is_failure:
                raise NotConnected(f"the broker refuses the subscription {name}: {reason}")

    async def publish(self, name: str, payload: bytes, qos: int, retain: bool, expires_s: int | None) -> int:
        """Send and return the reason code of the broker's answer (0 in MQTT 3.1.1); raise NotConnected or TooLarge."""
        properties = None
        if self._five and expires_s is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = expires_s
        if len(payload) + len(name) + 32 > self._max_packet:
            # The broker would not refuse it: it would end the connection, again and again.
            raise TooLarge(f"{name}: {len(payload)} bytes, and the broker takes packets of {self._max_packet}")
        info = self._client.publish(name, payload, qos, retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise NotConnected(f"{name}: {paho.error_string(info.rc)}")
        answer: asyncio.Future[int] = self._loop.create_future()
        self._waiting[info.mid] = answer
        try:
            return await answer
        finally:
            self._waiting.pop(info.mid, None)

    def acknowledge(self, message: paho.MQTTMessage) -> None:
        """Tell the broker that the message need not come again."""
        self._client.ack(message.mid, message.qos)

    async def watch(self) -> None:
        """Keep the connection alive; raise NotConnected when it has ended."""
        while not self._ended.done():
            self._client.loop_misc()
            await asyncio.wait([self._ended], timeout=1.0)
        raise NotConnected(self._ended.result())

    async def farewell(self, will: tuple[str, bytes, int, bool] | None) -> None:
        """Say the will's message ourselves, because a clean end makes the broker forget it, and disconnect."""
        if not self.accepted:
            return
        with suppress(ContractError, TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                if will is not None:
                    await self.publish(*will, None)
                self._client.disconnect()
                await asyncio.wait([self._ended])

    def close(self) -> None:
        """End the connection without a word; whoever waits for an answer gets NotConnected."""
        self._end("closed")
        sock = self._client.socket()
        if sock is not None:
            self._detach(self._client, None, sock)
            with suppress(OSError):
                sock.close()

    # --- what paho does ---

    def _connect(self) -> None:
        settings = self._settings
        if settings.username is not None:
            password = None
            if settings.password_file is not None:
                password = settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
            self._client.username_pw_set(settings.username, password)
        if self._five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = settings.session_expiry_s
            properties.ReceiveMaximum = RECEIVE_MAXIMUM
            properties.MaximumPacketSize = MAX_PACKET
            self._client.connect(
                settings.host, settings.port, settings.keepalive_s, clean_start=False, properties=properties
            )
        else:
            self._client.connect(settings.host, settings.port, settings.keepalive_s)

    def _attach(self) -> None:
        sock = self._client.socket()
        if sock is None:
            raise NotConnected(f"{self._settings.host}:{self._settings.port}: closed at once")
        self._attached = sock.fileno()
        self._loop.add_reader(self._attached, self._readable)
        if self._client.want_write():
            self._loop.add_writer(self._attached, self._client.loop_write)

    def _readable(self) -> None:
        self._client.loop_read()
        sock = self._client.socket()
        # What TLS has decrypted already does not make the socket readable again.
        while isinstance(sock, ssl.SSLSocket) and sock.pending():
            self._client.loop_read()
            sock = self._client.socket()

    def _register_write(self, _client: paho.Client, _userdata: Any, _sock: Any) -> None:
        # Not attached: paho is in the connecting thread, which must not touch the loop.
        if self._attached is not None:
            self._loop.add_writer(self._attached, self._client.loop_write)

    def _unregister_write(self, _client: paho.Client, _userdata: Any, _sock: Any) -> None:
        if self._attached is not None:
            self._loop.remove_writer(self._attached)

    def _detach(self, _client: paho.Client, _userdata: Any, _sock: Any) -> None:
        if self._attached is not None:
            self._loop.remove_reader(self._attached)
            self._loop.remove_writer(self._attached)
            self._attached = None

    def _got_connack(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._end(f"{self._settings.host}:{self._settings.port}: the broker refuses us: {reason}")
            return
        self._max_packet = getattr(properties, "MaximumPacketSize", None) or 256 * 1024 * 1024
        self.accepted = True
        if not self._answer.done():
            self._answer.set_result(None)

    def _got_disconnect(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._end(f"{self._settings.host}:{self._settings.port}: the connection ended: {reason}")

    def _got_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            self.inbox.put_nowait(message)
        except asyncio.QueueFull:
            if message.qos == 0:  # nothing of ours; a stranger's flood must not cost us the connection
                self._refuse(message.topic, "it came at QoS 0 and too many are waiting", bytes(message.payload))
            else:
                # MQTT 5 brokers keep to our receive maximum. From others it comes again after a new connection.
                self._end(f"more than {RECEIVE_MAXIMUM} messages came before the first was handled")

    def _got_puback(
        self, _client: paho.Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        answer = self._waiting.pop(mid, None)
        if answer is not None and not answer.done():
            answer.set_result(reason.value)

    def _got_suback(
        self, _client: paho.Client, _userdata: Any, mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        answer = self._subscribing.pop(mid, None)
        if answer is not None and not answer.done():
            answer.set_result(reasons)

    async def _answered(self, answer: "asyncio.Future[Any]", what: str) -> Any:
        await asyncio.wait([answer, self._ended], timeout=ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        if self._ended.done():
            raise NotConnected(self._ended.result())
        raise NotConnected(f"no {what} from the broker within {ANSWER_S:.0f} s")

    def _end(self, reason: str) -> None:
        self.accepted = False
        if not self._ended.done():
            self._ended.set_result(reason)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(NotConnected(f"the connection ended before the broker answered: {reason}"))
        self._waiting.clear()


def _no_delay(_client: paho.Client, _userdata: Any, sock: Any) -> None:
    # Nagle's algorithm against delayed acknowledgements makes a round trip of 0.3 ms one of 44 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _farewell(will: tuple[str, str, Status] | None) -> tuple[str, bytes, int, bool] | None:
    if will is None:
        return None
    farm_id, node_id, status = will
    rules = TABLE[Channel.STATUS]
    return topic(farm_id, node_id, Channel.STATUS), encode(Channel.STATUS, status), rules.qos, rules.retain


def _tls_context(settings: LinkSettings) -> ssl.SSLContext | None:
    if settings.ca_file is None:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.cert_file is not None:
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except OSError as exc:
        named = ", ".join(str(path) for path in (settings.ca_file, settings.cert_file, settings.key_file) if path)
        raise ConfigError(f"link: the certificates {named} cannot be used: {exc}") from exc
    return context
