"""Orders that nobody should obey, said to a board by its own broker: none opens a valve, and the board goes on."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from contract.codec import encode
from contract.messages import Open
from contract.topics import Channel, topic
from irrigation.model import Dose
from tests.e2e.house import House
from tests.e2e.phone import Phone

pytestmark = pytest.mark.timeout(120)
ZONE = "dau-tay"


@pytest.fixture
def broker(house: House) -> Iterator[paho.Client]:
    """Somebody with access to the farm's broker."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=f"stranger-{secrets.token_hex(4)}", protocol=paho.MQTTv5
    )
    client.connect("127.0.0.1", house.told["mqtt"]["port"])
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def order(house: House, phone: Phone, **changes: Any) -> Open:
    """A good order for the zone's board, changed."""
    zone = phone.snapshot()["zones"][ZONE]
    now = datetime.now(UTC)
    good: dict[str, Any] = {
        "id": f"cmd-{secrets.token_hex(8)}",
        "issued_at": now,
        "expires_at": now + timedelta(seconds=60),
        "actor": "stranger",
        "run_id": f"run-{secrets.token_hex(8)}",
        "zone_id": ZONE,
        "channel": zone["channel"],
        "dose": Dose(minutes=0.05),
        "max_s": 3.0,
    }
    return Open(**{**good, **changes})


def say(house: House, broker: paho.Client, payload: bytes, *, retain: bool = False) -> None:
    """Publish to the board's command topic and wait for the broker's acknowledgement."""
    told = broker.publish(topic("mai", house.node_of(ZONE), Channel.COMMAND), payload, 1, retain)
    told.wait_for_publish(10)


def openings(house: House) -> int:
    """How often the zone's line went up, as the field remembers."""
    valve = house.field.zone_valve(ZONE)
    return sum(
        change["node"] == valve.node and change["gpio"] == valve.gpio and change["level"] == 1
        for change in house.field.history()
    )


def still_waters(house: House, phone: Phone) -> None:
    """What was said before has been dealt with: orders are taken in turn, and this one is obeyed."""
    run = phone.water(ZONE, minutes=0.05).raise_for_status().json()
    phone.wait_state(run["id"], "done")


@pytest.mark.parametrize(
    "payload",
    [
        b"not json",
        b"[" * 60_000,
        b"[" * 100_000,
        b'{"kind":"open","kind":"close-all"}',
        b'{"kind":"open","max_s":NaN}',
        b'{"kind":"close-all","id":"x","issued_at":"2026-11-23T05:30:00","expires_at":"2026-11-23T05:31:00Z","actor":"m"}',
        b'{"kind":"open","pad":"' + b"x" * 70_000 + b'"}',
        "\ud800".encode("utf-16", "surrogatepass"),
    ],
    ids=["no JSON", "deep", "100k deep", "key twice", "NaN", "naive time", "oversize", "no UTF-8"],
)
def test_a_malformed_order_is_refused_and_the_next_good_one_obeyed(
    house: House, phone: Phone, broker: paho.Client, payload: bytes
) -> None:
    before = openings(house)
    say(house, broker, payload)
    still_waters(house, phone)
    assert openings(house) == before + 1


def test_an_expired_order_opens_nothing(house: House, phone: Phone, broker: paho.Client) -> None:
    before = openings(house)
    past = datetime.now(UTC) - timedelta(seconds=61)
    late = order(house, phone, issued_at=past, expires_at=past + timedelta(seconds=60))
    say(house, broker, encode(Channel.COMMAND, late))
    still_waters(house, phone)
    assert openings(house) == before + 1


def test_an_order_above_the_boards_cap_opens_nothing(house: House, phone: Phone, broker: paho.Client) -> None:
    before = openings(house)
    say(house, broker, encode(Channel.COMMAND, order(house, phone, max_s=86_400.0)))
    still_waters(house, phone)
    assert openings(house) == before + 1


def test_a_repeated_order_opens_once(house: House, phone: Phone, broker: paho.Client) -> None:
    before = openings(house)
    payload = encode(Channel.COMMAND, order(house, phone))
    for _ in range(5):
        say(house, broker, payload)
    opened = house.field.wait_zone(ZONE)
    house.field.wait_zone(ZONE, open=False, after_ns=opened.since_ns, timeout=10)
    say(house, broker, payload)
    phone.wait(lambda view: view["zones"][ZONE]["run_id"] is None, "the stranger's run to end")
    still_waters(house, phone)
    assert openings(house) == before + 2  # the order once, and the farmer's
