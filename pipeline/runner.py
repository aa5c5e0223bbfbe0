"""One run: opening and stopping order, threads, and the first failure.

    stream thread ─► lane ─┐                                             ┌─► channel ─► sink thread
                           ├─► detect thread ─► inbox ─► publish thread ─┤
    stream thread ─► lane ─┘                                             └─► channel ─► sink thread

Closing flows the way the frames do: a stream closes its lane, the detect thread its inbox when all
lanes are finished, the publish thread the channels of the sinks. So a drain is `stop` on every
stream and waiting; an abort is `abort` on every channel.
"""

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from detectors.base import Detector
from pipeline import build
from pipeline.channel import Channel
from pipeline.compose import Composer
from pipeline.config import PipelineConfig, StreamConfig
from pipeline.core.arrays import U8
from pipeline.core.clock import Clock, SystemClock
from pipeline.core.detections import Detections
from pipeline.core.errors import EyrieError
from pipeline.core.frame import FrameInfo
from pipeline.core.log import get_logger
from pipeline.core.messages import Message
from pipeline.outlet import Outlet, Picture, PictureOutlet
from pipeline.stream import Stream, StreamChange, StreamDown, StreamEnded, StreamUp
from pipeline.telemetry import Report
from pipeline.threads import Threads
from sinks.base import Outgoing, Sink
from stages.annotate import draw
from stages.batch import Batcher

log = get_logger(__name__)

_ABANDON_AFTER_S = 2.0
_MOST_PER_TURN = 64
_GIVEN_SINK_QUEUE = 1000


@dataclass(frozen=True, slots=True)
class _Detected:
    """A frame's result on its way to be published; pixels only when somebody draws."""

    info: FrameInfo
    detections: Detections
    image: U8 | None


