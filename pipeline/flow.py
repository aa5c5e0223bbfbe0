"""The middle of a run: frames of all streams through the detector, results to all sinks.

    stream thread ─► lane ─┐                                             ┌─► channel ─► sink thread
                           ├─► detect crew ──► inbox ──► publish thread ─┤
    stream thread ─► lane ─┘                                             └─► channel ─► sink thread

Closing flows the way the frames do: a stream closes its lane, the detect crew the inbox when all
lanes are finished, the publish thread the channels of the sinks. So a drain is `stop` on every
stream and waiting; an abort is `abort` on every channel.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from detectors.base import Detector
from pipeline.channel import Channel
from pipeline.compose import Composer
from pipeline.config import BatchConfig
from pipeline.core.clock import Clock
from pipeline.core.detections import Detections
from pipeline.core.errors import EngineRunError, EyrieError
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.frame_record import Told
from pipeline.core.log import get_logger
from pipeline.core.picture import Picture
from pipeline.core.seen import Seen
from pipeline.crew import Crew, Duties, Found
from pipeline.evidence_outlet import EvidenceOutlet
from pipeline.load import Load
from pipeline.outlet import Loop, Outlet
from pipeline.pace import Pace
from pipeline.picture_outlet import Annotated, PictureOutlet
from pipeline.pixels import Pixels
from pipeline.spooled_outlet import SpooledOutlet
from pipeline.stream import (
    Stream,
    StreamChange,
    StreamDown,
    StreamEnded,
    StreamHealth,
    StreamRules,
    StreamUp,
)
from pipeline.telemetry import Report
from sinks.base import Outgoing
from stages.annotate import draw
from stages.base import Looker
from stages.batch import Batcher

log = get_logger(__name__)

_MOST_PER_TURN = 64
MessageOutlet = Outlet | SpooledOutlet


@dataclass(frozen=True, slots=True)
class _Detected:
    """A frame's result on its way to be published: pixels only where something is made of them, and
    `seen` only where a tracker wants to know more of them than the detections."""

    info: FrameInfo
    detections: Detections
    picture: Picture | None
    seen: Seen | None


class Flow:
    """Streams, composers and outlets of one run, and the loops between them.

    Each of `detect_loops`, and `publish`, is the whole work of a thread; everything else may be
    called from any thread and never blocks. While they run, `streams`, `composers`, `pixels` and
    `lookers` are replaced, never changed, and `lanes` is changed with `condition` held and
    notified; see `pipeline.streams`. Nothing is made of the pixels of a stream that is not in
    `pixels`.
    """

    def __init__(
        self, detector: Detector, batch: BatchConfig, clock: Clock, *, heartbeat_s: float = 0
    ) -> None:
        self.condition = threading.Condition()
        self.streams: dict[str, Stream] = {}
        self.composers: dict[str, Composer] = {}
        self.pixels: dict[str, Pixels] = {}
        self.lookers: dict[str, Looker] = {}
        self.outlets: list[MessageOutlet] = []
        self.picture_outlets: list[PictureOutlet] = []
        self.evidence: EvidenceOutlet | None = None
        self._detector = detector
        self._pace = Pace.of(batch, clock, detector.concurrency)
        within_s = batch.wait_ms(detector.concurrency) / 1000
        self._batcher = Batcher(
            self.condition, batch.size, within_s, clock, self._pace, detector.concurrency
        )
        self.lanes = self._batcher.lanes
        self._inbox: Channel[_Detected | StreamChange] = Channel(
            4 * batch.size + 16, "block", on_drop=self._count_stopped
        )
        self._clock, self._load = clock, Load(clock, self._pace)
        duties = Duties(
            self._take, self._detect, self._hand_on, self._judge_load, self._inbox.close
        )
        self._crew = Crew(detector.concurrency, duties, clock)
        self._heartbeat_s = heartbeat_s or None
        self._beaten_s = clock.monotonic_s()
        self._ending: dict[str, StreamEnded] = {}
        self._nobody_reads = False
        self.completed = False

    @property
    def labels(self) -> Sequence[str]:
        """Names of the classes that the detector knows."""
        return self._detector.labels

    @property
    def all_outlets(self) -> list[MessageOutlet | PictureOutlet]:
        """Of messages and of pictures."""
        return [*self.outlets, *self.picture_outlets]

    @property
    def outlet_loops(self) -> list[Loop]:
        """What outlets are to run, each in a thread of its own."""
        loops = [loop for outlet in self.all_outlets for loop in outlet.loops]
        return loops + (self.evidence.loops if self.evidence is not None else [])

    @property
    def deliver_threads(self) -> set[str]:
        """Those that may be left behind: what they have not delivered is in a spool."""
        return {o.deliver_thread for o in self.outlets if isinstance(o, SpooledOutlet)}

    def leave_deliveries(self) -> None:
        """Sinks with a spool deliver no more; what waits is left there."""
        for outlet in self.outlets:
            if isinstance(outlet, SpooledOutlet):
                outlet.leave()

    def tell(self, change: StreamChange) -> None:
        """What a stream says of itself. Blocks while the inbox is full."""
        self._inbox.put(change)

    def stop(self) -> None:
        """No new frames; what is decoded goes on to the sinks."""
        for stream in self.streams.values():
            stream.stop()

    def abort(self) -> None:
        """Frames that wait are dropped and counted, messages that wait are given up."""
        for stream in self.streams.values():
            stream.stop()
            stream.lane.abort()
        self._inbox.abort()
        for outlet in self.all_outlets:
            outlet.abort()
        if self.evidence is not None:
            self.evidence.abort()
        self.complete()

    def complete(self) -> None:
        """No lane will be added any more: the run ends once all are finished."""
        with self.condition:
            self.completed = True
            self.condition.notify_all()

    def report(self) -> Report:
        """The account as of now."""
        reports = [composer.snapshot() for composer in self.composers.values()]
        streams = self.streams
        for report in reports:
            if report.stream_id in streams:
                report.oldest_s = streams[report.stream_id].lane.oldest_s
        sinks = [outlet.report for outlet in self.all_outlets]
        evidence = self.evidence.report() if self.evidence is not None else None
        load, latency = self._load.report(), self._pace.report()
        return Report(reports, sinks, load=load, latency=latency, evidence=evidence)

    @property
    def detect_loops(self) -> list[Loop]:
        """Batches through the detector until all lanes are finished, each in a thread of its own:
        as many as the detector has a use for. They raise `EngineRunError`."""
        names = ("detect", *(f"detect {n}" for n in range(2, self._crew.size + 1)))
        return [(name, self._crew.work) for name in names]

    @property
    def detected(self) -> bool:
        """True once no frame will be detected any more, for all lanes are finished."""
        return self._crew.over

    def _take(self) -> list[Frame]:
        while self._expects_frames():
            if frames := self._batcher.take():
                return frames
        return []

    def _hand_on(self, found: Found) -> None:
        for frame, detections in found:
            self._inbox.put(self._result(frame, detections))
        self._batcher.handed_on()

    def _judge_load(self, frames: int, busy_s: float) -> None:
        """A full inbox counts as work: slow sinks hold the engine up as its own slowness does."""
        self._load.worked(frames, busy_s / self._crew.size)
        if not self._load.due:
            return
        streams = [stream for stream in self.streams.values() if not stream.lane.finished]
        gates = [stream.gate for stream in streams if stream.gate is not None]
        self._load.judge(gates, len(streams) - len(gates))

    def _expects_frames(self) -> bool:
        """Waits while every lane is finished and another may be added. False: it is over."""

        def open_lane() -> bool:
            return not all(lane.finished for lane in self.lanes)

        with self.condition:
            self.condition.wait_for(lambda: self.completed or open_lane())
            return open_lane()

    def _detect(self, frames: list[Frame]) -> list[Detections]:
        try:
            found = self._detector.detect([frame.picture for frame in frames])
            self._batcher.computed(frames)
            return found
        except Exception as error:
            for frame in frames:
                self._drop(frame.info)
            if isinstance(error, EyrieError):
                raise
            why = f"unexpected {type(error).__name__}: {error}"
            raise EngineRunError(f"model {self._detector.name}: {why}") from error

    def _result(self, frame: Frame, found: Detections) -> _Detected:
        """What goes on of a frame; mostly, its pixels end here."""
        stream_id = frame.info.stream_id
        looker, pixels = self.lookers.get(stream_id), self.pixels.get(stream_id)
        seen = looker.look(frame, found) if looker is not None else None
        wanted = pixels is not None and (pixels.wanted or bool(self.picture_outlets))
        return _Detected(frame.info, found, frame.picture if wanted else None, seen)

    def publish(self) -> None:
        """Results to messages and pictures until the inbox is finished."""
        while not self._inbox.finished:
            for item in self._inbox.take(_MOST_PER_TURN, self._silence_s()):
                self._handle(item)
            self._end_settled()
            self._stop_if_nobody_reads()
            self._beat()
        self._end_settled()
        for outlet in self.all_outlets:
            outlet.channel.close()
        for pixels in self.pixels.values():
            pixels.end()
        if self.evidence is not None:
            self.evidence.close()

    def _silence_s(self) -> float | None:
        """Until the next heartbeats are due; None: there are none."""
        if self._heartbeat_s is None:
            return None
        return max(0.0, self._beaten_s + self._heartbeat_s - self._clock.monotonic_s())

    def _beat(self) -> None:
        """Every `heartbeat_s`, as far as this thread does not wait for a sink."""
        if self._heartbeat_s is None or self._silence_s():
            return
        self._beaten_s = self._clock.monotonic_s()
        for composer in self.composers.values():
            self._send(composer.heartbeat(self._heartbeat_s))

    def _stop_if_nobody_reads(self) -> None:
        gone = all(outlet.channel.closed for outlet in self.all_outlets)
        if gone and not self._nobody_reads:
            self._nobody_reads = True
            log.error("every sink is gone: stopping")
            self.stop()
            self.complete()

    def _handle(self, item: _Detected | StreamChange) -> None:
        match item:
            case _Detected(info=info):
                self._publish_frame(item)
                self._end_if_settled(info.stream_id)
            case StreamUp(stream_id=stream_id):
                self._send(self.composers[stream_id].up(item))
            case StreamDown(stream_id=stream_id):
                self._send(self.composers[stream_id].down(item))
                self._end_clips(stream_id, item.epoch)
            case StreamHealth(stream_id=stream_id):
                self._send(self.composers[stream_id].health(item))
            case StreamRules(stream_id=stream_id):
                self._send(self.composers[stream_id].change_rules(item.rules))
            case StreamEnded(stream_id=stream_id):
                self._ending[stream_id] = item
                self._end_if_settled(stream_id)

    def _publish_frame(self, item: _Detected) -> None:
        stream_id = item.info.stream_id
        composer = self.composers[stream_id]
        messages, tracks = composer.frame(item.info, item.detections, item.seen)
        self._send(messages)
        if stream_id not in self.pixels:
            return
        private = self.pixels[stream_id].publish(
            item.info, item.picture, item.detections, tracks, draws=bool(self.picture_outlets)
        )
        if private is not None:
            caption = f"{stream_id}  {item.info.pts_ns / 1e9:.1f} s"
            image = draw(
                private, tracks, self.labels, composer.lines, caption, zones=composer.zones
            )
            self._show(Annotated(stream_id, item.info, image))

    def _end_settled(self) -> None:
        """Of ended streams whose last frames were dropped, which no result tells."""
        for stream_id in list(self._ending):
            self._end_if_settled(stream_id)

    def _end_if_settled(self, stream_id: str) -> None:
        """The end of a stream is told after the last of its frames."""
        composer = self.composers[stream_id]
        if stream_id in self._ending and composer.account.settled:
            self._send(composer.end(self._ending.pop(stream_id)))
            self._end_clips(stream_id)
            self._show(Annotated(stream_id, None, None))

    def _end_clips(self, stream_id: str, epoch: int | None = None) -> None:
        if stream_id in self.pixels:
            self.pixels[stream_id].end(epoch)

    def _send(self, messages: list[Told]) -> None:
        told = [(message, Outgoing.of(message)) for message in messages]
        for outlet in self.outlets:
            for message, outgoing in told:
                outlet.offer(message, outgoing)

    def _show(self, picture: Annotated) -> None:
        for outlet in self.picture_outlets:
            outlet.channel.put(picture)

    def _count_stopped(self, item: _Detected | StreamChange) -> None:
        if isinstance(item, _Detected):
            self._drop(item.info)

    def _drop(self, info: FrameInfo) -> None:
        self.streams[info.stream_id].account.drop(info.seq, "stopped")
