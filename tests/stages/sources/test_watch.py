"""A watched folder: files are taken whole, once, in order; failures are set aside."""

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.clock import SystemClock
from pipeline.core.errors import SourceUnavailable
from pipeline.core.frame import Frame
from stages.sources.file import FileSource
from stages.sources.reading import Reading
from stages.sources.start_time import StartRule, StartTime
from stages.sources.watch import Arrivals, Stamp, WatchSource, is_being_written
from tests.stages.sources.clips import MakeClip

BOX = Path("box")
PATIENCE_S = 60


def stamp(mtime: int, size: int = 10) -> Stamp:
    return Stamp(mtime, size, inode=1)


def test_a_file_is_complete_once_it_has_not_changed_for_a_while() -> None:
    arrivals = Arrivals(settle_s=2)
    growing = [({BOX / "a": stamp(5, size)}, now_s) for now_s, size in [(0, 1), (1, 2), (2, 3)]]
    assert [arrivals.look(files, now_s) for files, now_s in growing] == [[], [], []]
    assert arrivals.look({BOX / "a": stamp(5, 3)}, 3.9) == []
    assert arrivals.look({BOX / "a": stamp(5, 3)}, 4) == [BOX / "a"]


def test_a_file_of_the_same_size_that_is_written_over_waits_anew() -> None:
    arrivals = Arrivals(settle_s=2)
    assert arrivals.look({BOX / "a": stamp(5)}, 0) == []
    assert arrivals.look({BOX / "a": stamp(6)}, 2) == []
    assert arrivals.look({BOX / "a": stamp(6)._replace(inode=2)}, 4) == []
    assert arrivals.look({BOX / "a": stamp(6)._replace(inode=2)}, 6) == [BOX / "a"]


def test_what_is_done_comes_again_only_if_it_changes() -> None:
    arrivals = Arrivals(settle_s=0)
    files = {BOX / "b": stamp(7), BOX / "c": stamp(5), BOX / "a": stamp(7)}
    assert arrivals.look(files, 0) == [BOX / "c", BOX / "a", BOX / "b"]
    for path in files:
        arrivals.done(path, files[path])
    assert arrivals.look(files, 1) == []
    assert arrivals.look({}, 2) == []
    assert arrivals.look(files, 3) == []
    assert arrivals.look(files | {BOX / "c": stamp(9)}, 4) == [BOX / "c"]


def test_a_file_that_is_open_for_writing_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"half")
    assert not is_being_written(path)
    with path.open("ab"):
        assert is_being_written(path)
    assert not is_being_written(path)
    assert not is_being_written(tmp_path / "none.mp4")


