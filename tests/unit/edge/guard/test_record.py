"""The guard's file: what comes back from it after a restart and after a boot, and what it makes of damage."""

from binascii import crc32
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.guard.record import BOOT_ID, SLOT_BYTES, Kept, Lost, Record
from edge.guard.use import DAY_S, QUARTER_S, Use, quarter_of

KEPT = Kept({"v1": {10: 300.0, 12: 60.0}, "pump": {}}, {"v2": "leak"})
AT_S = 12 * QUARTER_S + 5


def boot(folder: Path, name: str) -> Path:
    path = folder / "boot_id"
    path.write_text(f"{name}\n")
    return path


def test_a_new_board_has_used_nothing(tmp_path: Path) -> None:
    assert Record(tmp_path).read(AT_S) == Kept()


def test_after_a_restart_it_is_as_it_was_written(tmp_path: Path) -> None:
    Record(tmp_path).write(KEPT, AT_S)
    assert Record(tmp_path).read(AT_S + 3600) == KEPT
    assert BOOT_ID.exists()  # this machine says which boot it is; the other tests say it themselves


def test_after_a_boot_all_is_as_old_as_when_it_was_written(tmp_path: Path) -> None:
    Record(tmp_path, boot_id=boot(tmp_path, "first")).write(KEPT, AT_S)
    read = Record(tmp_path, boot_id=boot(tmp_path, "second")).read(7.0)
    assert read.used == {"v1": {-2: 300.0, 0: 60.0}, "pump": {}}
    assert read.locked == {"v2": "leak"}


@pytest.mark.parametrize("next_boot", ["same", ""])
def test_what_was_granted_ahead_counts_as_used_by_now(tmp_path: Path, next_boot: str) -> None:
    ahead = Kept({"v1": {12: 50.0, 13: 900.0, 14: 100.0}})
    Record(tmp_path, boot_id=boot(tmp_path, "same")).write(ahead, AT_S)
    read = Record(tmp_path, boot_id=boot(tmp_path, next_boot)).read(AT_S)
    assert read.used == {"v1": {12: 1050.0}}


def test_where_no_boot_can_be_told_from_another_each_start_counts_as_one(tmp_path: Path) -> None:
    none = tmp_path / "none"
    Record(tmp_path, boot_id=none).write(KEPT, AT_S)
    assert Record(tmp_path, boot_id=none).read(AT_S + QUARTER_S).used["v1"] == {11: 300.0, 13: 60.0}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("300.0", "30.0"),
        lambda text: text.splitlines()[1],
        lambda text: text.replace("}", "", 1),
        lambda text: "\x00" * len(text),
    ],
)
def test_a_damaged_file_is_lost_and_never_believed(tmp_path: Path, damage: Callable[[str], str]) -> None:
    Record(tmp_path).write(KEPT, AT_S)
    path = tmp_path / "guard.state"
    path.write_text(damage(path.read_text()))
    with pytest.raises(Lost, match=r"guard\.state"):
        Record(tmp_path).read(AT_S)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"boot": "x", "quarter": 1, "used": {}}',
        '{"boot": "x", "quarter": null, "used": {}, "locked": {}}',
        '{"boot": "x", "quarter": 1, "used": {"v1": 5}, "locked": {}}',
        '{"boot": "x", "quarter": 1, "used": {"v1": [["1", 5]]}, "locked": {}}',
        '{"boot": "x", "quarter": 1, "used": [], "locked": {}}',
    ],
)
def test_a_whole_file_of_something_else_is_lost_too(tmp_path: Path, text: str) -> None:
    (tmp_path / "guard.state").write_text(f"{text}\n{crc32(text.encode()):08x}\n")
    with pytest.raises(Lost):
        Record(tmp_path).read(AT_S)


def test_a_file_that_has_gone_is_not_a_new_board(tmp_path: Path) -> None:
    Record(tmp_path).write(KEPT, AT_S)
    (tmp_path / "guard.state").unlink()
    with pytest.raises(Lost, match="is gone"):
        Record(tmp_path).read(AT_S)


def test_a_first_write_that_fails_leaves_a_new_board(tmp_path: Path) -> None:
    (tmp_path / "guard.new").mkdir()
    with pytest.raises(OSError, match=r"guard\.new"):
        Record(tmp_path).write(KEPT, AT_S)
    assert Record(tmp_path).read(AT_S) == Kept()


def numbered(number: int) -> Kept:
    return Kept({"v1": {12: float(number)}})


