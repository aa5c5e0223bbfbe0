"""One stream's composer with endless frames, for what the publish thread costs."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from detectors.scripted import ScriptedDetector
from pipeline.account import StreamAccount
from pipeline.build import rules as open_rules
from pipeline.build import streams as build
from pipeline.compose.composer import Composer
from pipeline.config.file import parse_config
from pipeline.core.clock import SystemClock
from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo


def standing(count: int) -> Detections:
    """So many people beside each other, the same in every frame."""
    left = np.arange(count, dtype=np.float32) * np.float32(90)
    xyxy = np.stack([left, np.full_like(left, 300), left + 60, np.full_like(left, 480)], axis=1)
    return Detections(xyxy, np.full(count, 0.9, np.float32), np.zeros(count, np.int32))


def composer() -> Composer:
    """As a run has it, with one line."""
    stream: dict[str, Any] = {
        "id": "s",
        "source": {"kind": "file", "path": str(Path("a.mp4"))},
        "lines": [{"name": "line", "points": [[960, 0], [960, 1080]]}],
    }
    config = parse_config({"streams": [stream]})
    detector = ScriptedDetector(("person",), lambda _: Detections.empty())
    clock = SystemClock()
    return Composer(
        StreamAccount("s"),
        build.make_producer(config, detector, clock),
        detector.labels,
        build.make_tracker(config.tracking),
        open_rules.make_rules(config.streams[0], detector.labels),
        config.model.score_threshold,
        clock,
    )


def infos() -> Iterator[FrameInfo]:
    """25 a second of media time."""
    for seq in itertools.count():
        yield FrameInfo(
            stream_id="s", epoch=0, seq=seq, pts_ns=seq * 40_000_000,
            captured_ns=seq * 40_000_000, arrived_ns=seq * 40_000_000, clock="file",
            uncertainty_ns=0, width=1920, height=1080,
        )  # fmt: skip
