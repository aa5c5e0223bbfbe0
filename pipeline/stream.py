"""One stream: its decoding thread, its frame channel, its account, and its reconnects."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.channel import Channel
from pipeline.config import StreamConfig
from pipeline.core.errors import DecodeError, SourceError
from pipeline.core.frame import Frame
from pipeline.core.log import get_logger
from pipeline.supervise import Backoff
from pipeline.telemetry import StreamAccount
from stages.base import Source

log = get_logger(__name__)

MakeSource = Callable[[int, int], Source]
"""(epoch, first seq) -> a source for one connection."""


@dataclass(frozen=True, slots=True)
class StreamUp:
    """The first frame of an epoch, `seq`, has arrived."""

    stream_id: str
    epoch: int
    seq: int
    attempt: int
    frame_count: int | None


@dataclass(frozen=True, slots=True)
class StreamDown:
    """The connection failed or was lost after frame `seq`; another try follows."""

    stream_id: str
    epoch: int
    seq: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """No more frames will come. `error` says why it ended early."""

    stream_id: str
    epoch: int
    error: str | None


StreamChange = StreamUp | StreamDown | StreamEnded


class Stream:
    """Decodes one stream into `lane` until its end, `stop`, or an error that no retry helps.

    `run` is the whole life of the stream, in a thread of its own. It tells `tell` when the stream
    comes up, goes down and ends, and closes the lane last.
    """

    def __init__(
        self,
        config: StreamConfig,
        make_source: MakeSource,
        condition: threading.Condition,
        tell: Callable[[StreamChange], object],
        backoff: Backoff | None = None,
    ) -> None:
        self.id = config.id
        self.account = StreamAccount(config.id)
        self.lane: Channel[Frame] = Channel(
            config.queue_frames,
            config.when_full or ("drop_oldest" if config.live else "block"),
            condition=condition,
            on_drop=self._drop,
        )
        self._config = config
        self._make_source = make_source
        self._tell = tell
        self._backoff = backoff or Backoff()
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._source: Source | None = None
        self._is_up = self._was_up = False
        self._ended = False
        self._epoch = 0
        self._kept = 0

    def run(self) -> None:
        """Connect, decode, reconnect. Blocks until the stream is over."""
        error: str | None = None
        try:
            while not self._stopping.is_set():
                epoch_frames = self.account.next_seq
                failure = self._connect_once()
                error = str(failure) if failure else None
                if failure is None or not self._may_retry(failure):
                    break
                self._go_down(failure)
                if self.account.next_seq > epoch_frames:
                    self._epoch += 1
        finally:
            self._end(None if self._stopping.is_set() else error)

    def stop(self) -> None:
        """End soon, keeping what is decoded. Never blocks; any thread, any number of times."""
        self._stopping.set()
        with self._guard:
            if self._source is not None:
                self._source.close()

    def abandon(self) -> None:
        """End a stream whose decoder hangs in native code and does not heed `stop`."""
        self._end(None)

    def _end(self, error: str | None) -> None:
        with self._guard:
            if self._ended:
                return
            self._ended = True
        self._tell(StreamEnded(self.id, self._epoch, error))
        self.lane.close()

    def _connect_once(self) -> SourceError | None:
        """One connection, until it ends. None: there is nothing more to come."""
        self._is_up = False
        try:
            with contextlib.closing(
                self._make_source(self._epoch, self.account.next_seq)
            ) as source:
                self._hold(source)
                if not self._stopping.is_set():
                    self._decode(source)
        except SourceError as failure:
            return failure
        except Exception as failure:
            log.debug("stream %r", self.id, exc_info=True)
            return DecodeError(self.id, f"unexpected {type(failure).__name__}: {failure}")
        finally:
            self._hold(None)
        return None

    def _hold(self, source: Source | None) -> None:
        """The source that `stop` is to close."""
        with self._guard:
            self._source = source

    def _decode(self, source: Source) -> None:
        first_seq = self.account.next_seq
        try:
            for frame in source.frames():
                if self._ended:
                    return
                self._count_skipped(frame.info.seq)
                self.account.decode()
                if not self._is_up:
                    self._come_up(source, frame.info.seq)
                self.lane.put(frame)
                self._kept += 1
                if self._kept == self._config.max_frames:
                    self._stopping.set()
                if self._stopping.is_set():
                    return
        finally:
            self._count_skipped(first_seq + source.counts.decoded_total)

    def _count_skipped(self, seq: int) -> None:
        """Frames before `seq` that the decoder left out, for they are above the frame rate."""
        while self.account.next_seq < seq:
            self.account.drop(self.account.decode(), "target_fps")

    def _come_up(self, source: Source, seq: int) -> None:
        log.info("stream %r is up", self.id)
        limits = (source.frame_count, self._config.max_frames)
        expected = min((limit for limit in limits if limit is not None), default=None)
        self._tell(StreamUp(self.id, self._epoch, seq, self._backoff.failures, expected))
        self._backoff.succeed()
        self._is_up = self._was_up = True

    def _go_down(self, failure: SourceError) -> None:
        pause_s = self._backoff.pause_s()
        log.warning("%s; trying again in %.1f s", failure, pause_s)
        seq = self.account.next_seq - 1
        self._tell(StreamDown(self.id, self._epoch, seq, self._backoff.failures, failure.why))
        self._stopping.wait(pause_s)

    def _may_retry(self, failure: SourceError) -> bool:
        source = self._config.source
        if source.kind != "rtsp" or source.reconnect == "never":
            return False
        return self._was_up or (failure.retryable and source.reconnect == "always")

    def _drop(self, frame: Frame) -> None:
        closing = self._stopping.is_set() or self.lane.closed
        self.account.drop(frame.info.seq, "stopped" if closing else "overflow")
