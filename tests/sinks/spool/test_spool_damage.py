"""One wrong byte, anywhere in a segment, costs at most the records of one page."""

import random
import shutil
from pathlib import Path

import pytest

from sinks.base import Outgoing
from sinks.spool.salvage import PAGE_BYTES, salvage
from sinks.spool.segments import DAMAGED_FOLDER
from sinks.spool.settings import SpoolSettings
from tests.sinks.spool.spooling import SMALL, bodies, check_identity, messages, opened, read_all

RECORD_BYTES = 120
MOST_ON_A_PAGE = PAGE_BYTES // RECORD_BYTES
COUNT = 2500


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Outgoing]]:
    """A spool of several segments, with inner pages and overflow pages, of small and of large
    messages."""
    folder = tmp_path_factory.mktemp("sound")
    given = [*messages(1, COUNT - 20, 40), *messages(COUNT - 19, 20, 6000)]
    random.Random(1).shuffle(given)
    with opened(folder, SMALL) as spool:
        for start in range(0, COUNT, 100):
            assert spool.append(given[start : start + 100]) == 100
    assert len(list(folder.glob("*.sqlite"))) >= 3
    return folder, given


def places(size_bytes: int, rng: random.Random) -> list[int]:
    """Bytes to spoil: the header, the schema's page, the root, and anywhere."""
    return [
        *rng.sample(range(100), 8),
        *rng.sample(range(100, PAGE_BYTES), 2),
        *rng.sample(range(PAGE_BYTES, 2 * PAGE_BYTES), 8),
        *rng.sample(range(size_bytes), 20),
    ]


@pytest.mark.parametrize("which", [0, 1, -1], ids=["oldest", "sealed", "newest"])
def test_a_flipped_bit_costs_no_more_than_a_page_and_is_counted(
    sound: tuple[Path, list[Outgoing]], tmp_path: Path, which: int
) -> None:
    folder, given = sound
    rng = random.Random(which)
    name = sorted(path.name for path in folder.glob("*.sqlite"))[which]
    data = (folder / name).read_bytes()
    for at in places(len(data), rng):
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        spoilt = bytearray(data)
        spoilt[at] ^= 1 << rng.randrange(8)
        (copy / name).write_bytes(spoilt)
        with opened(copy, SMALL) as spool:
            found = read_all(spool)
            account = spool.account()[0]
            assert account.found == COUNT
            lost = account.dropped["damaged"]
            assert len(found) == COUNT - lost
            assert lost <= MOST_ON_A_PAGE, at
            assert all(message.body == given[message.number - 1].body for message in found)
            assert [m.number for m in found] == sorted({m.number for m in found})
            check_identity(account)
            spool.acknowledge(COUNT)
            check_identity(spool.account()[0])
        assert (copy / DAMAGED_FOLDER / name).is_file() == (lost > 0 and which != -1)
        shutil.rmtree(copy)


def test_a_file_that_is_gone_or_empty_or_cut_is_counted_and_the_others_come(
    sound: tuple[Path, list[Outgoing]], tmp_path: Path
) -> None:
    folder, _ = sound
    name = sorted(path.name for path in folder.glob("*.sqlite"))[1]
    data = (folder / name).read_bytes()
    lost: list[int] = []
    for left in (None, 0, len(data) // 2, len(data) - 100):
        copy = tmp_path / str(left)
        shutil.copytree(folder, copy)
        if left is None:
            (copy / name).unlink()
        else:
            (copy / name).write_bytes(data[:left])
        with opened(copy, SMALL) as spool:
            found = read_all(spool)
            account = spool.account()[0]
            check_identity(account)
            lost.append(account.dropped["damaged"])
            assert len(found) + lost[-1] == COUNT
    assert lost[0] == lost[1] > lost[2] > lost[3] > 0


def test_without_its_tree_a_file_gives_all_its_records(tmp_path: Path) -> None:
    given = [*messages(1, 300, 100), *messages(301, 10, 50_000), *messages(311, 5, 0)]
    with opened(tmp_path) as spool:
        spool.append(given)
    (path,) = tmp_path.glob("*.sqlite")
    found = salvage(path.read_bytes())
    assert bodies([found[number] for number in sorted(found)]) == bodies(given)


def test_damage_in_the_newest_file_of_a_run_does_not_stop_it(tmp_path: Path) -> None:
    """What is read from disk although it was appended in this run: a sink that lags behind."""
    given = messages(1, 6000, 600)
    with opened(tmp_path, SpoolSettings()) as spool:
        for start in range(0, 6000, 500):
            spool.append(given[start : start + 500])
        (path,) = tmp_path.glob("*.sqlite")
        with path.open("r+b") as file:
            file.seek(20 * PAGE_BYTES + 3000)
            file.write(b"\0\xff\0")
        found = read_all(spool)
        assert spool.append(messages(6001, 10)) == 10
        assert len(read_all(spool, 6000)) == 10
        account = spool.account()[0]
        check_identity(account)
        assert 0 < account.dropped["damaged"] <= PAGE_BYTES // 600
        assert len(found) == 6000 - account.dropped["damaged"]
