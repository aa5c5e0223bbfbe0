"""The detect threads: frames of all lanes through the detector, results into the inbox."""

import threading
from collections.abc import Sequence

from detectors.base import Detector
from pipeline.account import LatencyReport, LoadReport
from pipeline.config import BatchConfig
from pipeline.core.clock import Clock
from pipeline.core.detections import Detections
from pipeline.core.errors import EngineRunError, EyrieError
from pipeline.core.frame import Frame
from pipeline.core.log import get_logger
from pipeline.load.load import Load
from pipeline.load.pace import Pace
from pipeline.outlets.outlet import ThreadBody
from pipeline.run.crew import Crew, Duties, Found
from pipeline.run.inbox import Detected, Lost
from pipeline.run.publish import Publish
from pipeline.run.route import Routes
from pipeline.stream.lane import Lane
from stages.batch import Batcher

log = get_logger(__name__)


class Detect:
    """The work between the lanes and `publish`, until `complete` was called and all lanes are
    finished; then it completes that.

    Each of `loops` is the whole work of a thread; all else is for any thread, and never blocks.
    Lanes that are read share `condition`. With `draws`, pictures of all streams go on.
    """

    def __init__(
        self,
        detector: Detector,
        batch: BatchConfig,
        clock: Clock,
        routes: Routes,
        publish: Publish,
        *,
        draws: bool,
    ) -> None:
        self.condition = threading.Condition()
        self.is_completed = False
        self._detector, self._routes, self._publish, self._draws = detector, routes, publish, draws
        self._pace = Pace.of(batch, clock, detector.concurrency)
        within_s = batch.wait_ms(detector.concurrency) / 1000
        self._batcher = Batcher(
            self.condition, batch.size, within_s, clock, self._pace, detector.concurrency
        )
        self._load = Load(clock, self._pace)
        duties = Duties(self._take, self._detect, self._hand_on, self._judge_load, publish.complete)
        self._crew = Crew(detector.concurrency, duties, clock)

    @property
    def labels(self) -> Sequence[str]:
        """The names of the classes that the detector knows."""
        return self._detector.labels

    @property
    def loops(self) -> list[ThreadBody]:
        """The threads of the detector, as many as it has a use for. They raise `EngineRunError`."""
        names = ("detect", *(f"detect {n}" for n in range(2, self._crew.size + 1)))
        return [(name, self._crew.work) for name in names]

    @property
    def is_over(self) -> bool:
        """True once no frame will be detected any more, for all lanes are finished."""
        return self._crew.over

    def reports(self) -> tuple[LoadReport, LatencyReport]:
        """The load and the latencies as of now."""
        return self._load.report(), self._pace.report()

    def add_lane(self, lane: Lane) -> None:
        """Take frames of one more lane."""
        with self.condition:
            self._batcher.lanes.append(lane)
            self.condition.notify_all()

    def remove_lane(self, lane: Lane) -> None:
        """Look at a lane no more. Without effect on one that is not there."""
        with self.condition:
            if lane in self._batcher.lanes:
                self._batcher.lanes.remove(lane)
                self.condition.notify_all()

    def complete(self) -> None:
        """Expect no more lanes: the work ends once all are finished."""
        with self.condition:
            self.is_completed = True
            self.condition.notify_all()

    def _take(self) -> list[Frame]:
        while self._expects_frames():
            if frames := self._batcher.take():
                return frames
        return []

    def _expects_frames(self) -> bool:
        """Wait while every lane is finished and another may be added. False: it is over."""

        def has_open_lane() -> bool:
            return not all(lane.finished for lane in self._batcher.lanes)

        with self.condition:
            self.condition.wait_for(lambda: self.is_completed or has_open_lane())
            return has_open_lane()

    def _detect(self, frames: list[Frame]) -> list[Detections]:
        try:
            found = self._detector.detect([frame.picture for frame in frames])
            if len(found) != len(frames):
                raise ValueError(f"{len(found)} results for {len(frames)} pictures")
            self._batcher.computed(frames)
            return found
        except Exception as error:
            for frame in frames:
                self._routes.drop(frame.info)
            if isinstance(error, EyrieError):
                raise
            why = f"unexpected {type(error).__name__}: {error}"
            raise EngineRunError(f"model {self._detector.name}: {why}") from error

    def _hand_on(self, found: Found) -> None:
        results = [self._result(frame, detections) for frame, detections in found]
        self._publish.offer(results, self._batcher.handed_on)

    def _result(self, frame: Frame, found: Detections) -> Detected | Lost:
        """Make what goes on of a frame; mostly, its pixels end here. Nothing is made of the pixels
        of a stream that has no route."""
        route, info = self._routes.here.get(frame.info.stream_id), frame.info
        if route is None:
            return Detected(info, found, None, None)
        try:
            seen = route.looker.look(frame, found) if route.looker is not None else None
        except Exception as error:
            log.debug("stream %r", info.stream_id, exc_info=True)
            return Lost(info, error)
        is_wanted = route.pixels.wanted or self._draws
        return Detected(info, found, frame.picture if is_wanted else None, seen)

    def _judge_load(self, frames: int, busy_s: float) -> None:
        """Decide who gives way. Publishing and a full inbox count as work: slow sinks hold the
        engine up as its own slowness does."""
        self._load.worked(frames, busy_s / self._crew.size)
        if not self._load.due:
            return
        streams = [route.stream for route in self._routes.here.values()]
        streams = [stream for stream in streams if not stream.lane.finished]
        gates = [stream.gate for stream in streams if stream.gate is not None]
        waiting = sum(stream.lane.waiting for stream in streams if stream.gate is not None)
        self._load.judge(gates, waiting=waiting, others=len(streams) - len(gates))
