"""Preparation of pictures as checkpoints describe it: against the steps done one by one."""

import json
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import letterbox
from detectors.letterbox import Letterbox
from detectors.yolo_nas.checkpoints import coco, processing_params
from detectors.yolo_nas.postprocess import Suppression
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import F64, U8

FIT = {"DetectionLongestMaxSizeRescale": {"output_shape": (96, 96)}}
STRETCH = {"DetectionRescale": {"output_shape": [64, 96]}}
CENTRE = {"DetectionCenterPadding": {"output_shape": (96, 128), "pad_value": 114}}
CORNER = {"DetectionBottomRightPadding": {"output_shape": (96, 96), "pad_value": 127}}
AUTO = {"DetectionAutoPadding": {"shape_multiple": (32, 32), "pad_value": 0}}
REVERSE = "ReverseImageChannels"
FIRST = {"ImagePermute": {"permutation": (2, 0, 1)}}
UNIT = {"StandardizeImage": {"max_value": 255.0}}
NORMAL = {"NormalizeImage": {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}}
UNIT_NORMAL = {"NormalizeImage": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}

PIPELINES: dict[str, list[Any]] = {
    "public": [FIT, CENTRE, UNIT, FIRST],
    "fine-tuned": [REVERSE, FIT, FIT, CORNER, FIRST, UNIT],
    "validation, reversed twice": [REVERSE, FIT, {REVERSE}, CENTRE, UNIT, FIRST],
    "reversed as a dict": [{REVERSE: {}}, FIT, CORNER, {"StandardizeImage": {}}],
    "stretched and normalized": [REVERSE, STRETCH, NORMAL, FIRST],
    "normalized, then reversed": [FIT, CENTRE, UNIT, UNIT_NORMAL, REVERSE, FIRST],
    "stretched in the middle": [STRETCH, CENTRE],
    "nested": [{"ComposeProcessing": {"processings": [REVERSE, FIT]}}, CORNER, UNIT],
}


def params(pipeline: list[Any], **others: Any) -> dict[str, Any]:
    processor = {"ComposeProcessing": {"processings": pipeline}}
    return {"class_names": ["cat", "dog"], "image_processor": processor, **others}


