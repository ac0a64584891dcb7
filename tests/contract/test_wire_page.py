"""docs/wire.md is held to the topic table and to the golden files."""

import re
from pathlib import Path

import pytest

from contract.topics import TABLE, Channel

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "wire.md").read_text(encoding="utf-8")
ROWS = {
    row[0]: row[1:]
    for row in re.findall(r"^\| `((?:up|down)/\w+)` \| (\d) \| (yes|no) \| (\d+) KiB \| .+ \|$", PAGE, re.MULTILINE)
}
EXAMPLES = re.findall(r"From \[`([\w.-]+\.json)`\]\(([^)]+)\):\n\n```json\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_has_the_whole_table_and_nothing_else() -> None:
    assert set(ROWS) == {channel.value for channel in Channel}


@pytest.mark.parametrize("channel", Channel)
def test_the_page_says_how_a_channel_travels(channel: Channel) -> None:
    rules = TABLE[channel]
    assert ROWS[channel] == (str(rules.qos), "yes" if rules.retain else "no", str(rules.max_bytes // 1024))


@pytest.mark.parametrize(("name", "link", "text"), EXAMPLES, ids=[name for name, _, _ in EXAMPLES])
def test_an_example_is_a_golden_file(name: str, link: str, text: str) -> None:
    golden = ROOT / "docs" / link
    assert golden.name == name
    assert golden.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("channel", Channel)
def test_every_channel_has_an_example(channel: Channel) -> None:
    section = PAGE.partition(f"### `{channel}`\n")[2].partition("\n### ")[0]
    assert re.search(rf"From \[`{channel.partition('/')[2]}\.", section)
