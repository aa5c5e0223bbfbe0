"""The detector that stays on the GPU, on the CPU's memory, against the one that does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.engines.options import EngineOptions
from detectors.engines.tensorrt import TensorRtEngine
from detectors.engines.tensorrt.platform import Platform
from detectors.engines.tensorrt.probe import Gpu
from detectors.yolo_nas.detector import YoloNasDetector, resolve
from detectors.yolo_nas.gpu.colour import Colour, Nv12
from detectors.yolo_nas.gpu.detector import YoloNasCudaDetector, takes_tensors
from pipeline.core.arrays import U8
from pipeline.core.detections import Detections
from pipeline.core.errors import EngineRunError
from stages.sources.street.source import StreetSource
from tests.detectors.engines.tensorrt.contracted import VERSIONS, World
from tests.detectors.engines.tensorrt.fake_tensorrt import make
from tests.detectors.engines.tensorrt.host_stream import HostStream

MODEL = resolve("yolo_nas_n")
WORLD = World()


@pytest.fixture(scope="module")
def street() -> list[U8]:
    """Pictures of a street, of two sizes."""
    sizes = [(640, 360), (500, 300)]
    return [
        next(StreetSource("s", seed=4, seconds=9.0, fps=1.0, width=w, height=h).frames()).image
        for w, h in sizes
    ]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> TensorRtEngine:
    platform = Platform(Gpu("Fake", (9, 0), 2**34), make(VERSIONS[0], WORLD), HostStream)
    cache = tmp_path_factory.mktemp("cache")
    return TensorRtEngine(MODEL, EngineOptions(max_batch=2, cache=cache), platform)


def same(found: Detections, wanted: Detections) -> None:
    """Each of one is in the other, but for what scores within 0.02 of the threshold of 0.4: pixels
    differ by a level, so equal scores may change places."""
    for some, others in ((found, wanted), (wanted, found)):
        for xyxy, score, class_id in zip(some.xyxy, some.score, some.class_id, strict=True):
            near = np.abs(others.xyxy - xyxy).max(axis=1) < 2
            near &= np.abs(others.score - score) < 0.02
            assert score < 0.42 or (near & (others.class_id == class_id)).any()


@pytest.mark.parametrize("classes", [None, ["car"]])
def test_finds_what_the_cpu_finds(
    engine: TensorRtEngine, street: list[U8], classes: list[str] | None
) -> None:
    assert takes_tensors(engine)
    mine = YoloNasCudaDetector(engine, MODEL, score_threshold=0.4, classes=classes)
    theirs = YoloNasDetector(OnnxRuntimeEngine(MODEL), MODEL, score_threshold=0.4, classes=classes)
    assert not takes_tensors(OnnxRuntimeEngine(MODEL))
    wanted = theirs.detect(street)
    assert sum(int((found.score > 0.42).sum()) for found in wanted) > 3
    for found, expected in zip(mine.detect(street), wanted, strict=True):
        same(found, expected)
    assert (mine.engine_name, mine.detect([])) == ("tensorrt-cuda", [])


def test_takes_frames_that_lie_on_the_gpu(engine: TensorRtEngine) -> None:
    luma = torch.full((360, 640), 128, dtype=torch.uint8)
    frame = Nv12(luma, torch.full((180, 320, 2), 128, dtype=torch.uint8), Colour())
    detector = YoloNasCudaDetector(engine, MODEL, score_threshold=0.0)
    grey = np.full((360, 640, 3), 130, np.uint8)  # (128 - 16) * 255 / 219, cut
    found = detector.detect([frame, grey])
    assert len(found[0].score) > 0
    np.testing.assert_allclose(found[0].xyxy, found[1].xyxy, atol=1e-3)
    np.testing.assert_allclose(found[0].score, found[1].score, atol=1e-5)


def test_failure_is_one_line_and_the_next_batch_runs(
    engine: TensorRtEngine, street: list[U8]
) -> None:
    detector = YoloNasCudaDetector(engine, MODEL)
    with pytest.raises(EngineRunError, match="built for 1 to 2"):
        detector.detect(street * 2)
    assert len(detector.detect(street[:1])) == 1


def test_plan_of_a_model_is_a_model(engine: TensorRtEngine, tmp_path: Path) -> None:
    assert engine.metadata["eyrie.model"]
    assert engine.precision == "fp32"
