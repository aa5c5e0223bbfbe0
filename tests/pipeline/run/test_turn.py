"""Who has NumPy's turn: one thread does a frame's detections or tracks, the engine asks nobody."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from detectors.base import Engine
from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.scripted import ScriptedDetector
from detectors.yolo_nas.detector import YoloNasDetector, resolve
from pipeline.core.arrays import AnyArray
from pipeline.core.detections import Detections
from pipeline.core.picture import Picture
from pipeline.core.turn import NUMPY_TURN
from tests.pipeline.run.changing_run import Run, recording, until
from tests.stages.sources.clips import encode

PATIENCE_S, LOOK_S = 20.0, 0.2


class Watched(OnnxRuntimeEngine):
    """Tells when it has computed."""

    def run(self, *tensors: AnyArray) -> tuple[AnyArray, ...]:
        found = super().run(*tensors)
        self.on_run()
        return found

    on_run: Callable[[], object] = staticmethod(lambda: None)


def test_the_engine_computes_while_another_has_the_turn_and_the_boxes_wait_for_it() -> None:
    path = resolve("yolo_nas_n_int8")
    watched = Watched(path, threads=1)
    engine: Engine = watched
    detector = YoloNasDetector(engine, path)
    picture = np.random.default_rng(1).integers(0, 256, (288, 352, 3), np.uint8)
    (expected,) = detector.detect([picture])
    found: list[Detections] = []
    computed, done = threading.Event(), threading.Event()
    watched.on_run = computed.set

    def detect() -> None:
        found.extend(detector.detect([picture]))
        done.set()

    with NUMPY_TURN:
        threading.Thread(target=detect, daemon=True).start()
        assert computed.wait(PATIENCE_S)
        assert not done.wait(LOOK_S)
    assert done.wait(PATIENCE_S)
    np.testing.assert_array_equal(found[0].xyxy, expected.xyxy)
    detector.close()


async def test_messages_of_a_frame_wait_for_the_turn_and_detecting_does_not(tmp_path: Path) -> None:
    frames, go, seen = 12, threading.Event(), list[Picture]()

    def script(picture: Picture) -> Detections:
        assert go.wait(PATIENCE_S)
        seen.append(picture)
        return Detections.empty()

    clip = encode(tmp_path / "a.mp4", frames)
    async with Run(recording("a", clip), detector=ScriptedDetector(("car",), script)) as run:
        with NUMPY_TURN:
            go.set()
            await until(lambda: len(seen) > 3)
            await asyncio.sleep(LOOK_S)
            assert not run.frames("a")
        await run.wait()
    assert len(run.frames("a")) == frames == len(seen)
