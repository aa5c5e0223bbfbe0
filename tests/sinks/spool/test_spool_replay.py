"""Dead letters that go back into their spool: all of them, whatever happens meanwhile."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sinks.spool.dead_letters import FILE_NAME, parse_dead_letter
from sinks.spool.replay import Replayed, replay
from sinks.spool.settings import LEAST_BYTES, SpoolSettings
from sinks.spool.spool import Spool
from tests.sinks.spool.spooling import bodies, check_identity, messages, opened, read_all

BY_HAND = SpoolSettings(LEAST_BYTES, "block", "always")
ROOT = Path(__file__).resolve().parents[3]


def buried(folder: Path, count: int, size_bytes: int = 200) -> None:
    """A spool whose receiver has refused all that it was given."""
    with opened(folder) as spool:
        spool.append(messages(1, count, size_bytes))
        spool.dead_letter(read_all(spool), "too large")
        assert spool.account()[0].spooled == 0


def test_they_wait_again_with_new_numbers_and_their_own_ids(tmp_path: Path) -> None:
    buried(tmp_path, 600)
    with opened(tmp_path, BY_HAND) as spool:
        spool.append(messages(601, 1))
        assert replay(spool) == Replayed(moved=600)
        check_identity(spool.account()[0])
        assert replay(spool) == Replayed()
    assert not (tmp_path / FILE_NAME).exists()
    with opened(tmp_path) as spool:
        found = read_all(spool)
        assert [message.number for message in found] == list(range(601, 1202))
        given = [*messages(601, 1), *messages(1, 600, 200)]
        assert [m.message_id for m in found] == [m.message_id for m in given]
        assert bodies(found) == bodies(given)
        assert spool.account()[0].found == 601


def test_what_has_no_room_stays_and_comes_the_next_time(tmp_path: Path) -> None:
    buried(tmp_path, 100, 16_000)
    with opened(tmp_path, BY_HAND) as spool:
        first = replay(spool)
        assert first.moved + first.no_room == 100
        assert min(first.moved, first.no_room) > 20
        spool.acknowledge(spool.account()[0].last)
        assert replay(spool) == Replayed(moved=first.no_room)
        check_identity(spool.account()[0])
    assert not (tmp_path / FILE_NAME).exists()


def test_one_that_is_larger_than_the_spool_stays_and_the_others_go(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append([*messages(1, 1), *messages(2, 1, 2 * LEAST_BYTES), *messages(3, 1)])
        spool.dead_letter(read_all(spool), "too large")
    with opened(tmp_path, BY_HAND) as spool:
        assert replay(spool) == Replayed(moved=2, no_room=1)
        assert [int(message.message_id, 16) for message in read_all(spool)] == [1, 3]
    (line,) = (tmp_path / FILE_NAME).read_bytes().splitlines()
    letter = parse_dead_letter(line)
    assert letter is not None
    assert int(letter.message.message_id, 16) == 2


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON",
        b"[]",
        b"null",
        b'{"body": "x"}',
        b'{"at":"","reason":"","kind":[],"key":"","message_id":"","body":""}',
        b'{"at":"","reason":"","kind":"letter","key":"","message_id":"","body":""}',
        b'{"at":"","reason":"","kind":"frame","key":"","message_id":1,"body":""}',
        b'{"at":"","reason":"","kind":"frame","key":"","message_id":"","body":{"base64":"!"}}',
        b'{"at":"","reason":"","kind":"frame","key":"","message_id":"","body":"\\ud800"}',
        b"\xff\xfe",
    ],
)
def test_a_line_that_is_none_stays(tmp_path: Path, line: bytes) -> None:
    buried(tmp_path, 2)
    path = tmp_path / FILE_NAME
    path.write_bytes(line + b"\n\n" + path.read_bytes() + line)
    with opened(tmp_path, BY_HAND) as spool:
        assert replay(spool) == Replayed(moved=2, unreadable=2)
    assert path.read_bytes() == (line + b"\n") * 2


PROGRAM = """
import sys
from pathlib import Path
from sinks.spool.replay import replay
from tests.sinks.spool.spooling import opened
from tests.sinks.spool.test_spool_replay import BY_HAND

with opened(Path(sys.argv[1]), BY_HAND) as spool:
    append = spool.append
    def told(given):
        done = append(given)
        print(spool.account()[0].last, flush=True)
        sys.stdin.readline()
        return done
    spool.append = told
    replay(spool)
"""


def test_kill_9_in_the_middle_loses_none_and_repeats_by_id(tmp_path: Path) -> None:
    buried(tmp_path, 700)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert int(process.stdout.readline()) == 700 + 256
        process.stdin.write("\n")
        process.stdin.flush()
        assert int(process.stdout.readline()) == 700 + 512
        process.send_signal(signal.SIGKILL)
    with opened(tmp_path, BY_HAND) as spool:
        assert spool.account()[0].found == 512
        assert replay(spool) == Replayed(moved=700)
        found = read_all(spool)
    assert len(found) == 512 + 700
    assert {m.message_id: m.body for m in found} == {
        m.message_id: m.body for m in messages(1, 700, 200)
    }


def test_a_disk_that_refuses_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    buried(tmp_path, 3)
    before = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / f"{FILE_NAME}.rest").mkdir()
    with opened(tmp_path, BY_HAND) as spool, pytest.raises(IsADirectoryError):
        replay(spool)
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_a_spool_in_use_is_not_touched(tmp_path: Path) -> None:
    buried(tmp_path, 1)
    with opened(tmp_path):
        other = Spool(tmp_path, BY_HAND, "kafka")
        with pytest.raises(Exception, match=f"is in use by process {os.getpid()}"):
            other.open()
