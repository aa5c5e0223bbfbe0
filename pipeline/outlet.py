"""Between the pipeline and one sink: a channel, a thread, and retries."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.channel import Channel, WhenFull
from pipeline.core.arrays import U8
from pipeline.core.clock import Clock
from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkUnavailable
from pipeline.core.frame import FrameInfo
from pipeline.core.log import get_logger
from pipeline.supervise import Backoff
from pipeline.telemetry import SinkReport
from sinks.base import Outgoing, PictureSink, Sink

log = get_logger(__name__)

_MOST_PER_WRITE = 256
_IDLE_S = 0.1
_FLUSH_EVERY_S = 1.0
_FLUSH_TIMEOUT_S = 5.0


class Outlet:
    """Delivers messages to one sink, in order. What the sink cannot take now is tried again until
    it can, or until `abort`. At any stop, `offered = delivered + undelivered`. A sink that is gone,
    or fails in a way that no sink should, ends its own outlet and nobody else's."""

    def __init__(self, sink: Sink, capacity: int, when_full: WhenFull, clock: Clock) -> None:
        self.sink = sink
        self.channel: Channel[Outgoing] = Channel(capacity, when_full)
        self._delivered = 0
        self._lost = 0
        self._why: str | None = None
        self._clock = clock
        self._backoff = Backoff(first_s=0.2, longest_s=5.0)
        self._aborted = threading.Event()
        self._unflushed = 0
        self._flushed_s = clock.monotonic_s()

    @property
    def report(self) -> SinkReport:
        """The account as of now. What was given up is an error; a failure that was overcome is
        none. Any thread."""
        lost = self._lost + self.channel.statistics().dropped
        if not lost:
            return SinkReport(self.sink.name, self._delivered)
        why = self._why or f"sink {self.sink.name!r}: stopped"
        error = f"{why} ({lost} messages not delivered)"
        return SinkReport(self.sink.name, self._delivered, lost, error)

    def run(self) -> None:
        """Deliver until the channel is finished. Blocks; the sink's own thread."""
        try:
            self._deliver()
        except Exception as error:
            log.debug("sink %r", self.sink.name, exc_info=True)
            told = error if isinstance(error, SinkError) else _unexpected(self.sink.name, error)
            self._why = str(told)
            self.abort()
        self._settle()

    def _deliver(self) -> None:
        while not self._aborted.is_set():
            messages = self.channel.take(_MOST_PER_WRITE, _IDLE_S)
            if messages:
                self._write(messages)
            late = self._clock.monotonic_s() - self._flushed_s > _FLUSH_EVERY_S
            if self._unflushed and (late or not messages):
                self._flush()
            if self.channel.finished and not self._unflushed:
                break

    def abort(self) -> None:
        """Give up what is not delivered. Any thread."""
        self._aborted.set()
        self.channel.abort()

    def _write(self, messages: Sequence[Outgoing]) -> None:
        while not self._aborted.is_set():
            try:
                self.sink.write(messages)
            except Rejected as error:
                self._isolate(messages, error)
                return
            except Backpressure as error:
                self._pause(error)
                self._flush()
            except SinkUnavailable as error:
                self._pause(error)
            except Exception:
                self._lost += len(messages)
                raise
            else:
                self._unflushed += len(messages)
                return
        self._lost += len(messages)

    def _isolate(self, messages: Sequence[Outgoing], error: Rejected) -> None:
        """One of these will never be taken: find it, so that the others get through."""
        if len(messages) > 1:
            for message in messages:
                self._write([message])
            return
        log.error("%s; message %s is lost", error, messages[0].message_id)
        self._lost += 1
        self._why = str(error)

    def _flush(self) -> None:
        try:
            self.sink.flush(_FLUSH_TIMEOUT_S)
        except Rejected as error:
            log.error("%s; lost messages: %d", error, error.count)
            self._why = str(error)
            self._lost += error.count
            self._unflushed -= error.count
            return
        except (Backpressure, SinkUnavailable) as error:
            self._pause(error)
            return
        self._flushed_s = self._clock.monotonic_s()
        self._backoff.succeed()
        self._delivered += self._unflushed
        self._unflushed = 0

    def _pause(self, error: SinkError) -> None:
        pause_s = self._backoff.pause_s()
        if isinstance(error, Backpressure):
            pause_s = error.retry_after_s
        log.warning("%s; trying again in %.1f s", error, pause_s)
        self._why = str(error)
        self._aborted.wait(pause_s)

    def _settle(self) -> None:
        """Close the account, once nothing more can be delivered."""
        self._lost += self._unflushed
        self._unflushed = 0
        error = self.report.error
        if error is not None:
            log.error("%s", error)


def _unexpected(sink: str, error: Exception) -> SinkError:
    return SinkError(sink, f"unexpected {type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class Picture:
    """An annotated picture on its way to the picture sinks; `image` None ends the stream."""

    stream_id: str
    info: FrameInfo | None
    image: U8 | None


class PictureOutlet:
    """Delivers pictures to one picture sink. A failure ends the pictures of that stream there."""

    def __init__(self, sink: PictureSink, capacity: int, when_full: WhenFull) -> None:
        self.sink = sink
        self.channel: Channel[Picture] = Channel(capacity, when_full)
        self.report = SinkReport(sink.name)
        self._failed: set[str] = set()

    def run(self) -> None:
        """Deliver until the channel is finished. Blocks; the sink's own thread."""
        while pictures := self.channel.take(1):
            stream_id = pictures[0].stream_id
            if stream_id in self._failed:
                self.report.undelivered += pictures[0].image is not None
                continue
            try:
                self._deliver(pictures[0])
            except Exception as error:
                log.debug("sink %r", self.sink.name, exc_info=True)
                told = error if isinstance(error, SinkError) else _unexpected(self.sink.name, error)
                self._failed.add(stream_id)
                self.report.undelivered += pictures[0].image is not None
                self.report.error = f"{told} (no more pictures of stream {stream_id!r})"
                log.error("%s", self.report.error)
        self.report.undelivered += self.channel.statistics().dropped

    def abort(self) -> None:
        """Give up the pictures that wait. Any thread."""
        self.channel.abort()

    def _deliver(self, picture: Picture) -> None:
        if picture.info is None or picture.image is None:
            self.sink.end_stream(picture.stream_id)
        else:
            self.sink.write_picture(picture.info, picture.image)
            self.report.delivered += 1
