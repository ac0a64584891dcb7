"""Wakes ring once at their moment, also one that is past; a new moment takes the place of the old."""

import asyncio
from datetime import UTC, datetime, timedelta

from gateway.wakes import Wakes


def moment(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def rung(event: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await event.wait()
    event.clear()


async def test_a_wake_rings_at_its_moment_and_one_that_is_past_at_once() -> None:
    event = asyncio.Event()
    with Wakes() as wakes:
        wakes.at("soon", moment(0.05), event.set)
        await rung(event)
        wakes.at("past", moment(-3600), event.set)
        await rung(event)


async def test_the_same_moment_can_be_set_again_after_it_rang() -> None:
    event, at = asyncio.Event(), moment(0.02)
    with Wakes() as wakes:
        for _ in range(2):
            wakes.at("expiry", at, event.set)
            await rung(event)


async def test_a_new_moment_replaces_the_old_and_none_takes_it_away() -> None:
    first, second = asyncio.Event(), asyncio.Event()
    with Wakes() as wakes:
        wakes.at("a", moment(0.05), first.set)
        wakes.at("a", moment(0.15), second.set)
        wakes.at("b", moment(0.05), first.set)
        wakes.at("b", None, first.set)
        wakes.at("never set", None, first.set)
        await rung(second)
    assert not first.is_set()


async def test_a_repeated_wake_rings_again_and_again() -> None:
    event = asyncio.Event()
    with Wakes() as wakes:
        wakes.every("tick", 0.05, event.set)
        await rung(event)
        await rung(event)
