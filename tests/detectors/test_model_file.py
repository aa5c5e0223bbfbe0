"""Model files that are not what they say: refused when they are loaded, in words."""

import json
from pathlib import Path
from typing import Any

import pytest

from detectors.base import Precision, TensorSpec
from detectors.yolo_nas.detector import METADATA_KEY, Description, YoloNasDetector, resolve
from pipeline.core.arrays import AnyArray
from pipeline.core.errors import EngineLoadError, EngineRunError

SAID: dict[str, Any] = {
    "variant": "yolo_nas_n",
    "class_names": ["cat", "dog"],
    "input_size": [64, 96],
    "preprocessing": {"color": "rgb", "letterbox": "centre", "pad_value": 114},
}
IMAGES = TensorSpec("images", "float32", (None, 3, 64, 96))
BOXES = TensorSpec("boxes", "float32", (None, 126, 4))
SCORES = TensorSpec("scores", "float32", (None, 126, 2))


class Broken:
    """An engine of any shape that fails when it runs."""

    name = "broken"
    device = "none"
    precision: Precision = "fp32"
    batch_limit: int | None = None
    concurrency = 1
    can_be_sized = False

    def __init__(self, inputs: list[TensorSpec], outputs: list[TensorSpec]) -> None:
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.metadata = {METADATA_KEY: json.dumps(SAID)}

    def run(self, *tensors: AnyArray) -> tuple[AnyArray, ...]:
        raise EngineRunError("shapes do not fit")

    def close(self) -> None:
        pass


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ([IMAGES, IMAGES], [BOXES, SCORES], "the graph takes float32 .*, float32"),
        ([TensorSpec("images", "float16", IMAGES.shape)], [BOXES, SCORES], "takes float16"),
        ([TensorSpec("x", "float32", (1, 3, 64, 96))], [BOXES, SCORES], r"takes float32 \(1, 3"),
        ([TensorSpec("x", "float32", (None, 3, 64, 64))], [BOXES, SCORES], "describes float32"),
        ([IMAGES], [SCORES], r"gives float32 \(None, 126, 2\), but"),
        ([IMAGES], [SCORES, BOXES], r"describes float32 \(None, 126, 4\), \(None, 126, 2\)"),
        ([IMAGES], [BOXES, TensorSpec("s", "float32", (None, 126, 3))], "126, 3"),
        ([IMAGES], [BOXES, TensorSpec("s", "float32", ())], "gives"),
    ],
)
def test_a_graph_that_is_not_as_described_is_refused(
    file: Path, inputs: list[TensorSpec], outputs: list[TensorSpec], said: str
) -> None:
    with pytest.raises(EngineLoadError, match=said):
        YoloNasDetector(Broken(inputs, outputs), file)


def test_a_graph_with_free_sides_is_taken_at_its_word_until_it_runs(file: Path) -> None:
    free = TensorSpec("images", "float32", (None, 3, None, None))
    detector = YoloNasDetector(Broken([free], [BOXES, SCORES]), file)
    with pytest.raises(EngineLoadError, match="model model: cannot run a batch of 2: shapes do no"):
        detector.warm_up(2)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("input_size", [1_000_000, 1_000_000]),
        ("input_size", [64.0, 96]),
        ("input_size", [64]),
        ("input_size", [0, 0]),
        ("class_names", []),
        ("class_names", ["cat", "cat"]),
        ("class_names", ["cat", "\ud800"]),
        ("pad_value", "y"),
        ("pad_value", 256),
        ("letterbox", "left"),
        ("color", "grey"),
    ],
)
def test_senseless_metadata_is_refused(key: str, value: Any) -> None:
    said = {**SAID, key: value}
    if key in SAID["preprocessing"]:
        said = {**SAID, "preprocessing": {**SAID["preprocessing"], key: value}}
    with pytest.raises(EngineLoadError, match=r"metadata 'eyrie\.model' is damaged"):
        Description.read({METADATA_KEY: json.dumps(said)}, "m")


def test_a_name_that_no_file_can_have_is_no_model() -> None:
    with pytest.raises(EngineLoadError, match="File name too long"):
        resolve("a" * 300)
