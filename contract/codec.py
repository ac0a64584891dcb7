"""Bytes to models and back. Refuses what `json.loads` lets through: NaN, duplicate keys, deep nesting, great size."""

import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from contract.errors import BadPayload
from contract.topics import TABLE, Channel


@cache
def _adapter(channel: Channel) -> TypeAdapter[Any]:
    return TypeAdapter(TABLE[channel].payload)


def encode(channel: Channel, message: Any) -> bytes:
    """Return the JSON of a message, absent values left out; raise BadPayload if it is above the channel's size."""
    payload = _adapter(channel).dump_json(message, exclude_defaults=False, exclude_none=True)
    if len(payload) > TABLE[channel].max_bytes:
        raise BadPayload(
            f"{channel}: {len(payload)} bytes is more than the {TABLE[channel].max_bytes} that it may have"
        )
    return payload


def decode(channel: Channel, payload: bytes) -> Any:
    """Return the message of a channel; raise BadPayload with the field and what was expected."""
    if len(payload) > TABLE[channel].max_bytes:
        raise BadPayload(
            f"{channel}: {len(payload)} bytes is more than the {TABLE[channel].max_bytes} that it may have"
        )
    try:
        # First pydantic, whose parser bounds the depth; only then the look for duplicate keys, which recurses.
        message = _adapter(channel).validate_json(payload)
        json.loads(payload, object_pairs_hook=_no_duplicates)
    except ValidationError as exc:
        raise BadPayload(f"{channel}: {explain(exc)}") from None
    except (ValueError, OverflowError) as exc:
        # A number of hundreds of digits is an integer to the parser and too much for the checks of a model.
        raise BadPayload(f"{channel}: {exc}") from None
    return message


def _no_duplicates(pairs: list[tuple[str, Any]]) -> None:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        twice = next(key for key in keys if sum(key == other for other, _ in pairs) > 1)
        raise ValueError(f"key {twice!r} stands twice in one object")


def explain(exc: ValidationError) -> str:
    """One sentence for a person: each field at fault, what was expected, and what stood there."""
    parts = []
    for error in exc.errors(include_url=False)[:5]:
        place = ".".join(str(step) for step in error["loc"]) or "the message"
        said = error["msg"].removeprefix("Value error, ")
        parts.append(f"{place}: {said}{_given(error['input'])}")
    return "; ".join(parts)


def _given(value: Any) -> str:
    if isinstance(value, dict | list | tuple | bytes):
        return ""  # the whole message is no help
    text = repr(value)
    return f" (got {text if len(text) <= 60 else text[:57] + '...'})"
