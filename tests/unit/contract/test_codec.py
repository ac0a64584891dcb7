"""Whatever comes in, a decoder gives a message or a BadPayload."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.codec import decode, encode
from contract.errors import BadPayload
from contract.messages import Ack, Batch, Lane, Reason, Reply
from contract.topics import TABLE, Channel

GOLDEN = sorted((Path(__file__).parents[2] / "contract" / "golden" / "valid").glob("*.json"))
EXAMPLES = [
    (next(c for c in Channel if c.endswith(f"/{path.name.split('.')[0]}")), json.loads(path.read_text()))
    for path in GOLDEN
]

channels = st.sampled_from(Channel)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["open", "node", "2026-11-23T05:30:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "24:00"]
    )
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def only_bad_payload(channel: Channel, payload: bytes) -> None:
    try:
        message = decode(channel, payload)
    except BadPayload:
        return
    assert decode(channel, encode(channel, message)) == message


@given(channels, st.binary(max_size=200))
def test_random_bytes_are_a_bad_payload(channel: Channel, payload: bytes) -> None:
    only_bad_payload(channel, payload)


@given(channels, values)
def test_random_json_is_a_bad_payload(channel: Channel, value: Any) -> None:
    only_bad_payload(channel, json.dumps(value).encode())


@st.composite
def mutated(draw: st.DrawFn) -> tuple[Channel, bytes]:
    """A golden message with one place replaced, dropped or doubled."""
    channel, message = draw(st.sampled_from(EXAMPLES))
    message = json.loads(json.dumps(message))
    place: Any = message
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = draw(st.sampled_from(keys))
        inner = place[key]
        if isinstance(inner, dict | list) and inner and draw(st.booleans()):
            place = inner
            continue
        match draw(st.sampled_from(["replace", "drop", "double"])):
            case "replace":
                place[key] = draw(values)
            case "drop":
                del place[key]
            case _ if isinstance(place, list):
                place.insert(key, inner)
            case _:
                place[f"{key}2"] = inner
        break
    return channel, json.dumps(message).encode()


@settings(max_examples=400)
@given(mutated())
def test_a_mutated_message_is_a_message_or_a_bad_payload(case: tuple[Channel, bytes]) -> None:
    only_bad_payload(*case)


@settings(max_examples=200)
@given(st.sampled_from(EXAMPLES), st.integers(min_value=0), st.binary(min_size=1, max_size=3))
def test_a_message_with_broken_bytes_is_a_message_or_a_bad_payload(
    example: tuple[Channel, Any], where: int, junk: bytes
) -> None:
    channel, message = example
    payload = json.dumps(message, ensure_ascii=False).encode()
    where %= len(payload)
    only_bad_payload(channel, payload[:where] + junk + payload[where + len(junk) :])


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"params":{"a":['])
@pytest.mark.parametrize("channel", [Channel.BATCH, Channel.CONFIG, Channel.PLAN, Channel.TIMETABLE])
def test_a_hundred_thousand_levels_are_refused(channel: Channel, opening: bytes) -> None:
    depth = min(100_000, TABLE[channel].max_bytes // len(opening) - 1)
    with pytest.raises(BadPayload):
        decode(channel, opening * depth)


@pytest.mark.parametrize("channel", Channel)
def test_a_payload_above_its_channels_size_is_refused_before_it_is_read(channel: Channel) -> None:
    with pytest.raises(BadPayload, match=f"bytes is more than the {TABLE[channel].max_bytes} that it may have"):
        decode(channel, b" " * (TABLE[channel].max_bytes + 1))


def test_a_message_above_its_channels_size_is_not_encoded() -> None:
    reply = Reply.model_validate_json(
        json.dumps(
            {
                "command_id": "c",
                "at": "2026-11-23T05:30:00Z",
                "outcome": "refused",
                "reason": {"code": "x", "params": {f"p{n}": "y" * 190 for n in range(400)}},
            }
        )
    )
    with pytest.raises(BadPayload, match="bytes is more than"):
        encode(Channel.REPLY, reply)


def test_more_records_than_a_batch_may_hold_are_refused() -> None:
    gap = {"kind": "gap", "at": "2026-11-23T05:30:00Z", "count": 1}
    gap |= {"first_at": gap["at"], "last_at": gap["at"]}
    batch = {"boot_id": "b", "lane": "events", "after_seq": 0, "events": [{"seq": n + 1, **gap} for n in range(2001)]}
    with pytest.raises(BadPayload, match="2000"):
        decode(Channel.BATCH, json.dumps(batch).encode())
    batch["events"] = batch["events"][:2000]  # type: ignore[index]
    assert len(decode(Channel.BATCH, json.dumps(batch).encode()).records) == 2000


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_cannot_even_be_built(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Reason(code="x", params={"flow_l_min": value})


def test_messages_cannot_be_changed() -> None:
    ack = Ack(boot_id="b", lane=Lane.EVENTS, seq=1)
    with pytest.raises(ValueError, match="frozen"):
        ack.seq = 2  # type: ignore[misc]


def test_records_are_those_of_the_lane() -> None:
    batch = decode(
        Channel.BATCH, json.dumps(next(m for c, m in EXAMPLES if c is Channel.BATCH and m["events"])).encode()
    )
    assert isinstance(batch, Batch)
    assert batch.records == batch.events
