"""Every message as it is on the wire. Adding a case is adding a file: NAME is CHANNEL.CASE.

golden/valid/NAME.json      the message; encoding what was decoded gives it back
golden/invalid/NAME.json    a payload that is refused, with
golden/invalid/NAME.expect  the sentence, or its telling part, that the refusal must say
"""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from contract.codec import decode, encode
from contract.errors import BadPayload
from contract.messages import Command, Event, State
from contract.topics import TABLE, Channel

GOLDEN = Path(__file__).parent / "golden"
VALID = sorted((GOLDEN / "valid").glob("*.json"))
INVALID = sorted((GOLDEN / "invalid").glob("*.json"))
CHANNELS = {channel.value.partition("/")[2]: channel for channel in Channel}


def channel_of(path: Path) -> Channel:
    return CHANNELS[path.name.partition(".")[0]]


def pretty(payload: bytes) -> str:
    return json.dumps(json.loads(payload), indent=2, ensure_ascii=False) + "\n"


def kinds(union: Any) -> set[str]:
    members = get_args(get_args(union)[0])
    assert all(issubclass(member, BaseModel) for member in members)
    return {member.model_fields["kind"].default for member in members}


def kinds_in(channel: Channel) -> set[str]:
    return {json.loads(path.read_text())["kind"] for path in VALID if channel_of(path) is channel}


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_message_comes_back_as_it_was(path: Path) -> None:
    channel = channel_of(path)
    message = decode(channel, path.read_bytes())
    payload = encode(channel, message)
    assert pretty(payload) == path.read_text()
    assert decode(channel, payload) == message
    assert encode(channel, decode(channel, payload)) == payload


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_payload_is_refused_with_its_sentence(path: Path) -> None:
    expect = path.with_suffix(".expect")
    assert expect.exists(), f"{path.name} needs {expect.name} with the sentence that the refusal must say"
    sentence = expect.read_text().strip()
    assert sentence
    with pytest.raises(BadPayload) as refusal:
        decode(channel_of(path), path.read_bytes().removesuffix(b"\n"))
    assert sentence in str(refusal.value)


def test_every_expectation_has_its_payload() -> None:
    assert {path.stem for path in (GOLDEN / "invalid").glob("*.expect")} == {path.stem for path in INVALID}


def test_every_file_is_a_case_of_a_channel() -> None:
    for path in GOLDEN.rglob("*.*"):
        assert path.suffix in {".json", ".expect"}
        assert channel_of(path) in TABLE


@pytest.mark.parametrize("channel", Channel)
def test_every_channel_has_valid_and_invalid_cases(channel: Channel) -> None:
    assert any(channel_of(path) is channel for path in VALID)
    assert any(channel_of(path) is channel for path in INVALID)


def test_every_kind_of_event_has_a_valid_case() -> None:
    batches = [json.loads(path.read_text()) for path in VALID if channel_of(path) is Channel.BATCH]
    assert {event["kind"] for batch in batches for event in batch["events"]} == kinds(Event)


@pytest.mark.parametrize(("channel", "union"), [(Channel.COMMAND, Command), (Channel.STATE, State)])
def test_every_kind_of_command_and_state_has_a_valid_case(channel: Channel, union: Any) -> None:
    assert kinds_in(channel) == kinds(union)


def test_both_kinds_of_configuration_have_a_valid_case() -> None:
    assert kinds_in(Channel.CONFIG) == {"node", "farm"}
