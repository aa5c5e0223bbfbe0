"""The life of one stream: reconnects, epochs, limits, and what it tells."""

import random
import threading
from collections.abc import Callable, Iterator

import numpy as np

from pipeline.config_file import parse_config
from pipeline.core.errors import DecodeError, SourceError, SourceRefused, SourceUnavailable
from pipeline.core.frame import Frame, FrameInfo
from pipeline.stream import Stream, StreamChange, StreamDown, StreamEnded, StreamUp
from pipeline.supervise import Backoff
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
    return Frame(info, np.zeros((4, 4, 3), np.uint8))


Play = tuple[int, Exception | None]


def live(
    plays: list[Play], reconnect: str = "always"
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
    stream = Stream(config, make, threading.Condition(), told.append, backoff)
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


def test_a_camera_that_says_no_at_first_is_not_tried_again() -> None:
    stream, told, _ = live([(0, refused())])
    stream.run()
    assert told == [StreamEnded("gate", 0, "stream 'gate': no stream at this path")]
    assert stream.lane.finished


def test_before_the_first_frame_only_always_tries_again() -> None:
    for mode, tries in (("never", 0), ("once_up", 0), ("always", 2)):
        stream, told, _ = live([(0, away()), (0, away()), (0, refused())], mode)
        stream.run()
        assert sum(isinstance(change, StreamDown) for change in told) == tries
        assert isinstance(told[-1], StreamEnded)
        assert told[-1].error is not None


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
