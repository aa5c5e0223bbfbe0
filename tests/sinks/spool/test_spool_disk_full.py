"""A disk that is really full: the policy, a status, and no crash."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.spool.settings import SpoolSettings, WhenSpoolFull
from tests.services.small_disk import mounted
from tests.sinks.spool.spooling import bodies, check_identity, messages, opened, read_all

DISK_BYTES = 2 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", DISK_BYTES) as disk:
        yield disk


def fill(path: Path) -> None:
    """Take all the room that is left."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            os.fsync(file.fileno())


@pytest.mark.parametrize("when_full", ["block", "drop_oldest", "drop_newest"])
def test_a_full_disk_follows_the_policy(small_disk: Path, when_full: WhenSpoolFull) -> None:
    settings = SpoolSettings(64 << 20, when_full)
    given = messages(1, 4000)
    with opened(small_disk / "kafka", settings) as spool:
        taken = 0
        for start in range(0, 4000, 50):
            taken += spool.append(given[start : start + 50])
            check_identity(spool.account()[0])
        account, shortage = spool.account()
        kept = read_all(spool)
    assert 500 < len(kept) < 2000
    lost = account.dropped["disk_full"]
    match when_full:
        case "block":
            assert (taken, lost, shortage) == (len(kept), 0, "disk_full")
            assert bodies(kept) == bodies(given[: len(kept)])
        case "drop_oldest":
            assert (taken, lost) == (4000, 4000 - len(kept))
            assert bodies(kept) == bodies(given[-len(kept) :])
        case "drop_newest":
            assert (taken, lost) == (4000, 4000 - len(kept))
            assert kept[0].number == 1


def test_it_goes_on_when_others_make_room(small_disk: Path) -> None:
    with opened(small_disk / "kafka", SpoolSettings()) as spool:
        assert spool.append(messages(1, 10)) == 10
        fill(small_disk / "somebody's")
        assert spool.append(messages(11, 500)) < 500
        assert spool.account()[1] == "disk_full"
        spool.acknowledge(5)
        (small_disk / "somebody's").unlink()
        assert spool.append(messages(511, 100)) == 100
        assert spool.account()[1] is None
        check_identity(spool.account()[0])


def test_a_backlog_is_delivered_from_a_disk_that_is_full_at_the_start(small_disk: Path) -> None:
    given = messages(1, 300)
    with opened(small_disk / "kafka", SpoolSettings()) as spool:
        assert spool.append(given) == 300
    fill(small_disk / "somebody's")
    with opened(small_disk / "kafka", SpoolSettings()) as spool:
        assert bodies(read_all(spool)) == bodies(given)
        spool.dead_letter(read_all(spool)[:1], "too large")
        spool.acknowledge(300)
        account = spool.account()[0]
        assert account.spooled == 0
        check_identity(account)
        assert spool.append(messages(301, 1)) == 1