def one_by_one(pipeline: list[Any], image: U8) -> tuple[F64, list[F64]]:
    """The steps as they are described, each on the whole picture; and the matrices of x and y."""
    pixels: Any = image
    moves = [np.eye(2), np.eye(2)]
    for step in pipeline:
        (name,) = [step] if isinstance(step, str) else step
        said = step[name] if isinstance(step, dict) else {}
        height, width = pixels.shape[:2]
        if name == "ComposeProcessing":
            pixels, moves = one_by_one(said["processings"], pixels)
        elif name == REVERSE:
            pixels = pixels[..., ::-1]
        elif name in FIT or name in STRETCH:
            rows, columns = said["output_shape"]
            if name in FIT:
                scale = min(rows / height, columns / width)
                factors = [scale, scale]
                rows, columns = round(height * scale), round(width * scale)
            else:
                factors = [columns / width, rows / height]
            if (rows, columns) != (height, width):
                pixels = cv2.resize(np.ascontiguousarray(pixels), (columns, rows))
            moves = [np.diag([f, 1]) @ move for f, move in zip(factors, moves, strict=True)]
        elif name in CENTRE or name in CORNER:
            down, right = np.subtract(said["output_shape"], (height, width))
            top, left = (down // 2, right // 2) if name in CENTRE else (0, 0)
            sides = ((top, down - top), (left, right - left), (0, 0))
            pixels = np.pad(pixels, sides, constant_values=said["pad_value"])
            shifts = [np.array([[1, left], [0, 1]]), np.array([[1, top], [0, 1]])]
            moves = [shift @ move for shift, move in zip(shifts, moves, strict=True)]
        elif name in UNIT:
            pixels = pixels / said.get("max_value", 255)
        elif name in NORMAL:
            pixels = (pixels - np.array(said["mean"])) / np.array(said["std"])
    return pixels, moves


@pytest.mark.parametrize("size", [(50, 90), (200, 96), (96, 96), (31, 400)])
@pytest.mark.parametrize("name", PIPELINES)
def test_a_description_is_followed_exactly(name: str, size: tuple[int, int]) -> None:
    pipeline = PIPELINES[name]
    rng = np.random.default_rng(1)
    image: U8 = rng.integers(0, 256, (*size, 3), np.uint8)
    wanted, (move_x, move_y) = one_by_one(pipeline, image)

    processing = processing_params.read(params(pipeline))
    tensor, transform = processing.prepare(image)

    assert tensor.dtype == np.float32
    assert tensor.shape == (3, *processing.input_size)
    np.testing.assert_allclose(tensor, wanted.transpose(2, 0, 1), rtol=1e-5, atol=1e-5)
    boxes = rng.uniform(0, 90, (5, 4)).astype(np.float32)
    moved = boxes.copy()
    moved[:, ::2] = boxes[:, ::2] * move_x[0, 0] + move_x[0, 1]
    moved[:, 1::2] = boxes[:, 1::2] * move_y[0, 0] + move_y[0, 1]
    np.testing.assert_allclose(transform.to_source(moved), boxes, atol=1e-3)


def test_colors_and_thresholds_are_those_of_the_description() -> None:
    fine = processing_params.read(params(PIPELINES["fine-tuned"], iou=0.65, conf=0.5))
    assert (fine.color, fine.rule) == ("bgr", Suppression(conf=0.5, iou=0.65))
    assert fine.letterbox == Letterbox(96, 96, "bottom_right", 127)
    twice = processing_params.read(params(PIPELINES["validation, reversed twice"]))
    assert (twice.color, twice.rule.conf) == ("rgb", 0.5)
    others = {"nms_top_k": 30, "max_predictions": 20, "multi_label_per_box": False}
    single = processing_params.read(params([FIT, CENTRE], class_agnostic_nms=True, **others))
    assert single.rule == Suppression(0.5, 0.7, 30, 20, False, True)


def test_the_public_description_is_that_of_the_parity_tests() -> None:
    rescale = {"DetectionLongestMaxSizeRescale": {"output_shape": (636, 636)}}
    centre = {"DetectionCenterPadding": {"output_shape": (640, 640), "pad_value": 114}}
    spec = params([rescale, centre, UNIT, FIRST], iou=0.7, conf=0.25)
    read = processing_params.read({**spec, "class_names": coco.CLASS_NAMES})
    assert read == coco.PROCESSING
    assert read.letterbox == letterbox.COCO
    assert len(coco.CLASS_NAMES) == 80
    assert [coco.CLASS_NAMES.index(name) for name in ("person", "cat", "toothbrush")] == [0, 15, 79]


def test_padding_to_multiples_makes_the_input_one_size() -> None:
    fit = {"DetectionLongestMaxSizeRescale": {"output_shape": 90}}
    processing = processing_params.read(params([fit, AUTO, UNIT]))
    assert processing.letterbox == Letterbox(96, 96, "bottom_right", 0, (90, 90))


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        ([FIT, CENTRE, {"Sharpen": {}}], "unknown processing step 'Sharpen'; known: DetectionAuto"),
        (["KeypointsRescale"], "unknown processing step 'KeypointsRescale'"),
        ([{"ReverseImageChannels": {"order": 1}}], "step ReverseImageChannels: .*argument 'order'"),
        ([FIT], "no processing step pads: inputs would be of many sizes"),
        ([CENTRE, UNIT], "no processing step rescales: pictures of any size could not be taken"),
        ([AUTO], "step DetectionAutoPadding: inputs would be of many sizes"),
        ([FIT, UNIT, CENTRE], "step DetectionCenterPadding: pads after the pixels were scaled"),
        ([FIT, CENTRE, CORNER], "step DetectionBottomRightPadding: pads a second time"),
        ([FIT, CENTRE, STRETCH], r"DetectionRescale: to \(64, 96\), after pictures were rescaled"),
        ([FIT, CENTRE, {"ImagePermute": {"permutation": (1, 0, 2)}}], r"to \(1, 0, 2\), not \(2, "),
        ([FIT, CENTRE, FIRST, REVERSE], "ReverseImageChannels: comes after the channels were put"),
        ([FIT, CENTRE, FIRST, NORMAL], "NormalizeImage: comes after the channels were put first"),
        ([FIT, CENTRE, {"StandardizeImage": {"max_value": 0}}], "not 3 means and 3 positive"),
        ([FIT, {"DetectionCenterPadding": {"output_shape": 64, "pad_value": 0}}], "do not fit"),
        (
            [FIT, {"DetectionCenterPadding": {"output_shape": 100, "pad_value": 0}}],
            "multiples of 32",
        ),
        (
            [FIT, {"DetectionCenterPadding": {"output_shape": 96, "pad_value": [1, 2, 3]}}],
            "not with",
        ),
        ([FIT, CENTRE, {"StandardizeImage": {"max_value": 1e-320}}], "std must be three positive"),
        (
            [FIT, CENTRE, {"NormalizeImage": {"mean": [np.nan], "std": [1]}}],
            "NormalizeImage: not 3",
        ),
        ([{"DetectionRescale": {"output_shape": (64.5, 96)}}], "two whole numbers, height and"),
        ([{"DetectionRescale": [64, 96]}], r"'DetectionRescale' has \[64, 96\], not arguments"),
        ([7], "processing step 7 is not a name with arguments"),
    ],
)
def test_what_cannot_be_followed_exactly_is_named(pipeline: list[Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        processing_params.read(params(pipeline))


def test_unknown_parameters_and_senseless_values_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown processing parameter sharpness"):
        processing_params.read(params([FIT, CENTRE], sharpness=1))
    with pytest.raises(ValueError, match="conf must be from 0 to 1, got 50"):
        processing_params.read(params([FIT, CENTRE], conf=50))
    with pytest.raises(ValueError, match="class_names"):
        processing_params.read({**params([FIT, CENTRE]), "class_names": ["a", "a"]})
    with pytest.raises(ValueError, match="std"):
        Processing(("a",), Letterbox(64, 64), std=(255.0, 0.0, 255.0))


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"conf": "half"}, "conf must be a number, got 'half'"),
        ({"conf": True}, "conf must be a number, got True"),
        ({"multi_label_per_box": "no"}, "multi_label_per_box must be True or False, got 'no'"),
        ({"nms_top_k": 1.5}, "nms_top_k must be a whole number, got 1.5"),
        ({"class_names": "abcde"}, "class_names must be a list, got 'abcde'"),
    ],
)
def test_values_of_other_types_are_refused_by_name(entries: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        processing_params.read({**params([FIT, CENTRE]), **entries})


def test_steps_in_steps_come_to_an_end() -> None:
    steps: list[Any] = []
    for _ in range(40):
        steps = [steps, steps]
    with pytest.raises(ValueError, match="image_processor has more than 1000 steps: refused"):
        processing_params.read(params(steps))


BYTES = st.floats(0, 255, allow_subnormal=False)
RULES = st.builds(
    Suppression,
    conf=st.floats(0, 1),
    iou=st.floats(0, 1),
    top_k=st.integers(1, 5000),
    max_boxes=st.integers(1, 1000),
    multi_label=st.booleans(),
    class_agnostic=st.booleans(),
)
BOXES = st.builds(
    Letterbox,
    height=st.just(640),
    width=st.just(320),
    placement=st.sampled_from(["centre", "bottom_right"]),
    pad_value=st.integers(0, 255),
    fit=st.none() | st.tuples(st.integers(1, 640), st.integers(1, 320)),
    keep_aspect=st.booleans(),
)


@given(
    st.builds(
        Processing,
        class_names=st.lists(st.text("abc ä", min_size=1), min_size=1, unique=True).map(tuple),
        letterbox=BOXES,
        color=st.sampled_from(["rgb", "bgr"]),
        mean=st.tuples(BYTES, BYTES, BYTES),
        std=st.tuples(*[st.floats(0.1, 300)] * 3),
        rule=RULES,
    )
)
def test_metadata_hold_all_of_it(processing: Processing) -> None:
    said = json.loads(json.dumps(processing.to_metadata()))
    assert Processing.from_metadata(said) == processing


def test_metadata_of_older_files_still_mean_the_same() -> None:
    prepare = {"color": "rgb", "scale": 1 / 255, "letterbox": "centre", "pad_value": 114}
    said = {"class_names": ["a"], "input_size": [320, 320], "preprocessing": prepare}
    assert Processing.from_metadata(said) == Processing(("a",), Letterbox(320, 320))


def test_another_size_keeps_the_margin() -> None:
    small = coco.PROCESSING.resized(320, 384)
    assert small.letterbox == Letterbox(320, 384, fit=(316, 380))
    assert (small.class_names, small.rule) == (coco.CLASS_NAMES, coco.PROCESSING.rule)


def test_a_batch_is_prepared_as_each_picture_alone() -> None:
    processing = processing_params.read(params(PIPELINES["normalized, then reversed"]))
    rng = np.random.default_rng(2)
    images: list[U8] = [rng.integers(0, 256, (h, 70, 3), np.uint8) for h in (40, 90)]
    tensor, transforms = processing.prepare_batch(images)
    for row, transform, image in zip(tensor, transforms, images, strict=True):
        alone, same = processing.prepare(image)
        np.testing.assert_array_equal(row, alone)
        assert transform == same