class Watched:
    """A folder, and what its source has given so far."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.folder = folder
        folder.mkdir()
        self.source = self._make(more)
        self.frames: Iterator[Frame] = self.source.frames()

    def _make(self, more: dict[str, Any]) -> WatchSource:
        def make_file(path: Path, epoch: int, first_seq: int) -> FileSource:
            return FileSource(
                "box", path, Reading(epoch=epoch, first_seq=first_seq), decoder_threads=1
            )

        keys = {"settle_s": 0.05, "look_every_s": 0.01, **more}
        return WatchSource("box", self.folder, make_file, **keys)

    def take(self, number: int) -> list[Frame]:
        """The next `number` pictures."""
        watchdog = threading.Timer(PATIENCE_S, self.source.close)
        watchdog.start()
        taken = list(islice(self.frames, number))
        watchdog.cancel()
        assert len(taken) == number
        return taken


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(**more: Any) -> Watched:
        made.append(Watched(tmp_path / "box", **more))
        return made[-1]

    yield make
    for one in made:
        one.source.close()


def test_files_there_and_files_that_come_are_epochs_of_one_stream(
    watched: Callable[..., Watched], make_clip: MakeClip
) -> None:
    box = watched(epoch=2, first_seq=100)
    shutil.copy(make_clip("a.mp4", 5), box.folder / "b.mp4")
    first = box.take(5)
    shutil.copy(make_clip("c.mkv", 7), box.folder / "a.mkv")
    shutil.copy(box.folder / "b.mp4", box.folder / "b.mp4.part")
    second = box.take(7)
    (box.folder / "b.mp4.part").rename(box.folder / "c.mp4")
    third = box.take(5)
    infos = [frame.info for frame in (*first, *second, *third)]
    assert [info.epoch for info in infos] == [2] * 5 + [3] * 7 + [4] * 5
    assert [info.seq for info in infos] == list(range(100, 117))
    assert all(a.pts_ns < b.pts_ns for a, b in pairwise(infos) if a.epoch == b.epoch)
    box.source.close()
    assert list(box.frames) == []
    assert box.source.counts.decoded_total == 17


def test_a_half_written_file_is_waited_for(
    watched: Callable[..., Watched], make_clip: MakeClip
) -> None:
    box = watched()
    whole, other = make_clip("a.mp4", 6), make_clip("b.mp4", 3)
    data = whole.read_bytes()
    with (box.folder / "a.mp4").open("wb", buffering=0) as writer:
        writer.write(data[: len(data) // 2])
        shutil.copy(other, box.folder / "b.mp4")
        assert {frame.info.epoch for frame in box.take(3)} == {0}  # a.mp4 is older, and stable
        writer.write(data[len(data) // 2 :])
    assert {frame.info.epoch for frame in box.take(6)} == {1}
    assert box.source.failed_total == 0


def test_a_file_that_fails_is_set_aside_with_the_reason(
    watched: Callable[..., Watched], make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    box = watched()
    (box.folder / "bad.mp4").write_bytes(b"no video at all" * 100)
    cut = make_clip("cut.mp4", 30, faststart=True).read_bytes()
    (box.folder / "empty.mp4").touch()
    with caplog.at_level(logging.ERROR, "eyrie"):
        shutil.copy(make_clip("good.mp4", 4), box.folder / "good.mp4")
        box.take(4)
        (box.folder / "cut.mp4").write_bytes(cut[: len(cut) * 2 // 3])
        shutil.copy(box.folder / "good.mp4", box.folder / "last.mp4")
        while box.source.files_total < 4:
            box.take(1)
    told = [record.message for record in caplog.records]
    assert len(told) == 3 == box.source.failed_total
    assert any("bad.mp4 set aside: " in line and "not a video" in line for line in told)
    assert any("empty.mp4 set aside: " in line and "0 bytes" in line for line in told)
    assert any("cut.mp4 set aside: " in line and "truncated" in line for line in told)


def test_files_from_before_the_start_can_be_passed_over(
    watched: Callable[..., Watched], make_clip: MakeClip
) -> None:
    class Clock(SystemClock):
        def monotonic_s(self) -> float:  # asked for once the folder has been read
            if not (box.folder / "new.mp4").exists():
                shutil.copy(new, box.folder / "new.mp4")
            return super().monotonic_s()

    box = watched(existing=False, clock=Clock())
    new = make_clip("b.mp4", 3, rate=5)
    shutil.copy(make_clip("a.mp4", 5), box.folder / "old.mp4")
    first, second = box.take(2)
    assert second.info.pts_ns - first.info.pts_ns == 200_000_000  # 5 a second: the new one


def test_a_folder_that_goes_away_is_waited_for(
    watched: Callable[..., Watched], make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    box = watched()
    shutil.copy(make_clip("a.mp4", 2), box.folder / "a.mp4")
    clip = make_clip("b.mp4", 3)
    box.take(2)
    shutil.rmtree(box.folder)
    waiting = threading.Event()

    def come_back() -> None:
        while "cannot be read" not in caplog.text:
            if waiting.wait(0.01):
                return
        box.folder.mkdir()
        shutil.copy(clip, box.folder / "b.mp4")

    thread = threading.Thread(target=come_back)
    thread.start()
    box.take(3)
    waiting.set()
    thread.join()
    assert caplog.text.count("cannot be read: No such file or directory; waiting for it") == 1


def test_a_folder_that_is_not_there_at_the_start_is_an_error(tmp_path: Path) -> None:
    source = WatchSource("box", tmp_path / "none", lambda *_: FileSource("box", "x"))
    with pytest.raises(SourceUnavailable, match="none cannot be watched: No such file"):
        next(source.frames())


class GoneMeanwhile(StartRule):
    """The file goes away between its opening and the question for its time."""

    def start(self, video: Path, creation_time: str, duration_ns: int) -> StartTime:
        if video.name == "a.mp4":
            video.unlink()
        return super().start(video, creation_time, duration_ns)


def test_a_file_that_goes_away_while_it_is_opened_ends_nothing(
    tmp_path: Path, make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    box = tmp_path / "box"
    box.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(make_clip(name, 3), box / name)

    def make_file(path: Path, epoch: int, first_seq: int) -> FileSource:
        return FileSource("box", path, Reading(epoch=epoch), start_rule=GoneMeanwhile())

    source = WatchSource("box", box, make_file, settle_s=0.05, look_every_s=0.01)
    watchdog = threading.Timer(PATIENCE_S, source.close)
    watchdog.start()
    assert len(list(islice(source.frames(), 3))) == 3
    watchdog.cancel()
    source.close()
    assert source.failed_total == 1
    assert "a.mp4 cannot be read any more: No such file or directory" in caplog.text
