"""The short form of the gate's measurement: a quiet street at dusk as H.264, with true boxes for
detections."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.motion_gate.judge import judge
from benchmarks.motion_gate.scenes import FPS, Object, Street, render
from benchmarks.motion_gate.sides import play
from pipeline.config import MotionGateConfig
from pipeline.core.detections import Detections

STREET = Street("quiet", "pavement", "dusk")
GATE = MotionGateConfig(hold_s=2, looks=2)


def seen(objects: Sequence[Object]) -> Detections:
    boxes = np.array([one.box for one in objects], np.float32).reshape(-1, 4)
    count = len(objects)
    return Detections(boxes, np.full(count, 0.9, np.float32), np.zeros(count, np.int32))


def test_a_quiet_street_rests_until_somebody_comes_who_is_found_in_time(tmp_path: Path) -> None:
    video = render(STREET, 20, tmp_path, (480, 270))
    assert video.truth is not None
    found = [seen(objects) for objects in video.truth]
    on, gated = play(video.path, found, ("person",), video.line, [GATE])
    verdict = judge(on, gated, video.truth, FPS)
    assert verdict.saved >= 0.4
    assert verdict.found == verdict.found_on >= 2
    assert 100 * (verdict.known_on - verdict.known) <= 0.5
    assert max(verdict.delays_s) <= 0.3
    assert verdict.crossings == verdict.crossings_on
    account = gated.account
    assert account is not None
    decoded, published, dropped = account.totals()
    assert decoded == published + sum(dropped.values()) == 250
    assert account.rest is not None
    assert dropped == {"at_rest": account.rest.frames_total}
