"""Due waterings have identities that fit the wire and never collide."""

import re
from datetime import date, time

from hypothesis import given
from hypothesis import strategies as st

from irrigation.identity import due_id

_TOKEN = re.compile(r"[A-Za-z0-9_:.-]{1,80}")  # contract.messages.Token
_SLUGS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,47}", fullmatch=True)
_STARTS = st.times().map(lambda at: at.replace(microsecond=0))
_KEYS = st.tuples(_SLUGS, st.dates(date(2020, 1, 1), date(2100, 1, 1)), _STARTS, _SLUGS)


def test_an_id_reads_as_what_it_names() -> None:
    assert due_id("morning", date(2026, 11, 23), time(5, 30), "tea-1") == "morning:20261123:0530:tea-1"
    assert due_id("morning", date(2026, 11, 23), time(5, 30, 15), "tea-1") == "morning:20261123:053015:tea-1"


def test_an_id_too_long_for_the_wire_keeps_its_beginning_and_a_stable_hash() -> None:
    found = due_id("p" * 48, date(2026, 11, 23), time(5, 30), "z" * 48)
    assert found == "pppppppppppppppppppppppp:20261123:0530:zzzzzzzzzzzzzzzz:489533c301da"


@given(_KEYS)
def test_every_id_fits_the_wire(key: tuple[str, date, time, str]) -> None:
    assert _TOKEN.fullmatch(due_id(*key))


@given(st.sets(_KEYS, min_size=2, max_size=20))
def test_different_due_waterings_have_different_ids(keys: set[tuple[str, date, time, str]]) -> None:
    assert len({due_id(*key) for key in keys}) == len(keys)


@given(st.text("ab", min_size=1, max_size=8), st.text("ab", min_size=1, max_size=8))
def test_long_names_that_begin_alike_have_different_ids(one: str, other: str) -> None:
    ids = {due_id("p" * 40 + tail, date(2026, 11, 23), time(5), "z" * 40) for tail in (one, other)}
    assert len(ids) == len({one, other})
