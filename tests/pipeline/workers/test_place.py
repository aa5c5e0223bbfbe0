"""Who of a run's streams goes into workers, and whether there are any."""

from typing import Any

import pytest

from detectors.base import Detector
from detectors.scripted import ScriptedDetector
from pipeline.config.file import parse_config
from pipeline.core.detections import Detections
from pipeline.workers.place import Workers

DETECTOR = ScriptedDetector(("x",), lambda _: Detections.empty(), concurrency=2)


def make() -> Detector:
    return DETECTOR


@pytest.mark.parametrize(("clip", "workers"), [(None, 2), ({"before_s": 1}, 0)])
def test_cameras_whose_packets_are_kept_want_no_workers(
    clip: dict[str, Any] | None, workers: int
) -> None:
    """They are decoded, and so detected, in the main process."""
    source = {"kind": "rtsp", "url": "rtsp://host/1"}
    streams = [{"id": f"s{n}", "source": source} for n in range(8)]
    config = parse_config(
        {"streams": streams, "sinks": [], "evidence": {"folder": "x", "clip": clip}}
    )
    there = Workers(config, config.streams, DETECTOR, 2, make)
    assert len(there.processes) == workers
    assert (there.detector is DETECTOR) == (workers == 0)
    there.close()