class Pipeline:
    """A run of one configuration, embeddable in another program's loop.

        async with Pipeline(config) as pipeline:
            report = await pipeline.wait()

    Entering opens sinks, then the detector, then starts the streams; it raises the `EyrieError` of
    the first thing that cannot be opened, with everything else closed again. Leaving before the end
    aborts. `detector` replaces the configured one, and stays the caller's to close. `sinks` get all
    messages beside the configured ones; they are opened, flushed and closed here.
    """

    def __init__(
        self,
        config: PipelineConfig,
        *,
        detector: Detector | None = None,
        sinks: Sequence[Sink] = (),
        clock: Clock | None = None,
    ) -> None:
        self.config = config
        self._given_detector = detector
        self._given_sinks = tuple(sinks)
        self._clock = clock or SystemClock()
        self._condition = threading.Condition()
        self._streams: dict[str, Stream] = {}
        self._stream_configs: list[StreamConfig] = []
        self._composers: dict[str, Composer] = {}
        self._outlets: list[Outlet] = []
        self._picture_outlets: list[PictureOutlet] = []
        self._inbox: Channel[_Detected | StreamChange] = Channel(
            4 * config.batch.size + 16, "block", on_drop=self._count_stopped
        )
        self._ending: dict[str, StreamEnded] = {}
        self._opened = contextlib.ExitStack()
        self._threads = Threads()
        self._main: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self._open)
        except BaseException:
            await asyncio.to_thread(self._opened.close)
            raise
        self._main = asyncio.create_task(self._run(), name="eyrie")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()
        if self._draining is not None:
            self._draining.cancel()
        if self._main is not None:
            await asyncio.wait([self._main])
        await asyncio.to_thread(self._close)

    async def wait(self) -> Report:
        """Until every stream has ended and every sink has its messages: the account.

        Raises the first `EyrieError` that ended the run early, such as `EngineRunError`. Failures
        of single streams and sinks are in the report.
        """
        if self._main is None:
            raise RuntimeError("Pipeline.wait outside of `async with`")
        await asyncio.shield(self._main)
        return self.report()

    def drain(self) -> None:
        """Stop the streams, let what is decoded be published and delivered; abort what is not done
        within `drain_timeout_s`. Never blocks; for the loop's thread."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(), name="eyrie drain")

    def abort(self) -> None:
        """Stop now: frames that wait are dropped and counted, messages that wait are given up.
        Never blocks; any thread."""
        for stream in self._streams.values():
            stream.stop()
            stream.lane.abort()
        self._inbox.abort()
        for outlet in self._all_outlets():
            outlet.abort()

    def report(self) -> Report:
        """The account as of now."""
        streams = [composer.snapshot() for composer in self._composers.values()]
        return Report(streams, [outlet.report for outlet in self._all_outlets()])

    def _all_outlets(self) -> list[Outlet | PictureOutlet]:
        return [*self._outlets, *self._picture_outlets]

    # Opening and closing

    def _open(self) -> None:
        config, clock = self.config, self._clock
        self._stream_configs = build.expand_streams(config)
        for sink in self._given_sinks:
            self._open_sink(Outlet(sink, _GIVEN_SINK_QUEUE, "block", clock))
        for sink, place in build.make_sinks(config):
            spec = config.sinks[place]
            self._open_sink(Outlet(sink, spec.queue_messages, spec.when_full, clock))
        for pictures, place in build.make_picture_sinks(config):
            spec = config.sinks[place]
            self._picture_outlets.append(
                PictureOutlet(pictures, spec.queue_messages, spec.when_full)
            )
            self._opened.callback(pictures.close)
            pictures.open()
        self._detector = self._given_detector or self._load_detector()
        producer = build.make_producer(config, self._detector, clock)
        for stream_config in self._stream_configs:
            maker = build.source_maker(stream_config, clock)
            stream = Stream(stream_config, maker, self._condition, self._inbox.put)
            self._streams[stream.id] = stream
            self._composers[stream.id] = Composer(
                stream.account,
                producer,
                self._detector.labels,
                build.make_tracker(config.tracking),
                build.make_lines(stream_config.lines),
                config.model.score_threshold,
                clock,
            )

    def _open_sink(self, outlet: Outlet) -> None:
        self._outlets.append(outlet)
        self._opened.callback(outlet.sink.close)
        outlet.sink.open()

    def _load_detector(self) -> Detector:
        model, tracking = self.config.model, self.config.tracking
        least = min(model.score_threshold, tracking.low_score if tracking.enabled else 1.0)
        detector = build.make_detector(model, least)
        self._opened.callback(detector.close)
        detector.warm_up(self.config.batch.size)
        return detector

    def _close(self) -> None:
        """Wait a moment for the threads, then close what was opened, last first."""
        self._threads.join(_ABANDON_AFTER_S)
        self._opened.close()

    # Running

    async def _run(self) -> None:
        files = asyncio.Semaphore(self.config.parallel_files)
        try:
            async with asyncio.TaskGroup() as group:
                for config in self._stream_configs:
                    group.create_task(self._run_stream(config, files))
                group.create_task(self._threads.run("detect", self._detect))
                group.create_task(self._threads.run("publish", self._publish))
                for outlet in self._all_outlets():
                    group.create_task(self._threads.run(f"sink {outlet.sink.name}", outlet.run))
        except* EyrieError as failures:
            self.abort()
            raise _first(failures) from None
        except* Exception:
            self.abort()
            raise

    async def _run_stream(self, config: StreamConfig, files: asyncio.Semaphore) -> None:
        stream = self._streams[config.id]
        live = contextlib.nullcontext() if config.live else files
        async with live:
            await self._threads.run(f"stream {config.id}", stream.run)

    async def _drain(self) -> None:
        log.info("draining: no new frames, at most %g s", self.config.drain_timeout_s)
        for stream in self._streams.values():
            stream.stop()
        await self._settle_streams()
        if self._main is not None:
            await asyncio.wait([self._main], timeout=self.config.drain_timeout_s)
            if not self._main.done():
                log.error("not drained within %g s: aborting", self.config.drain_timeout_s)
                self.abort()

    async def _settle_streams(self) -> None:
        """Streams end by themselves within a moment; one whose decoder hangs is ended for it."""
        deadline_s = self._clock.monotonic_s() + _ABANDON_AFTER_S
        while self._clock.monotonic_s() < deadline_s:
            if all(stream.lane.closed for stream in self._streams.values()):
                return
            await asyncio.sleep(0.02)
        for stream in self._streams.values():
            if not stream.lane.closed:
                log.warning("stream %r does not return and is abandoned", stream.id)
                await asyncio.to_thread(stream.abandon)

    # The two threads in the middle

    def _detect(self) -> None:
        lanes = [stream.lane for stream in self._streams.values()]
        batch = self.config.batch
        batcher = Batcher(self._condition, batch.size, batch.within_ms / 1000, self._clock)
        draws = bool(self._picture_outlets)
        while frames := batcher.take(lanes):
            results = self._detector.detect([frame.image for frame in frames])
            for frame, found in zip(frames, results, strict=True):
                self._inbox.put(_Detected(frame.info, found, frame.image if draws else None))
        self._inbox.close()

    def _publish(self) -> None:
        while items := self._inbox.take(_MOST_PER_TURN):
            for item in items:
                self._handle(item)
        for outlet in self._all_outlets():
            outlet.channel.close()

    def _handle(self, item: _Detected | StreamChange) -> None:
        match item:
            case _Detected(info=info):
                self._publish_frame(item)
                self._end_if_settled(info.stream_id)
            case StreamUp(stream_id=stream_id):
                self._send(self._composers[stream_id].up(item))
            case StreamDown(stream_id=stream_id):
                self._send(self._composers[stream_id].down(item))
            case StreamEnded(stream_id=stream_id):
                self._ending[stream_id] = item
                self._end_if_settled(stream_id)

    def _publish_frame(self, item: _Detected) -> None:
        stream_id = item.info.stream_id
        composer = self._composers[stream_id]
        messages, tracks = composer.frame(item.info, item.detections)
        self._send(messages)
        if item.image is not None:
            caption = f"{stream_id}  {item.info.pts_ns / 1e9:.1f} s"
            image = draw(
                item.image,
                tracks,
                self._detector.labels,
                lines=composer.lines,
                caption=caption,
            )
            self._show(Picture(stream_id, item.info, image))

    def _end_if_settled(self, stream_id: str) -> None:
        """The end of a stream is told after the last of its frames."""
        composer = self._composers[stream_id]
        if stream_id in self._ending and composer.account.settled:
            self._send(composer.end(self._ending.pop(stream_id)))
            self._show(Picture(stream_id, None, None))

    def _send(self, messages: list[Message]) -> None:
        outgoing = [Outgoing.of(message) for message in messages]
        for outlet in self._outlets:
            for message in outgoing:
                outlet.channel.put(message)

    def _show(self, picture: Picture) -> None:
        for outlet in self._picture_outlets:
            outlet.channel.put(picture)

    def _count_stopped(self, item: _Detected | StreamChange) -> None:
        if isinstance(item, _Detected):
            account = self._composers[item.info.stream_id].account
            account.drop(item.info.seq, "stopped")


def _first(failures: BaseExceptionGroup[EyrieError]) -> EyrieError:
    """The first error itself, out of however many groups."""
    error: BaseException = failures
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, EyrieError)
    return error
