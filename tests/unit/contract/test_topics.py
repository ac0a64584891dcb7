"""The topic table and its inverse."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import BadTopic
from contract.topics import (
    GATEWAY,
    TABLE,
    Address,
    Channel,
    down_filter,
    farm_up_filter,
    gateways_up_filter,
    parse,
    topic,
)

ROOT = Path(__file__).parents[3]
slugs = st.from_regex(r"[a-z0-9][a-z0-9-]{0,47}", fullmatch=True)
channels = st.sampled_from(Channel)


def matches(pattern: str, name: str) -> bool:
    """MQTT 5, section 4.7, as far as `+`."""
    ours, theirs = pattern.split("/"), name.split("/")
    return len(ours) == len(theirs) and all(level in {"+", other} for level, other in zip(ours, theirs, strict=True))


@given(slugs, slugs, channels)
def test_parse_is_the_inverse_of_topic(farm: str, node: str, channel: Channel) -> None:
    assert parse(topic(farm, node, channel)) == Address(farm, node, channel)


@given(st.text())
def test_any_text_is_one_of_our_topics_or_a_bad_topic(text: str) -> None:
    try:
        address = parse(text)
    except BadTopic:
        return
    assert topic(address.farm_id, address.node_id, address.channel) == text


@pytest.mark.parametrize(
    "text",
    [
        "tuoi/1/mai/board-east/up/status/",
        "tuoi/1/mai/board-east/up/status\n",
        "tuoi/2/mai/board-east/up/status",
        "tuoi/1/mai/board-east/down/status",
        "tuoi/1/mai/+/up/status",
        "tuoi/1/mai/#",
        "tuoi/1//board-east/up/status",
        "tuoi/1/Mai/board-east/up/status",
        "tuoi/1/mai/board/east/up/status",
        "tuoi/1/mai/" + "a" * 49 + "/up/status",
        "$SYS/broker/uptime",
        "",
    ],
)
def test_a_foreign_topic_is_refused(text: str) -> None:
    with pytest.raises(BadTopic):
        parse(text)


@pytest.mark.parametrize("node", ["", "+", "#", "a/b", "A", "ống", "a" * 49, "-a"])
def test_an_id_that_is_no_slug_makes_no_topic(node: str) -> None:
    with pytest.raises(BadTopic):
        topic("mai", node, Channel.COMMAND)


@given(slugs, slugs, channels)
def test_a_node_hears_what_is_said_down_to_it_and_nothing_else(farm: str, node: str, channel: Channel) -> None:
    assert matches(down_filter(farm, node), topic(farm, node, channel)) == channel.startswith("down/")
    assert not matches(down_filter(farm, node), topic(farm, f"x{node[:40]}", channel))


@given(slugs, slugs, channels)
def test_a_gateway_hears_its_farm_and_the_server_hears_gateways(farm: str, node: str, channel: Channel) -> None:
    up = channel.startswith("up/")
    assert matches(farm_up_filter(farm), topic(farm, node, channel)) == up
    assert not matches(farm_up_filter(farm), topic(f"x{farm[:40]}", node, channel))
    assert matches(gateways_up_filter(), topic(farm, GATEWAY, channel)) == up
    assert not matches(gateways_up_filter(), topic(farm, f"x{node[:40]}", channel))


def test_every_channel_is_in_the_table_at_qos_1() -> None:
    assert set(TABLE) == set(Channel)
    assert {rules.qos for rules in TABLE.values()} == {1}


def test_no_order_is_ever_retained() -> None:
    retained = {channel for channel, rules in TABLE.items() if rules.retain}
    assert retained == {Channel.STATUS, Channel.STATE, Channel.PLAN}


def test_topics_are_spelt_in_one_module_only() -> None:
    spelt = re.compile(r"tuoi/1|[\"'/](up|down)/(status|hello|batch|state|reply|plan|ack|command|config|timetable)\b")
    for package in ("contract", "edge", "gateway", "server", "firmware_sim", "irrigation"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path != ROOT / "contract" / "topics.py" and "node_modules" not in path.parts:
                code = re.sub(r'"""(.|\n)*?"""', "", path.read_text(encoding="utf-8"))
                assert not spelt.search(code), f"{path.relative_to(ROOT)} spells a topic; use contract.topics"
