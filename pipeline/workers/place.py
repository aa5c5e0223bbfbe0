"""The place where each stream of a run is decoded: this process, or one of its workers."""

import os
import pickle
from collections.abc import Callable, Sequence
from typing import Final

from detectors.base import Detector
from pipeline.config import PipelineConfig, StreamConfig, VideoSinkConfig
from pipeline.core.clock import Clock, SystemClock
from pipeline.core.errors import ConfigError
from pipeline.core.log import get_logger
from pipeline.workers import wire
from pipeline.workers.choose import choose, reason_to_stay, repeats
from pipeline.workers.detector import WorkerDetector
from pipeline.workers.layout import Wanted
from pipeline.workers.pool import Pool, WorkerProcess
from pipeline.workers.source import WorkerSource
from stages.base import MakeSource, Source

log = get_logger(__name__)

_ON_THEIR_WAY: Final = 4
"""Slots of a stream for frames that are being written, sent, and put into its lane."""


class Workers:
    """The workers of one run, and who goes there. `close` ends them.

    With `make_detector`, which opens another `detector` like the given one, in any process, they
    detect as well.

    Each stream has `queue_frames` slots for its lane, those of all batches that may be in the
    detector at once, those of pictures that wait to be drawn, and a few more: so a camera's decoder
    waits only if the main process stalls, and what gives way is decided at the lane, as without
    workers.
    """

    def __init__(
        self,
        config: PipelineConfig,
        streams: Sequence[StreamConfig],
        detector: Detector,
        cores: int,
        make_detector: Callable[[], Detector] | None = None,
    ) -> None:
        able = [stream for stream in streams if not _keeps_packets(config, stream)]
        choice = choose(config.workers, able, cores, detect=make_detector is not None)
        if choice.count and not hasattr(os, "memfd_create"):
            raise ConfigError("workers", "they need Linux, for anonymous shared memory: set 0")
        log.info("workers: %d (%s)", choice.count, choice.reason)
        self._letterbox = detector.letterbox
        self._in_batches = config.batch.size * detector.concurrency
        videos = (sink for sink in config.sinks if isinstance(sink, VideoSinkConfig))
        self._to_be_drawn = sum(video.queue_messages + 1 for video in videos)  # and one in hand
        self._pool = Pool(choice.count) if choice.count else None
        self.detector = detector
        """The detector of the run: the given one, or one that computes in the workers."""
        self._there: WorkerDetector | None = None
        if self._pool is not None and make_detector is not None:
            order = wire.DetectOrder(pickle.dumps(make_detector))
            self.detector = self._there = WorkerDetector(detector, order, self._pool.nth)

    @property
    def processes(self) -> list[WorkerProcess]:
        """The workers that live."""
        return self._pool.workers if self._pool is not None else []

    def place(
        self,
        stream: StreamConfig,
        make: MakeSource,
        clock: Clock,
        *,
        whole: bool,
        packets: bool,
    ) -> MakeSource:
        """A function that makes the stream's source where it is to run: `make`, or one in a worker.
        `whole`: somebody wants all of its pixels; `packets`: or its encoded video, which is had
        only here."""
        pool = self._pool
        if pool is None:
            return make
        stays = reason_to_stay(stream) or ("its packets are kept here" if packets else None)
        if not isinstance(clock, SystemClock):
            stays = stays or "its clock is this program's"
        if stays is not None:
            log.info("stream %r: decoded in the main process, for %s", stream.id, stays)
            return make
        wanted = self._wanted(stream, whole)
        slots = stream.queue_frames + self._in_batches + self._to_be_drawn + _ON_THEIR_WAY

        def make_there(epoch: int, first_seq: int) -> Source:
            source = make(epoch, first_seq)
            try:
                order = wire.Order(wire.pack_source(source), wanted, slots)
            except (TypeError, AttributeError, pickle.PicklingError) as error:
                log.warning("stream %r: decoded in the main process, for its source cannot be"
                            " sent: %s", stream.id, error)  # fmt: skip
                return source
            return WorkerSource(
                stream.id, order, pool.hire, live=source.live, repeats=repeats(stream),
                detected_there=self._there is not None,
            )  # fmt: skip

        return make_there

    def _wanted(self, stream: StreamConfig, whole: bool) -> Wanted:
        return Wanted(
            None if whole else self._letterbox,
            health=stream.watched,
            motion=stream.motion_gate is not None,
        )

    def close(self) -> None:
        """End all workers. Returns when they are gone."""
        if self._there is not None:
            self._there.close()
        if self._pool is not None:
            self._pool.close()


def _keeps_packets(config: PipelineConfig, stream: StreamConfig) -> bool:
    wanted = config.evidence_of(stream) if config.evidence is not None else None
    return wanted is not None and wanted.clip is not None
