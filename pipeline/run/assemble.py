"""All parts of a run, opened and joined: sinks, then the detector, then workers and streams."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import cv2

from detectors.base import Detector
from pipeline.build import evidence as open_evidence
from pipeline.build import looker as open_looker
from pipeline.build import outlets as open_outlet
from pipeline.build import rules as open_rules
from pipeline.build import sinks as open_sink
from pipeline.build import sources as open_source
from pipeline.build import streams as build
from pipeline.build.detector import run_detector_maker, warmed
from pipeline.config import PipelineConfig
from pipeline.core.clock import Clock
from pipeline.run.flow import Flow
from pipeline.run.parts import PartsMaker
from pipeline.run.streams import Streams
from pipeline.run.threads import Threads
from pipeline.workers.place import Workers
from sinks.base import Sink

ON_CPU: Final = "-cpu"
"""How the names of engines end that may run in several processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What `Pipeline` was given; see there."""

    config: PipelineConfig
    clock: Clock
    detector: Detector | None
    sinks: Sequence[Sink]
    instance: str | None
    keep_running: bool


@dataclass(frozen=True, slots=True)
class Assembled:
    """A run that has not begun: its streams are put, and none has started."""

    flow: Flow
    streams: Streams
    workers: Workers


def assemble(given: Given, threads: Threads, stack: contextlib.ExitStack) -> Assembled:
    """Open everything of a run. What closes it goes onto `stack`. Blocks while it connects and
    loads; raises the `EyrieError` of the first part that cannot be opened."""
    config, clock = given.config, given.clock
    cv2.setNumThreads(1)
    stream_configs = build.expand_streams(config)
    open_source.require_devices(stream_configs)
    outlets = open_outlet.make_outlets(config, clock, given.sinks)
    picture_outlets = open_outlet.make_picture_outlets(config)
    evidence = open_evidence.make_evidence_outlet(config)
    for opened in (*outlets, *picture_outlets, *([evidence] if evidence else [])):
        stack.callback(opened.close)
        opened.open()
    detector = given.detector or _load_detector(config, stack)
    open_sink.check_filters(config, stream_configs, detector.labels)
    open_rules.check_classes(stream_configs, config.model.classes or detector.labels)
    embedder = open_looker.open_embedder(config, stack)
    is_ours = given.detector is None and detector.engine_name.endswith(ON_CPU)
    workers = Workers(
        config, stream_configs, detector, len(os.sched_getaffinity(0)),
        partial(warmed, run_detector_maker(config), config.batch.size) if is_ours else None,
    )  # fmt: skip
    stack.callback(workers.close)
    producer = build.make_producer(config, detector, clock, given.instance)
    maker = PartsMaker(
        config, producer, detector.labels, clock, workers, embedder, evidence,
        draws=bool(picture_outlets),
    )  # fmt: skip
    flow = Flow(
        workers.detector, config.batch, clock, outlets, picture_outlets, evidence,
        heartbeat_s=config.heartbeat_s,
        helped=workers.detector is detector,  # else a worker would wait meanwhile
    )  # fmt: skip
    streams = Streams(
        flow, threads, maker, clock,
        parallel_files=config.parallel_files, keep_running=given.keep_running,
    )  # fmt: skip
    for stream_config in stream_configs:
        streams.put(stream_config)
    return Assembled(flow, streams, workers)


def _load_detector(config: PipelineConfig, stack: contextlib.ExitStack) -> Detector:
    detector = warmed(run_detector_maker(config), config.batch.size)
    stack.callback(detector.close)
    return detector
