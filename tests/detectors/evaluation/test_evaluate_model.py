"""A model file on a data set: the same number for a checkpoint and its export, in every format."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="needs the train extra")

from detectors.evaluation import evaluate_model, find
from detectors.letterbox import Letterbox
from detectors.training.data import STREET_CLASSES as NAMES
from detectors.training.data import Dataset, read_dataset
from detectors.yolo_nas.detector import WEIGHTS
from detectors.yolo_nas.predict.predictor import YoloNAS
from detectors.yolo_nas.processing import Color, Processing
from pipeline.core.arrays import F32
from pipeline.core.boxes import iou_matrix
from pipeline.core.errors import ConfigError

BOX = (16.0, 16.0, 48.0, 48.0)


class BrightBox:
    """A network that says where the brightest channel 0 of its input is: class 0, score 0.9."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, images: F32) -> tuple[F32, F32]:
        self.batches.append(len(images))
        boxes = np.zeros((len(images), 1, 4), np.float32)
        scores = np.zeros((len(images), 1, 2), np.float32)
        for row, image in zip(boxes, images, strict=True):
            rows, columns = np.nonzero(image[0] > 0.9)
            row[0] = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        scores[:, 0, 0] = 0.9
        return boxes, scores


def folder_of(tmp_path: Path, count: int, names: str) -> Path:
    """Pictures of 64x64 with a red box of class 0."""
    rows = []
    for n in range(count):
        image = np.zeros((64, 64, 3), np.uint8)
        image[16:48, 16:48, 2] = 255  # red as OpenCV writes it
        cv2.imwrite(str(tmp_path / f"{n}.png"), image)
        row = {"image": f"{n}.png", "split": "val", "labelled": [0], "boxes": [[0, *BOX]]}
        rows.append(json.dumps(row))
    (tmp_path / "index.jsonl").write_text("\n".join(rows))
    (tmp_path / "classes.txt").write_text(names)
    return tmp_path


@dataclass(frozen=True)
class Stub:
    network: BrightBox
    processing: Processing


def model_for(network: BrightBox, color: Color = "rgb") -> Stub:
    return Stub(network, Processing(("red", "other"), Letterbox(96, 96), color=color))


def test_pictures_are_prepared_in_batches_and_boxes_come_back(tmp_path: Path) -> None:
    data = read_dataset(folder_of(tmp_path, 5, "red\n"), "val")
    network = BrightBox()
    told: list[int] = []
    result = evaluate_model(model_for(network), data, batch=2, done=told.append)
    assert network.batches == [2, 2, 1]
    assert told == [1, 2, 3, 4, 5]
    red, other = result.scores.classes
    assert red.ap50 == pytest.approx(1.0)
    assert (red.boxes, red.pictures) == (5, 5)
    assert other.pictures == 0


def as_coco(folder: Path) -> None:
    names = sorted(path.name for path in folder.glob("*.png"))
    x1, y1, x2, y2 = BOX
    whole = {
        "images": [{"id": n, "file_name": name} for n, name in enumerate(names)],
        "categories": [{"id": 1, "name": "red"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            for n in range(len(names))
        ],
    }
    (folder / "index.jsonl").unlink()
    (folder / "annotations").mkdir()
    (folder / "annotations/instances_val.json").write_text(json.dumps(whole))


def as_yolo(folder: Path) -> None:
    (folder / "index.jsonl").unlink()
    (folder / "data.yaml").write_text("names: [red]\nval: .\n")
    for path in folder.glob("*.png"):
        path.with_suffix(".txt").write_text("0 0.5 0.5 0.5 0.5\n")


@pytest.mark.parametrize("convert", [as_coco, as_yolo])
def test_every_format_gives_the_same_scores(
    convert: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, 3, "red\n")
    first = evaluate_model(model_for(BrightBox()), read_dataset(folder, "val"))
    convert(folder)
    again = evaluate_model(model_for(BrightBox()), read_dataset(folder, "val"))
    assert again.scores.named() == first.scores.named()


def test_the_order_of_channels_is_the_models(tmp_path: Path) -> None:
    data = read_dataset(folder_of(tmp_path, 1, "red\n"), "val").selected(("red", "other"))
    bgr = model_for(BrightBox(), color="bgr")
    with pytest.raises(ValueError, match="zero-size"):  # red is channel 2 then: nothing is bright
        list(find(bgr, data.pictures, []))


def test_corrupt_pictures_are_told_and_not_judged(tmp_path: Path) -> None:
    data = read_dataset(folder_of(tmp_path, 3, "red\n"), "val")
    (tmp_path / "1.png").write_bytes(b"no picture")
    result = evaluate_model(model_for(BrightBox()), data)
    assert [fault.file.name for fault in result.faults] == ["1.png"]
    assert result.scores.classes[0].pictures == 2
    assert result.scores.map50 == pytest.approx(1.0)


def test_classes_that_do_not_match_are_one_line(tmp_path: Path) -> None:
    data = read_dataset(folder_of(tmp_path, 1, "blue\n"), "val")
    with pytest.raises(ConfigError, match=r"has 1 classes \(blue\), wanted are 2 classes"):
        evaluate_model(model_for(BrightBox()), data)


def street5(shared_dir: Path, count: int) -> Dataset:
    return read_dataset(shared_dir / "street5", "val").limited(count)


def test_checkpoint_and_export_give_the_same_figures(shared_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the train extra")
    from detectors.export import export
    from detectors.yolo_nas.checkpoints.checkpoint import read

    data = street5(shared_dir, 16)
    files = (WEIGHTS / "yolo_nas_n.pth", tmp_path / "exported.onnx")
    if not files[0].is_file():
        pytest.skip("the checkpoint is not bundled")
    export(read(files[0]), files[1])
    models = [YoloNAS.load(path) for path in files]
    one, other = (evaluate_model(model, data).scores for model in models)
    assert one.map50 == pytest.approx(other.map50, abs=5e-4)
    assert one.map50_95 == pytest.approx(other.map50_95, abs=5e-4)
    assert one.map50 > 0.3
    ours, theirs = (find(model, data.selected(NAMES).pictures[:6], []) for model in models)
    for (_, ours_here), (_, theirs_here) in zip(ours, theirs, strict=True):
        sure = ours_here.score > 0.3
        same = ours_here.class_id[sure, None] == theirs_here.class_id
        ious = np.where(same, iou_matrix(ours_here.xyxy[sure], theirs_here.xyxy), 0)
        near = ious.argmax(axis=1)
        assert (ious.max(axis=1) > 0.99).all()
        np.testing.assert_allclose(ours_here.score[sure], theirs_here.score[near], atol=1e-3)