@pytest.mark.parametrize("written", range(1, 6))
@pytest.mark.parametrize("restarted", [False, True])
def test_a_write_that_is_cut_off_leaves_the_one_before_it(tmp_path: Path, written: int, *, restarted: bool) -> None:
    path, record = tmp_path / "guard.state", Record(tmp_path)
    for number in range(written):
        record.write(numbered(number), AT_S)
        if restarted:
            record = Record(tmp_path)
            record.read(AT_S)
    before = path.read_bytes()
    record.write(numbered(written), AT_S)
    after = path.read_bytes()
    assert Record(tmp_path).read(AT_S) == numbered(written)
    changed = [at for at, byte in enumerate(after) if at >= len(before) or before[at] != byte]
    for cut in (changed[0], changed[len(changed) // 2], changed[-3]):  # the disk has what came before it
        path.write_bytes(after[:cut] + before[cut:])
        assert Record(tmp_path).read(AT_S) == numbered(written - 1)


def test_a_write_on_a_disk_that_has_failed_before_leaves_what_is_whole_alone(tmp_path: Path) -> None:
    path, kept, record = tmp_path / "guard.state", tmp_path / "kept", Record(tmp_path)
    for number in range(2):
        record.write(numbered(number), AT_S)
    path.rename(kept)
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        record.write(numbered(2), AT_S)
    path.unlink()
    kept.rename(path)
    whole = path.read_bytes()
    record.write(numbered(3), AT_S)
    assert path.read_bytes()[SLOT_BYTES:] == whole[SLOT_BYTES:]  # the younger one
    assert Record(tmp_path).read(AT_S) == numbered(3)


def test_a_file_of_before_there_were_slots_is_read_and_then_has_them(tmp_path: Path) -> None:
    text = '{"boot": "", "quarter": 12, "used": {"v1": [[12, 60.0]]}, "locked": {"v2": "leak"}}'
    (tmp_path / "guard.state").write_text(f"{text}\n{crc32(text.encode()):08x}\n")
    record = Record(tmp_path)
    assert record.read(AT_S) == Kept({"v1": {12: 60.0}}, {"v2": "leak"})
    for number in range(2):
        record.write(numbered(number), AT_S)
        assert Record(tmp_path).read(AT_S) == numbered(number)


def test_what_every_line_of_a_board_was_open_in_a_day_has_room_in_a_slot(tmp_path: Path) -> None:
    quarters = {int(DAY_S // QUARTER_S) * 20_000 + number: 899.1234567891234 for number in range(98)}
    most = Kept({f"valve-with-a-long-name-{line}": quarters for line in range(54)})
    at_s = max(quarters) * QUARTER_S
    record = Record(tmp_path)
    record.write(most, at_s)
    record.write(most, at_s)
    assert Record(tmp_path).read(at_s) == most
    record.write(Kept(), at_s)
    path = tmp_path / "guard.state"
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert Record(tmp_path).read(at_s) == most


# --- use ---


def test_use_is_counted_in_the_quarters_that_it_was_in() -> None:
    use = Use()
    use.add(890.0, 910.0)
    use.add(1800.0, 1800.0)
    assert use.quarters == {0: 10.0, 1: 10.0}
    use.add(900.0, 2700.0)
    assert use.quarters == {0: 10.0, 1: 910.0, 2: 900.0}
    assert quarter_of(-1.0) == -1


def test_of_a_quarter_that_is_partly_too_old_as_much_counts_as_can_be() -> None:
    use = Use({0: 600.0})
    assert [use.since_s(at_s) for at_s in (0.0, 300.0, 500.0, 899.0, 900.0, 5000.0)] == [600, 600, 400, 1, 0, 0]


def test_what_is_older_than_a_day_is_forgotten() -> None:
    use = Use({0: 600.0, 1: 5.0})
    use.forget(QUARTER_S + DAY_S - 1)
    assert use.quarters == {0: 600.0, 1: 5.0}
    use.forget(QUARTER_S + DAY_S)
    assert use.quarters == {1: 5.0}


def test_while_the_disk_takes_nothing_the_spare_folder_has_it_and_then_the_disk_again(tmp_path: Path) -> None:
    disk, ram = tmp_path / "disk", tmp_path / "ram"
    disk.mkdir()
    ram.mkdir()
    record = Record(disk, ram)
    record.write(KEPT, AT_S)
    path, kept = disk / "guard.state", disk / "kept"
    path.rename(kept)
    path.symlink_to("/dev/full")
    more = Kept({"v1": {12: 500.0}, "pump": {}}, {})
    for _ in range(2):
        record.write(more, AT_S)
        assert Record(disk, ram).read(AT_S) == more
    with pytest.raises(OSError, match="No space left"):
        Record(disk, disk).write(more, AT_S)  # no other folder: it says so
    path.unlink()
    kept.rename(path)
    again = Record(disk, ram)
    assert again.read(AT_S) == more  # the disk has an older one
    least = Kept({"v1": {}, "pump": {}}, {"v1": "leak"})
    again.write(least, AT_S)
    assert not list(ram.iterdir())
    assert Record(disk, ram).read(AT_S) == least
