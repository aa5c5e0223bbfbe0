"""The life of one stream: reconnects, epochs, limits, and what it tells."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from pipeline.account import Connections
from pipeline.config.file import parse_config
from pipeline.core.backoff import Backoff
from pipeline.core.clock import SystemClock
from pipeline.core.errors import (
    DecodeError,
    SourceDenied,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.picture import RgbPicture
from pipeline.stream.changes import StreamChange, StreamDown, StreamEnded, StreamUp
from pipeline.stream.connection import Patience
from pipeline.stream.stream import MOST_HUNG, Stream
from stages.base import Counts


class ScriptedSource:
    """Gives `frames` frames, then raises `failure` or ends."""

    live = True
    frame_count: int | None = None

    def __init__(self, epoch: int, first_seq: int, frames: int, failure: Exception | None) -> None:
        self.counts = Counts()
        self._place = (epoch, first_seq)
        self._frames, self._failure = frames, failure

    def frames(self) -> Iterator[Frame]:
        epoch, first_seq = self._place
        for number in range(self._frames):
            self.counts.decoded_total += 1
            yield frame(epoch, first_seq + number)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        pass


def frame(epoch: int, seq: int) -> Frame:
    info = FrameInfo(
        stream_id="gate",
        epoch=epoch,
        seq=seq,
        pts_ns=0,
        captured_ns=0,
        arrived_ns=0,
        clock="arrival",
        uncertainty_ns=0,
        width=4,
        height=4,
    )
    return Frame(info, RgbPicture(np.zeros((4, 4, 3), np.uint8)))


Play = tuple[int, Exception | None]


def live(
    plays: list[Play], reconnect: str = "always", denied: Backoff | None = None
) -> tuple[Stream, list[StreamChange], Callable[[], list[Frame]]]:
    """A camera whose connections go as `plays` say, without pauses between them."""
    told: list[StreamChange] = []
    script = iter(plays)
    source = {"kind": "rtsp", "url": "rtsp://camera/1", "reconnect": reconnect}
    streams = [{"id": "gate", "source": source, "queue_frames": 100}]
    data = {"streams": streams, "sinks": [{"kind": "jsonl", "path": "-"}]}
    (config,) = parse_config(data).streams

    def make(epoch: int, first_seq: int) -> ScriptedSource:
        return ScriptedSource(epoch, first_seq, *next(script))

    backoff = Backoff(1e-6, 1e-6, random.Random(0))
    stream = Stream(
        config, make, threading.Condition(), told.append, SystemClock(), backoff, denied
    )
    return stream, told, lambda: stream.lane.take(100)


def away() -> SourceError:
    return SourceUnavailable("gate", "the camera closed the connection")


def refused() -> SourceError:
    return SourceRefused("gate", "no stream at this path")


def test_every_reconnect_is_a_new_epoch_and_seq_goes_on() -> None:
    stream, told, frames = live(
        [(2, away()), (0, away()), (3, away()), (0, DecodeError("gate", "x"))], "once_up"
    )
    stream_ends_by_stop(stream, told, after=3)
    taken = frames()
    assert [(f.info.epoch, f.info.seq) for f in taken] == [(0, 0), (0, 1), (1, 2), (1, 3), (1, 4)]
    assert [type(t) for t in told[:5]] == [StreamUp, StreamDown, StreamDown, StreamUp, StreamDown]
    assert isinstance(told[-1], StreamEnded)
    assert told[-1].error is None


def stream_ends_by_stop(stream: Stream, told: list[StreamChange], after: int) -> None:
    """Run until the stream has gone down `after` times, then stop it."""
    original = stream._tell

    def tell(change: StreamChange) -> None:
        original(change)
        if sum(isinstance(t, StreamDown) for t in told) == after:
            stream.stop()

    stream._tell = tell
    stream.run()


def test_a_camera_that_says_no_at_first_is_tried_again_only_by_always() -> None:
    stream, told, _ = live([(0, refused())], "once_up")
    stream.run()
    assert told == [StreamEnded("gate", 0, "stream 'gate': no stream at this path")]
    assert stream.lane.finished
    stream, told, _ = live([(0, refused()), (1, away())])
    stream_ends_by_stop(stream, told, after=2)
    assert [type(change) for change in told[:3]] == [StreamDown, StreamUp, StreamDown]


@pytest.mark.parametrize("mode", ["never", "once_up"])
def test_before_the_first_frame_only_always_tries_again(mode: str) -> None:
    stream, told, _ = live([(0, away()), (0, away())], mode)
    stream.run()
    assert [type(change) for change in told] == [StreamEnded]
    assert isinstance(told[-1], StreamEnded)
    assert told[-1].error is not None


def test_after_the_first_frame_never_ends_and_once_up_goes_on() -> None:
    stream, told, _ = live([(1, away())], "never")
    stream.run()
    assert [type(change) for change in told] == [StreamUp, StreamEnded]
    stream, told, _ = live([(1, away()), (0, refused()), (0, DecodeError("gate", "x"))], "once_up")
    stream_ends_by_stop(stream, told, after=3)
    causes = [change.cause for change in told if isinstance(change, StreamDown)]
    assert causes == ["unavailable", "refused", "undecodable"]
    assert stream.account.connections == Connections(up=1, failed=3)


def test_a_refused_password_has_pauses_of_its_own() -> None:
    denied = Backoff(1e-6, 1e-6, random.Random(0))
    no = SourceDenied("gate", "the camera refused the user name or password")
    stream, told, _ = live([(0, no), (0, away()), (0, no)], denied=denied)
    stream_ends_by_stop(stream, told, after=3)
    downs = [change for change in told if isinstance(change, StreamDown)]
    assert [(down.cause, down.attempt) for down in downs] == [
        ("auth", 1), ("unavailable", 2), ("auth", 3),
    ]  # fmt: skip
    assert denied.failures == 2
    assert stream.account.connections.denied == 2


def test_who_is_warned_of_a_failure_is_told_of_its_end(caplog: pytest.LogCaptureFixture) -> None:
    stream, told, _ = live([(0, away()), (0, away()), (1, away())])
    with caplog.at_level(logging.WARNING):
        stream_ends_by_stop(stream, told, after=3)
    assert "stream 'gate' is up again after 2 failures" in caplog.messages


def test_a_camera_that_comes_and_goes_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plays: list[Play] = [(1, away())] * 50
    stream, told, _ = live(plays)
    with caplog.at_level(logging.INFO):
        stream_ends_by_stop(stream, told, after=50)
    said = [record.message.split(";")[0] for record in caplog.records]
    assert said == [
        "stream 'gate' is up",
        "stream 'gate': the camera closed the connection",
        "stream 'gate' is up again after 1 failure",
    ]
    assert stream._tries.failures == 50  # none of them was up for long


class HangingSource(ScriptedSource):
    """Gives its frames, then never returns until `released`; then it would give one more."""

    released: threading.Event

    def frames(self) -> Iterator[Frame]:
        yield from super().frames()
        self.released.wait()
        yield frame(*self._place)


def hanging(frames: int) -> tuple[Stream, list[StreamChange], threading.Event]:
    """A camera each of whose decoders hangs after so many frames."""
    stream, told, _ = live([])
    released = threading.Event()

    def make(epoch: int, first_seq: int) -> ScriptedSource:
        source = HangingSource(epoch, first_seq, frames, None)
        source.released = released
        return source

    stream._make_source = make
    stream._patience = Patience(0.01, 0.01, 0.01)
    return stream, told, released


def test_a_decoder_that_hangs_is_abandoned_and_the_stream_goes_on() -> None:
    stream, told, released = hanging(frames=2)
    stream_ends_by_stop(stream, told, after=2)
    assert [change.cause for change in told if isinstance(change, StreamDown)] == ["hung"] * 2
    released.set()
    for connection in stream._hung:
        assert connection._thread is not None
        connection._thread.join(10)
    assert stream.account.next_seq == 4  # what they still gave was not taken
    assert stream.account.connections == Connections(up=2, failed=2, abandoned=2, hung=2)
    assert stream._count_hung() == 0


def test_abandoned_decoders_are_bounded() -> None:
    stream, told, released = hanging(frames=0)
    stream_ends_by_stop(stream, told, after=MOST_HUNG + 2)
    assert stream.account.connections.abandoned == MOST_HUNG
    assert stream.account.connections.failed == MOST_HUNG + 2
    assert isinstance(told[-2], StreamDown)
    assert told[-2].reason == f"{MOST_HUNG} decoders hang: waiting for one to return"
    released.set()


@pytest.mark.parametrize("frames", [0, 1], ids=["never-connected", "was-up"])
def test_stop_works_within_two_seconds_whatever_the_decoder_does(frames: int) -> None:
    stream, told, released = hanging(frames)
    stream._patience = Patience(600, 600)
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    with stream._guard:
        connection = stream._connection
    while connection is None or connection.source is None or stream.intake.kept < frames:
        connection = stream._connection
    while connection._taking:  # the frame; the next one never comes
        pass
    began_s = time.monotonic()
    stream.stop()
    thread.join(10)
    assert time.monotonic() - began_s < 2
    assert told[-1] == StreamEnded("gate", 0, None)
    assert stream.account.connections.abandoned == 1
    released.set()


def test_a_source_raises_the_epoch_by_itself() -> None:
    class Resized(ScriptedSource):
        def frames(self) -> Iterator[Frame]:
            epoch, first_seq = self._place
            for number in range(2):
                self.counts.decoded_total += 1
                yield frame(epoch + number, first_seq + number)
            raise away()

    stream, told, frames = live([])
    stream._make_source = lambda epoch, first_seq: Resized(epoch, first_seq, 0, None)
    stream_ends_by_stop(stream, told, after=2)
    assert [(f.info.epoch, f.info.seq) for f in frames()] == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_a_surprise_in_the_decoder_ends_this_stream_with_its_name() -> None:
    stream, told, _ = live([(1, RuntimeError("boom"))], "never")
    stream.run()
    assert told[-1] == StreamEnded("gate", 0, "stream 'gate': unexpected RuntimeError: boom")


def test_an_abandoned_stream_is_ended_once() -> None:
    stream, told, _ = live([(1, away())], "never")
    stream.abandon()
    stream.run()
    assert sum(isinstance(change, StreamEnded) for change in told) == 1
    assert stream.account.settled


def test_what_the_source_left_out_is_counted_by_reason() -> None:
    class Damaged(ScriptedSource):
        """Of six pictures, two are damaged, two above the frame rate."""

        def frames(self) -> Iterator[Frame]:
            self.counts.decoded_total, self.counts.withheld_total = 3, 2
            yield frame(0, 2)
            self.counts.decoded_total, self.counts.skipped_total = 6, 2
            yield frame(0, 5)

    stream, _, frames = live([], "never")
    stream._make_source = lambda epoch, first_seq: Damaged(epoch, first_seq, 0, None)
    stream.run()
    assert [f.info.seq for f in frames()] == [2, 5]
    decoded, _, dropped = stream.account.totals()
    assert (decoded, dropped) == (6, {"corrupt": 2, "target_fps": 2})
