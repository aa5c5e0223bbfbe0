"""What a spool keeps, in which order, and what it says of what it could not keep."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import SinkUnavailable
from sinks.base import Outgoing
from sinks.spool.dead_letters import FILE_NAME
from sinks.spool.settings import LEAST_BYTES, Fsync, SpoolSettings, WhenSpoolFull
from sinks.spool.spool import Spool
from sinks.spool.survey import survey
from tests.sinks.spool.spooling import (
    LARGE,
    SMALL,
    bodies,
    check_identity,
    messages,
    opened,
    read_all,
)


def disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.sqlite*"))


@pytest.mark.parametrize("size_bytes", [0, 10, 1000, 5000, 200_000])
def test_what_was_appended_is_read_in_order_from_memory_and_from_disk(
    tmp_path: Path, size_bytes: int
) -> None:
    given = messages(1, 50, size_bytes)
    with opened(tmp_path) as spool:
        assert spool.append(given) == 50
        from_memory = read_all(spool)
        identity = spool.identity
    with opened(tmp_path) as spool:
        from_disk = read_all(spool)
        assert spool.account()[0].found == 50
        assert spool.identity != identity
    assert from_memory == from_disk
    assert bodies(from_disk) == bodies(given)
    assert [message.number for message in from_disk] == list(range(1, 51))
    assert [m.message_id for m in from_disk] == [m.message_id for m in given]
    assert {message.spool for message in from_disk} == {identity}


def test_what_is_acknowledged_does_not_come_again_and_numbers_go_on(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append(messages(1, 30))
        spool.acknowledge(30)
    with opened(tmp_path) as spool:
        assert spool.account()[0].found == 0
        assert read_all(spool) == []
        spool.append(messages(31, 1))
        assert [message.number for message in read_all(spool)] == [31]


def test_numbers_go_on_where_the_position_is_lost_or_damaged(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append(messages(1, 30))
        spool.acknowledge(30)
    for left in (b"", os.urandom(24)):
        (tmp_path / "position").write_bytes(left)
        with opened(tmp_path) as spool:
            assert [message.number for message in read_all(spool)] == list(range(1, 31))
            spool.acknowledge(30)


@pytest.mark.parametrize("how", ["removed", "emptied", "garbage"])
def test_what_the_newest_file_held_is_counted_when_it_is_lost(tmp_path: Path, how: str) -> None:
    with opened(tmp_path) as spool:
        spool.append(messages(1, 30))
        spool.acknowledge(4)
    (newest,) = sorted(tmp_path.glob("*.sqlite"))
    if how == "removed":
        newest.unlink()
    else:
        newest.write_bytes(b"" if how == "emptied" else os.urandom(4096))
    with opened(tmp_path) as spool:
        assert read_all(spool) == []
        account, *_ = spool.account()
        assert (account.found, account.spooled, sum(account.dropped.values())) == (26, 0, 26)
        spool.append(messages(31, 2))
        assert [message.number for message in read_all(spool)] == [31, 32]


def test_copies_count_on_under_names_of_their_own(tmp_path: Path) -> None:
    """Equal numbers of two copies are different messages, and what both hold is one."""
    with opened(tmp_path / "a") as spool:
        spool.append(messages(1, 3))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    held = []
    for place, name in enumerate("ab"):
        with opened(tmp_path / name) as spool:
            spool.append(messages(10 * place, 2))
            held.append([(message.spool, message.number) for message in read_all(spool)])
    one, other = held
    assert [number for _, number in one] == [number for _, number in other] == [1, 2, 3, 4, 5]
    assert one[:3] == other[:3]
    assert set(one[3:]).isdisjoint(other[3:])


def test_files_of_a_version_without_names_in_them_keep_their_identity(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append(messages(1, 3))
    (path,) = tmp_path.glob("*.sqlite")
    path.rename(tmp_path / f"{1:020d}.sqlite")
    (tmp_path / "identity").write_text("ab" * 16)
    with opened(tmp_path) as spool:
        assert {message.spool for message in read_all(spool)} == {"ab" * 16}


@pytest.mark.parametrize(
    "name",
    [
        "notes.sqlite",
        "1.sqlite",
        f"{'٣' * 20}.sqlite",
        f"{9 * 10**19}.sqlite",
        f"{4 * 10**18:020d}.sqlite",
        f"{0:020d}.sqlite",
        f"{7:020d}-{'0' * 31}.sqlite",
        f"{1:020d}-{'0' * 32}.sqlite",
    ],
)
@pytest.mark.parametrize("what", [b"", b"not a database" * 1000, None])
def test_what_is_no_file_of_it_is_named_and_left_alone(
    tmp_path: Path, name: str, what: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "kafka"
    with opened(folder) as spool:
        spool.append(messages(1, 30))
        spool.acknowledge(4)
    foreign = folder / name
    if what is None:
        foreign.mkdir()
    else:
        foreign.write_bytes(what)
    for appended in range(2):
        with opened(folder) as spool:
            found = read_all(spool)
            assert [message.number for message in found] == list(range(5, 31 + appended))
            assert spool.account()[0].dropped == {}
            assert spool.append(messages(31, 1)) == 1
            (state,) = survey(tmp_path)
            assert (state.waiting, state.foreign) == (27 + appended, [name])
    assert caplog.text.count(f"{name}' is none of this spool, and left alone") == 2
    assert foreign.is_dir() if what is None else foreign.read_bytes() == what


@pytest.mark.parametrize("name", ["lock", "identity", "position"])
def test_a_folder_in_the_place_of_a_file_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(SinkUnavailable, match=f"spool {tmp_path}: Is a directory: free or repair"):
        Spool(tmp_path, LARGE, "kafka").open()


def test_files_are_removed_when_their_messages_are_settled(tmp_path: Path) -> None:
    with opened(tmp_path, SMALL) as spool:
        for first in range(1, 600, 50):
            spool.append(messages(first, 50))
        assert len(list(tmp_path.glob("*.sqlite"))) > 3
        spool.acknowledge(600)
        assert len(list(tmp_path.glob("*.sqlite"))) == 1


def test_a_second_user_is_refused_and_told_what_to_do(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sinks.spool.spool import Spool;"
        "from sinks.spool.settings import SpoolSettings;"
        "Spool(Path(sys.argv[1]), SpoolSettings(), 'kafka').open()"
    )
    with opened(tmp_path):
        command = [sys.executable, "-c", code, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert f"spool {tmp_path} is in use by process {os.getpid()}: stop it, or set another" in last


def test_after_close_nothing_is_taken(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        pass
    spool.close()
    for call in (
        lambda: spool.append(messages(1, 1)),
        lambda: spool.read(0, 1),
        lambda: spool.acknowledge(1),
        lambda: spool.dead_letter([], ""),
    ):
        with pytest.raises(SinkUnavailable, match="is not open"):
            call()


def test_a_folder_that_cannot_be_made_fails_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkUnavailable, match=r"set spool\.folder to another place"):
        Spool(tmp_path / "file" / "kafka", LARGE, "kafka").open()


@pytest.mark.parametrize("when_full", ["block", "drop_oldest", "drop_newest"])
def test_a_full_spool_keeps_to_its_bytes_and_to_its_policy(
    tmp_path: Path, when_full: WhenSpoolFull
) -> None:
    settings = SpoolSettings(LEAST_BYTES, when_full)
    taken, largest = 0, 0
    with opened(tmp_path, settings) as spool:
        for first in range(1, 2001, 40):
            taken += spool.append(messages(first, 40))
            largest = max(largest, disk_bytes(tmp_path))
        account, shortage = spool.account()
        kept = read_all(spool)
        check_identity(account)
    assert LEAST_BYTES * 0.7 < largest <= LEAST_BYTES
    numbers = [message.number for message in kept]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    lost = account.dropped["spool_full"]
    match when_full:
        case "block":
            assert (numbers[0], taken, lost, shortage) == (1, len(kept), 0, "spool_full")
        case "drop_oldest":
            assert (numbers[-1], taken, lost) == (2000, 2000, 2000 - len(kept))
            assert shortage is None
        case "drop_newest":
            assert (numbers[0], taken, lost) == (1, 2000, 2000 - len(kept))


def test_a_blocked_spool_takes_more_when_there_is_room(tmp_path: Path) -> None:
    with opened(tmp_path, SMALL) as spool:
        taken = spool.append(messages(1, 2000))
        assert taken < 2000
        spool.acknowledge(taken // 2)
        assert spool.append(messages(taken + 1, 100)) == 100
        assert spool.account()[1] is None


def test_a_message_larger_than_the_spool_does_not_block_it_for_ever(tmp_path: Path) -> None:
    with opened(tmp_path, SMALL) as spool:
        assert spool.append(messages(1, 1, LEAST_BYTES)) == 1
        assert spool.append(messages(2, 1)) == 1
        account = spool.account()[0]
        assert account.dropped == {"spool_full": 1}
        assert bodies(read_all(spool)) == bodies(messages(2, 1))
        check_identity(account)


def test_what_is_refused_for_ever_is_written_down_and_passed_over(tmp_path: Path) -> None:
    given = messages(1, 5)
    with opened(tmp_path) as spool:
        event = Outgoing("event", "gate", "f" * 32, '{"a": "é"}'.encode())
        spool.append([*given[:3], event])
        numbered = read_all(spool)
        spool.dead_letter([numbered[0], numbered[3]], "too large for redis://me:hunter2@host")
        assert [message.number for message in read_all(spool)] == [2, 3]
        account = spool.account()[0]
        assert (account.dead_lettered, account.spooled, account.floor) == (2, 2, 1)
        spool.acknowledge(3)
        assert spool.account()[0].floor == 4
        check_identity(spool.account()[0])
    letters = [json.loads(line) for line in (tmp_path / FILE_NAME).read_text().splitlines()]
    assert [letter["message_id"] for letter in letters] == [given[0].message_id, "f" * 32]
    assert letters[0]["body"].keys() == {"base64"}
    assert letters[1]["body"] == '{"a": "é"}'
    assert letters[1]["kind"] == "event"
    assert letters[1]["reason"] == "too large for redis://***@host"


def test_dead_letters_that_cannot_be_written_are_dropped_and_counted(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with opened(tmp_path) as spool:
        spool.append(messages(1, 2))
        spool.dead_letter(read_all(spool)[:1], "too large")
        account = spool.account()[0]
        assert account.dropped == {"dead_letters_unwritable": 1}
        check_identity(account)


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
def test_a_copy_of_the_files_at_any_moment_holds_what_was_appended(
    tmp_path: Path, fsync: Fsync
) -> None:
    """What the death of the process leaves is what the files hold."""
    settings = SpoolSettings(LEAST_BYTES, "block", fsync)
    with opened(tmp_path / "spool", settings) as spool:
        for first in range(1, 200, 20):
            spool.append(messages(first, 20))
            copy = tmp_path / f"copy-{first}"
            shutil.copytree(tmp_path / "spool", copy)
            with opened(copy, settings) as left:
                assert bodies(read_all(left)) == bodies(read_all(spool))
