"""The quick evaluator and pycocotools are of one opinion, crowds and partial labels included."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pycocotools", reason="needs the train extra")

from pathlib import Path

from detectors.evaluation import Found, Truth, evaluate, score
from detectors.training.data import Picture
from pipeline.core.arrays import F32

CLASSES = 3
NAMES = ("a", "b", "c")


def random_boxes(rng: np.random.Generator, count: int) -> F32:
    corner = rng.uniform(0, 200, (count, 2))
    side = np.exp(rng.uniform(np.log(5), np.log(150), (count, 2)))
    return np.concatenate([corner, corner + side], axis=1).astype(np.float32)


def random_case(seed: int) -> tuple[list[Picture], list[Found]]:
    """Pictures with boxes, and detections that are shaken copies of some of them, and others."""
    rng = np.random.default_rng(seed)
    pictures, found = [], []
    for n in range(int(rng.integers(1, 12))):
        labelled = tuple(np.flatnonzero(rng.random(CLASSES) < 0.8).tolist())
        count = int(rng.integers(0, 8)) if labelled else 0
        xyxy = random_boxes(rng, count)
        class_id = rng.choice(labelled, count) if labelled else np.zeros(0, np.int64)
        crowd = rng.random(count) < 0.15
        pictures.append(Picture(Path(f"{n}.png"), labelled, xyxy, class_id.astype(np.int64), crowd))
        copies = np.repeat(xyxy, 2, axis=0)
        shaken = (copies + rng.normal(0, 6, copies.shape)).astype(np.float32)
        shaken[:, 2:] = np.maximum(shaken[:, 2:], shaken[:, :2] + 1)
        crowded = rng.random() < 0.1  # more than count
        others = random_boxes(rng, 320 if crowded else int(rng.integers(0, 8)))
        ids = np.concatenate([np.repeat(class_id, 2), rng.integers(0, CLASSES, len(others))])
        scores = rng.random(len(ids)).astype(np.float32)
        found.append(Found(np.concatenate([shaken, others]), scores, ids.astype(np.int64)))
    return pictures, found


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40)
def test_both_agree_on_random_data(seed: int) -> None:
    pictures, found = random_case(seed)
    tool = score(found, pictures, NAMES)
    quick = evaluate(found, [Truth.of(p) for p in pictures], CLASSES)
    for theirs, ap50, ap in zip(tool.classes, quick.ap50, quick.ap50_95, strict=True):
        assert math.isnan(theirs.ap) == bool(np.isnan(ap))
        if not math.isnan(theirs.ap):
            assert theirs.ap50 == pytest.approx(ap50, abs=1e-4)
            assert theirs.ap == pytest.approx(ap, abs=1e-4)
    if not math.isnan(tool.map50):
        assert tool.map50 == pytest.approx(quick.map50, abs=1e-4)
        assert tool.map50_95 == pytest.approx(quick.map50_95, abs=1e-4)


def picture(boxes: list[list[float]], classes: list[int], labelled: tuple[int, ...]) -> Picture:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Picture(Path("x.png"), labelled, xyxy, np.array(classes, np.int64))


def found(boxes: list[list[float]], scores: list[float], classes: list[int]) -> Found:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Found(xyxy, np.array(scores, np.float32), np.array(classes, np.int64))


SMALL, MEDIUM, LARGE = [0.0, 0, 20, 20], [100.0, 0, 150, 50], [200.0, 0, 350, 150]


def test_sizes_are_those_of_coco() -> None:
    truth = [picture([SMALL, MEDIUM, LARGE], [0, 0, 0], (0,))]
    scores = score([found([SMALL, LARGE], [0.9, 0.8], [0, 0])], truth, ("thing",))
    (of_class,) = scores.classes
    by_size = (of_class.ap_small, of_class.ap_medium, of_class.ap_large)
    assert by_size == pytest.approx((1.0, 0.0, 1.0))
    assert of_class.ap50 == pytest.approx(67 / 101)
    assert (of_class.boxes, of_class.pictures) == (3, 1)


def test_seventy_five_is_stricter_than_fifty() -> None:
    truth = [picture([[0, 0, 100, 100]], [0], (0,))]
    (of_class,) = score([found([[0, 0, 100, 70]], [0.9], [0])], truth, ("thing",)).classes
    assert (of_class.ap50, of_class.ap75) == pytest.approx((1.0, 0.0))
    assert of_class.ap == pytest.approx(0.5)  # at 0.50, 0.55, 0.60, 0.65 and 0.70


def test_a_class_is_judged_only_where_it_is_labelled() -> None:
    truth = [picture([SMALL], [0], (0,)), picture([], [], (1,))]
    seen = [found([SMALL], [0.5], [0]), found([LARGE], [0.9], [0])]
    scores = score(seen, truth, ("a", "b"))
    assert scores.classes[0].ap50 == pytest.approx(1.0)
    assert scores.classes[0].pictures == 1
    assert math.isnan(scores.classes[1].ap50)
    assert scores.named()["classes"]["b"]["ap50"] is None
    assert scores.map50 == pytest.approx(1.0)


def test_nothing_found_is_zero_and_nothing_there_is_no_number() -> None:
    nothing = found([], [], [])
    assert score([nothing], [picture([SMALL], [0], (0,))], ("a",)).map50 == 0.0
    assert math.isnan(score([nothing], [picture([], [], (0,))], ("a",)).map50)


def test_a_missing_tool_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from pipeline.core.errors import DetectorError

    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(DetectorError, match=r"needs pycocotools .* pip install 'eyrie\[train\]'"):
        score([], [], ("a",))
