"""A source in a worker process behaves as in a thread: frames, accounts, failures, endings."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from detectors.letterbox import Letterbox
from pipeline.core.clock import SystemClock
from pipeline.core.errors import DecodeError, SourceError, SourceUnavailable
from pipeline.core.frame import Frame
from pipeline.load.gate import Gate, Thinning
from pipeline.stream.connection import Connection
from pipeline.workers import wire
from pipeline.workers.layout import Fit, Wanted
from pipeline.workers.pool import Pool, WorkerProcess
from pipeline.workers.source import WorkerSource
from stages.base import Source
from stages.sources.file import FileSource
from stages.sources.reading import Reading
from tests.stages.sources.clips import encode

BOX = Letterbox(64, 64)
SLOTS = 6


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool(1)
    yield pool
    pool.close()


def there(pool: Pool, source: FileSource, *, repeats: bool = True, live: bool = False) -> Source:
    order = wire.Order(wire.pack_source(source), Wanted(BOX), SLOTS)
    return WorkerSource(source.stream_id, order, pool.hire, live=live, repeats=repeats)


def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come to be"
        time.sleep(0.01)


def test_the_same_frames_and_the_same_account(pool: Pool, tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 40)
    here, source = (
        FileSource("a", clip, Reading(fps=10.0)),
        there(pool, FileSource("a", clip, Reading(fps=10.0))),
    )
    count = 0
    for mine, its in zip(here.frames(), source.frames(), strict=True):
        count += 1
        assert (its.info.seq, its.info.pts_ns) == (mine.info.seq, mine.info.pts_ns)
        assert its.info.captured_ns == mine.info.captured_ns
        size = BOX.place(mine.info.height, mine.info.width)[1]
        np.testing.assert_array_equal(its.picture.fit(*size), mine.picture.fit(*size))
    assert count == 16
    assert source.counts == here.counts
    assert source.frame_count == here.frame_count == 40


def test_failures_keep_their_kind_and_their_words(pool: Pool, tmp_path: Path) -> None:
    text, cut = tmp_path / "text.mp4", tmp_path / "cut.mp4"
    text.write_text("no video at all\n" * 100)
    whole = encode(tmp_path / "whole.mp4", 60, faststart=True).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    for path, kind in (
        (tmp_path / "none.mp4", SourceUnavailable), (text, DecodeError), (cut, DecodeError),
    ):  # fmt: skip
        said = []
        for source in (FileSource("a", path), there(pool, FileSource("a", path))):
            with pytest.raises(SourceError) as caught:
                for _ in source.frames():
                    pass
            said.append((type(caught.value), str(caught.value), source.counts))
        assert said[0] == said[1]
        assert said[0][0] is kind


def test_what_is_not_taken_holds_the_decoder_up(pool: Pool, tmp_path: Path) -> None:
    """As many frames as there are slots, and the one that waits for the next."""
    source = there(pool, FileSource("a", encode(tmp_path / "a.mp4", 300)))
    frames = source.frames()
    kept = [next(frames) for _ in range(SLOTS)]
    more = threading.Thread(target=lambda: kept.append(next(frames)), daemon=True)
    more.start()
    until(lambda: source.counts.decoded_total > SLOTS)
    assert (len(kept), source.counts.decoded_total) == (SLOTS, SLOTS + 1)
    del kept[2]
    until(lambda: len(kept) == SLOTS)
    more.join(10)
    source.close()
    assert kept[-1].info.seq == SLOTS
    assert list(frames) == []


def test_a_picture_outlives_its_connection(pool: Pool, tmp_path: Path) -> None:
    source = there(pool, FileSource("a", encode(tmp_path / "a.mp4", 30)))
    frames = source.frames()
    first = next(frames)
    fit = first.picture.fit(48, 64)
    before = fit.copy()
    source.close()
    assert list(frames) == []
    np.testing.assert_array_equal(fit, before)


def test_what_the_gate_leaves_out_is_left_out_there(pool: Pool, tmp_path: Path) -> None:
    """Of 200 frames a quarter, but for those given before the worker heard of it; all are counted,
    and the gate has followed."""
    source, gate = there(pool, FileSource("a", encode(tmp_path / "a.mp4", 200))), Gate("a", 0, 1)
    assert isinstance(source, WorkerSource)
    assert isinstance(source, Thinning)
    frames = source.frames()
    seqs = [next(frames).info.seq]
    gate.keep = 0.25
    source.thin_by(gate)
    seqs += [frame.info.seq for frame in frames]
    counts = source.counts
    assert (counts.decoded_total, gate.offered) == (200, 200)
    assert len(seqs) == gate.admitted == 200 - counts.thinned_total
    early = 2 * SLOTS
    assert 50 <= len(seqs) <= 50 + early
    assert set(np.diff(seqs[early:])) == {4}


def test_a_gate_that_lets_nothing_through_can_open_again(pool: Pool, tmp_path: Path) -> None:
    file = FileSource("a", encode(tmp_path / "a.mp4", 60, rate=20), realtime=True)
    source, gate = there(pool, file), Gate("a", 0, 1)
    assert isinstance(source, WorkerSource)
    frames = source.frames()
    first = next(frames)
    gate.keep = 0.0
    source.thin_by(gate)

    def open_again() -> None:
        until(lambda: gate.offered > 20)
        gate.keep = 1.0

    opener = threading.Thread(target=open_again)
    opener.start()
    seqs = [first.info.seq, *(frame.info.seq for frame in frames)]
    opener.join(20)
    assert source.counts.thinned_total >= 15
    assert seqs[-1] == 59
    assert gate.offered == 60


def test_close_ends_it_while_it_waits_and_before_it_began(pool: Pool, tmp_path: Path) -> None:
    slow = FileSource("a", encode(tmp_path / "a.mp4", 50, rate=1), realtime=True)
    source, taken = there(pool, slow), threading.Event()

    def take(_: Source, frame: Frame) -> bool:
        taken.set()
        return True

    connection = Connection("a", lambda: source, take, None, SystemClock())
    thread = threading.Thread(target=connection.run)
    thread.start()
    assert taken.wait(20)
    began_s = time.monotonic()
    connection.stop()
    thread.join(10)
    assert time.monotonic() - began_s < 2
    assert connection.failure is None
    assert list(source.frames()) == []


def test_a_worker_that_dies_costs_a_file_nothing(pool: Pool, tmp_path: Path) -> None:
    source = there(pool, FileSource("a", encode(tmp_path / "a.mp4", 200)))
    seqs = []
    for frame in source.frames():
        seqs.append(frame.info.seq)
        if len(seqs) in (50, 120):
            _kill(pool)
    assert seqs == list(range(200))
    assert source.counts.decoded_total == 200


def test_a_worker_that_dies_costs_a_camera_its_connection(pool: Pool, tmp_path: Path) -> None:
    file = FileSource("a", encode(tmp_path / "a.mp4", 200))
    source = there(pool, file, repeats=False, live=True)
    frames, seqs = source.frames(), [0]
    next(frames)
    _kill(pool)
    with pytest.raises(SourceUnavailable, match=r"worker process \d+ was killed \(SIGKILL\)"):
        seqs.extend(frame.info.seq for frame in frames)
    assert source.counts.decoded_total == seqs[-1] + 1


def test_a_decoder_that_kills_every_worker_ends_its_stream(pool: Pool, tmp_path: Path) -> None:
    hired = []

    def hire_a_mortal(stream_id: str) -> WorkerProcess:
        worker = pool.hire(stream_id)
        hired.append(worker)
        until(lambda: worker.pid is not None)
        worker.kill()
        return worker

    file = FileSource("a", encode(tmp_path / "a.mp4", 60))
    order = wire.Order(wire.pack_source(file), Wanted(BOX), SLOTS)
    source = WorkerSource("a", order, hire_a_mortal, live=False, repeats=True)
    with pytest.raises(SourceUnavailable, match="was killed"):
        list(source.frames())
    assert len(hired) == 2


def test_a_worker_that_does_not_answer_is_replaced(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.workers.source.ANSWERS_WITHIN_S", 0.3)
    stuck = pool.hire("another")
    until(lambda: stuck.pid is not None)
    assert stuck.pid is not None
    os.kill(stuck.pid, signal.SIGSTOP)
    source = there(pool, FileSource("a", encode(tmp_path / "a.mp4", 5)), repeats=False)
    with pytest.raises(SourceUnavailable, match="SIGKILL"):
        list(source.frames())
    assert not stuck.alive


def _kill(pool: Pool) -> None:
    for worker in pool.workers:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)


class Dying:
    """A worker that dies between the news of a memory and the memory."""

    def __init__(self) -> None:
        self.served = 0

    @contextmanager
    def serve(self, stream_id: str, order: wire.Order) -> Iterator[socket.socket]:
        self.served += 1
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            theirs.send(wire.pack(wire.Accepted()))
            theirs.send(wire.pack(wire.NewMemory(Fit(4, 4, (4, 4), (), ()), 1, 4096)))
            theirs.shutdown(socket.SHUT_RDWR)
            yield ours

    def kill(self) -> None:
        """It is dead."""

    def epitaph(self) -> str:
        return "worker process 0 was killed"


def test_a_worker_that_dies_before_its_memory_comes_is_one_that_dies() -> None:
    worker = Dying()
    order = wire.Order(b"", Wanted(BOX), 1)
    source = WorkerSource("a", order, lambda _: worker, live=False, repeats=True)
    with pytest.raises(SourceUnavailable, match="was killed"):
        list(source.frames())
    assert worker.served == 2
