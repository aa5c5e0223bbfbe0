"""Detection in worker processes finds what it finds here, and a worker's death loses nothing."""

import functools
import logging
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from detectors.base import Detector
from detectors.letterbox import Letterbox
from detectors.scripted import ScriptedDetector
from pipeline.core.detections import Detections
from pipeline.core.errors import EngineLoadError, EngineRunError
from pipeline.core.picture import Picture
from pipeline.workers import wire
from pipeline.workers.detector import WorkerDetector
from pipeline.workers.layout import Wanted
from pipeline.workers.lent import LentPicture
from pipeline.workers.pool import Pool, WorkerProcess
from pipeline.workers.source import WorkerSource
from stages.sources.file import FileSource
from tests.stages.sources.clips import encode

BOX = Letterbox(64, 64)
HERE, THERE = 0.25, 0.75


def mark(score: float, picture: Picture) -> Detections:
    """The size and the mean level of a picture, and by whom it was looked at."""
    level = float(picture.fit(picture.height, picture.width).mean())
    box = np.array([[0, 0, level, picture.height]], np.float32)
    return Detections(box, np.array([score], np.float32), np.zeros(1, np.int32))


def opened(score: float) -> Detector:
    return ScriptedDetector(("x",), functools.partial(mark, score), letterbox=BOX, concurrency=2)


def damaged() -> Detector:
    raise EngineLoadError("model x: no such file")


def unheard_of() -> Detector:
    raise ImportError("no such library")


def failing() -> Detector:
    return ScriptedDetector(("x",), fail, letterbox=BOX)


def fail(picture: Picture) -> Detections:
    if picture.height:
        raise EngineRunError("model x: out of memory")
    return Detections.empty()


@pytest.fixture(scope="module")
def shared() -> Iterator[Pool]:
    """Two workers for all tests that leave them as they are."""
    pool = Pool(2)
    yield pool
    pool.close()


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(2)
    yield pool
    pool.close()


def detector(pool: Pool, make: Callable[[], Detector]) -> WorkerDetector:
    return WorkerDetector(opened(HERE), wire.DetectOrder(pickle.dumps(make)), pool.nth)


def pictures(pool: Pool, tmp_path: Path, count: int, box: Letterbox | None = BOX) -> list[Picture]:
    file = FileSource("a", encode(tmp_path / "a.mp4", count))
    order = wire.Order(wire.pack_source(file), Wanted(box), count)
    source = WorkerSource(
        "a", order, pool.hire, live=False, repeats=True, detected_there=True
    )  # fmt: skip
    return [frame.picture for frame in source.frames()]


def by_whom(found: list[Detections]) -> set[float]:
    return {float(one.score[0]) for one in found}


def _memories(worker: WorkerProcess) -> int:
    return Path(f"/proc/{worker.pid}/maps").read_text().count("eyrie pictures")


def until_there(there: WorkerDetector, seen: list[Picture]) -> list[Detections]:
    """What is found once both workers detect, which take turns where one thread asks: while one
    that died is replaced, it is found here."""
    deadline_s = time.monotonic() + 30
    while True:
        found = [there.detect(seen) for _ in range(2)]
        if by_whom(found[0] + found[1]) == {THERE}:
            return found[0]
        assert time.monotonic() < deadline_s


@pytest.mark.parametrize("box", [BOX, None])
def test_finds_the_same_where_pictures_lie(
    shared: Pool, tmp_path: Path, box: Letterbox | None
) -> None:
    """At the network's size and whole; decoded by one worker, detected in by both."""
    seen = pictures(shared, tmp_path, 12, box)
    assert all(isinstance(picture, LentPicture) for picture in seen)
    there = detector(shared, functools.partial(opened, THERE))
    first, second = until_there(there, seen), there.detect(seen)
    for mine, its, again in zip(opened(HERE).detect(seen), first, second, strict=True):
        np.testing.assert_array_equal(mine.xyxy, its.xyxy)
        np.testing.assert_array_equal(mine.class_id, its.class_id)
        np.testing.assert_array_equal(its.xyxy, again.xyxy)
    assert there.detected_there_total >= 24
    there.close()


def test_pictures_of_this_process_are_detected_here(shared: Pool, tmp_path: Path) -> None:
    there = detector(shared, functools.partial(opened, THERE))
    seen = pictures(shared, tmp_path, 2)
    until_there(there, seen)
    array = np.zeros((48, 64, 3), np.uint8)
    assert by_whom(there.detect([array])) == {HERE}
    assert by_whom(there.detect([seen[0], array])) == {HERE}
    there.close()


def test_threads_share_the_workers(shared: Pool, tmp_path: Path) -> None:
    seen = pictures(shared, tmp_path, 8)
    there = detector(shared, functools.partial(opened, THERE))
    until_there(there, seen)
    found: list[list[Detections]] = []
    threads = [
        threading.Thread(target=lambda: found.extend(there.detect(seen) for _ in range(50)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [by_whom(one) for one in found] == [{THERE}] * 100
    there.close()


def test_memory_that_nobody_uses_is_forgotten_there(shared: Pool, tmp_path: Path) -> None:
    """Each file has memory of its own; a worker that kept them all would run out of it."""
    there = detector(shared, functools.partial(opened, THERE))
    for _ in range(6):
        until_there(there, pictures(shared, tmp_path, 4))
    last = pictures(shared, tmp_path, 4)
    deadline_s = time.monotonic() + 30
    while max(_memories(worker) for worker in shared.workers) > 2:  # the last one, read and written
        assert time.monotonic() < deadline_s
        there.detect(last)
    there.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_dies_or_hangs_costs_no_picture(
    pool: Pool, tmp_path: Path, how: signal.Signals, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr("pipeline.workers.detector.ANSWERS_WITHIN_S", 0.5)
    monkeypatch.setattr("pipeline.workers.detector.AGAIN_AFTER_S", 0.0)
    there = detector(pool, functools.partial(opened, THERE))
    seen = pictures(pool, tmp_path, 3)
    until_there(there, seen)
    for worker in pool.workers:
        assert worker.pid is not None
        os.kill(worker.pid, how)
    with caplog.at_level(logging.WARNING):
        found = there.detect(seen)
    assert by_whom(found) == {HERE}
    assert "was killed (SIGKILL)" in caplog.text
    until_there(there, seen)
    there.close()


@pytest.mark.parametrize(
    ("make", "said"),
    [(damaged, "no such file"), (unheard_of, "unexpected ImportError: no such library")],
)
def test_a_worker_that_cannot_open_the_model_is_told_once(
    pool: Pool, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    make: Callable[[], Detector], said: str,
) -> None:  # fmt: skip
    there = detector(pool, make)
    seen = pictures(pool, tmp_path, 2)
    for _ in range(4):
        assert by_whom(there.detect(seen)) == {HERE}
    assert caplog.text.count(said) == 2  # each thread's worker
    assert all(worker.alive for worker in pool.workers)
    there.close()


def test_a_fault_of_the_engine_is_told_as_here(pool: Pool, tmp_path: Path) -> None:
    there = detector(pool, failing)
    seen = pictures(pool, tmp_path, 2)
    with pytest.raises(EngineRunError, match="model x: out of memory"):
        until_there(there, seen)
    there.close()
