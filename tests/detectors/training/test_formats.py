"""One set of pictures in three formats: read back, it is the same; what is wrong is told."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.training.data import Dataset, read_dataset
from pipeline.core.errors import ConfigError

NAMES = ["red", "green", "blue"]
FORMATS = ("index", "coco", "yolo")


@dataclass(frozen=True)
class Drawn:
    """A picture of (width, height) with (class, x1, y1, x2, y2)."""

    width: int
    height: int
    boxes: list[tuple[int, float, float, float, float]]


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    width, height = draw(st.integers(8, 40)), draw(st.integers(8, 40))
    boxes = []
    for _ in range(draw(st.integers(0, 4))):
        x1, y1 = draw(st.floats(0, width - 2)), draw(st.floats(0, height - 2))
        x2, y2 = draw(st.floats(x1 + 1, width)), draw(st.floats(y1 + 1, height))
        boxes.append((draw(st.integers(0, 2)), x1, y1, x2, y2))
    return Drawn(width, height, boxes)


def write(folder: Path, form: str, split: str, pictures: list[Drawn]) -> Path:
    """Write pictures and labels in a format; a second split of the same folder is added to it."""
    images = folder / "images" / split
    images.mkdir(parents=True, exist_ok=True)
    for n, picture in enumerate(pictures):
        shape = (picture.height, picture.width, 3)
        cv2.imwrite(str(images / f"{n}.png"), np.full(shape, 7, np.uint8))
    {"index": write_index, "coco": write_coco, "yolo": write_yolo}[form](folder, split, pictures)
    return folder


def write_index(folder: Path, split: str, pictures: list[Drawn]) -> None:
    (folder / "classes.txt").write_text("\n".join(NAMES))
    with (folder / "index.jsonl").open("a") as index:
        for n, picture in enumerate(pictures):
            row = {
                "image": f"images/{split}/{n}.png",
                "split": split,
                "labelled": [0, 1, 2],
                "boxes": picture.boxes,
            }
            index.write(json.dumps(row) + "\n")


def write_coco(folder: Path, split: str, pictures: list[Drawn]) -> None:
    """Category ids with gaps, and not in the order of the file."""
    ids = [3, 17, 90]
    whole: dict[str, Any] = {
        "categories": [{"id": ids[n], "name": NAMES[n]} for n in (2, 0, 1)],
        "images": [
            {"id": 100 + n, "file_name": f"{n}.png", "width": p.width, "height": p.height}
            for n, p in enumerate(pictures)
        ],
        "annotations": [
            {"id": 9, "image_id": 100 + n, "category_id": ids[c], "bbox": [x, y, x2 - x, y2 - y]}
            for n, p in enumerate(pictures)
            for c, x, y, x2, y2 in p.boxes
        ],
    }
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(whole))


def write_yolo(folder: Path, split: str, pictures: list[Drawn]) -> None:
    description = {"names": NAMES, "nc": 3, "train": "images/train", "val": "images/val"}
    (folder / "data.yaml").write_text(yaml.safe_dump(description))
    labels = folder / "labels" / split
    labels.mkdir(parents=True, exist_ok=True)
    for n, p in enumerate(pictures):
        lines = [
            f"{c} {(x + x2) / 2 / p.width!r} {(y + y2) / 2 / p.height!r} "
            f"{(x2 - x) / p.width!r} {(y2 - y) / p.height!r}"
            for c, x, y, x2, y2 in p.boxes
        ]
        if lines:
            (labels / f"{n}.txt").write_text("\n".join(lines) + "\n")


@given(pictures=st.lists(drawn(), min_size=1, max_size=4))
@settings(max_examples=20)
def test_three_formats_read_back_as_what_was_written(
    pictures: list[Drawn], tmp_path_factory: pytest.TempPathFactory
) -> None:
    for form in FORMATS:
        folder = tmp_path_factory.mktemp(form)
        read = read_dataset(write(folder, form, "val", pictures), "val")
        assert read.class_names == tuple(NAMES)
        assert read.faults == []
        assert read.boxes_read == sum(len(p.boxes) for p in pictures)
        for wanted, picture in zip(pictures, read.pictures, strict=True):
            assert picture.path.is_file()
            assert picture.labelled == (0, 1, 2)
            boxes = np.array(wanted.boxes, np.float32).reshape(-1, 5)
            np.testing.assert_array_equal(picture.class_id, boxes[:, 0])
            np.testing.assert_allclose(picture.xyxy, boxes[:, 1:], atol=1e-4)


ONE = Drawn(20, 10, [(1, 2, 3, 8, 9)])
BAD_BOXES = {
    "reaches outside the picture of 20x10, clipped": (0, 12, 2, 26, 8),
    "is outside the picture of 20x10": (0, 30, 2, 36, 8),
    "is reversed": (0, 8, 2, 4, 8),
    "is empty": (0, 8, 2, 8, 8),
    "is not finite": (0, 1, 2, math.nan, 8),
    "is unknown": (7, 1, 2, 5, 8),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("what", BAD_BOXES)
def test_a_bad_box_is_told_with_its_place_and_the_others_stay(
    form: str, what: str, tmp_path: Path
) -> None:
    class_id, x1, y1, x2, y2 = BAD_BOXES[what]
    bad = Drawn(20, 10, [ONE.boxes[0], (0, x1, y1, x2, y2)])
    folder = write(tmp_path, form, "val", [bad])
    if what == "is unknown":
        replace_class(folder, form, class_id)
    read = read_dataset(folder, "val")
    (fault,) = read.faults
    assert what in fault.what
    if form == "index":
        assert (fault.file.name, fault.place) == ("index.jsonl", "line 1")
    elif form == "yolo":
        assert (fault.file.name, fault.place) == ("0.txt", "line 2")
    else:
        assert (fault.file.name, fault.place) == ("instances_val2017.json", "annotation 9")
    clipped = "clipped" in what
    assert len(read.pictures[0].xyxy) == 1 + clipped
    if clipped:
        np.testing.assert_allclose(read.pictures[0].xyxy[1], [12, 2, 20, 8], atol=1e-4)
        assert read.summary().startswith("1 boxes were clipped: ")
    else:
        assert read.summary().startswith("1 boxes of 2 were left out: ")
    assert str(fault) in read.summary()


def replace_class(folder: Path, form: str, class_id: int) -> None:
    """Give the second box a class that is not there."""
    if form == "index":
        path = folder / "index.jsonl"
        row = json.loads(path.read_text())
        row["boxes"][1][0] = class_id
        path.write_text(json.dumps(row))
    elif form == "yolo":
        path = folder / "labels/val/0.txt"
        first, second = path.read_text().splitlines()
        path.write_text(f"{first}\n{class_id}{second[1:]}\n")
    else:
        path = folder / "annotations/instances_val2017.json"
        whole = json.loads(path.read_text())
        whole["annotations"][1]["category_id"] = class_id
        path.write_text(json.dumps(whole))


@pytest.mark.parametrize("form", FORMATS)
def test_a_missing_picture_is_told_and_the_others_stay(form: str, tmp_path: Path) -> None:
    folder = write(tmp_path, form, "val", [ONE, ONE, ONE])
    (folder / "images/val/1.png").unlink()
    if form == "yolo":
        (folder / "images/val/1.png").write_bytes(b"no picture")
    read = read_dataset(folder, "val")
    assert [p.path.name for p in read.pictures] == ["0.png", "2.png"]
    assert [fault.lost for fault in read.faults] == ["picture"]
    assert "1.png" in str(read.faults[0])
    assert read.summary().startswith("1 pictures of 3 were left out: ")


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_split_is_one_line(form: str, tmp_path: Path) -> None:
    folder = write(tmp_path, form, "val", [ONE])
    if form == "yolo":
        (folder / "images/train").mkdir()
    with pytest.raises(ConfigError, match="has no picture of the split 'train'"):
        read_dataset(folder, "train")
    assert read_dataset(folder, "train", empty_ok=True).pictures == []


def test_a_missing_folder_and_an_unknown_format_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder or file"):
        read_dataset(tmp_path / "nowhere", "val")
    with pytest.raises(ConfigError, match=r"neither index\.jsonl nor data\.yaml nor annotations"):
        read_dataset(tmp_path, "val")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ConfigError, match="is none of"):
        read_dataset(tmp_path / "notes.txt", "val")


@pytest.mark.parametrize(
    "line",
    ["{", '{"split": "val"}', '{"split": "val", "image": "0.png", "labelled": [9], "boxes": []}',
     '{"split": "val", "image": "0.png", "labelled": [0], "boxes": [[0, 1, 2]]}', "[]", "3"],
)  # fmt: skip
def test_a_malformed_line_of_an_index_is_told(line: str, tmp_path: Path) -> None:
    folder = write(tmp_path, "index", "val", [ONE])
    with (folder / "index.jsonl").open("a") as index:
        index.write(f"\n{line}\n")
    read = read_dataset(folder, "val")
    assert len(read.pictures) == 1
    assert [fault.place for fault in read.faults] == ["line 3"]


@pytest.mark.parametrize("line", ["0 0.5 0.5", "x 0.5 0.5 0.1 0.1", "0 .1 .1 .2 .2 .3", "\xff"])
def test_a_malformed_line_of_yolo_labels_is_told(line: str, tmp_path: Path) -> None:
    folder = write(tmp_path, "yolo", "val", [ONE])
    with (folder / "labels/val/0.txt").open("a", encoding="latin-1") as labels:
        labels.write(f"{line}\n")
    read = read_dataset(folder, "val")
    assert len(read.pictures[0].xyxy) == 1
    assert [fault.place for fault in read.faults] == ["line 2"]
    assert read.faults[0].what.startswith("malformed")


def test_a_polygon_becomes_the_box_around_it(tmp_path: Path) -> None:
    folder = write(tmp_path, "yolo", "val", [ONE])
    (folder / "labels/val/0.txt").write_text("2 0.1 0.2 0.5 0.1 0.3 0.9\n")
    (picture,) = read_dataset(folder, "val").pictures
    np.testing.assert_allclose(picture.xyxy, [[2, 1, 10, 9]], atol=1e-5)
    assert picture.class_id.tolist() == [2]


def test_malformed_annotations_are_told_by_their_ids(tmp_path: Path) -> None:
    folder = write(tmp_path, "coco", "val", [ONE])
    path = folder / "annotations/instances_val2017.json"
    whole = json.loads(path.read_text())
    whole["annotations"] += [
        {"id": 11, "image_id": 100, "category_id": 3, "bbox": [1, 2, 3]},
        {"id": 12, "image_id": 555, "category_id": 3, "bbox": [1, 2, 3, 4]},
        {"id": 13, "image_id": 100, "category_id": 3},
        "nonsense",
    ]
    path.write_text(json.dumps(whole))
    read = read_dataset(folder, "val")
    assert len(read.pictures[0].xyxy) == 1
    places = {fault.place for fault in read.faults}
    assert places == {"annotation 11", "annotation 12", "annotation 13", "annotations[4]"}
    assert read.boxes_read == 5


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 200) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def entries(*keys: str) -> st.SearchStrategy[Any]:
    """Anything, and objects with the right keys and anything in them."""
    return json_values | st.fixed_dictionaries({}, optional=dict.fromkeys(keys, json_values))


@given(
    image=entries("id", "file_name", "width", "height", "labelled"),
    annotation=entries("id", "image_id", "category_id", "bbox", "area", "iscrowd"),
    row=entries("image", "split", "labelled", "boxes", "width", "height"),
    right=st.booleans(),
)
@settings(max_examples=150)
def test_nonsense_is_a_fault_and_never_a_crash(
    image: Any, annotation: Any, row: Any, right: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "nonsense"
    if not folder.exists():
        write(folder, "coco", "val", [ONE])
        write(folder / "rows", "index", "val", [ONE])
    if right and isinstance(annotation, dict):
        annotation |= {"image_id": 100}
    if right and isinstance(row, dict):
        row |= {"image": "images/val/0.png", "split": "val"}
    path = folder / "annotations/instances_val2017.json"
    whole = json.loads(path.read_text())
    whole["images"][1:], whole["annotations"][1:] = [image], [annotation]
    path.write_text(json.dumps(whole))
    read = read_dataset(path, "val")
    assert len(read.pictures[0].xyxy) >= 1
    assert all(str(fault) for fault in read.faults)
    index = folder / "rows/index.jsonl"
    index.write_text(index.read_text().splitlines()[0] + "\n" + json.dumps(row))
    assert len(read_dataset(folder / "rows", "val").pictures) >= 1


def test_crowds_and_areas_of_coco_are_kept(tmp_path: Path) -> None:
    folder = write(tmp_path, "coco", "val", [Drawn(20, 10, [(0, 1, 1, 5, 5), (1, 2, 2, 9, 9)])])
    path = folder / "annotations/instances_val2017.json"
    whole = json.loads(path.read_text())
    whole["annotations"][0] |= {"iscrowd": 1, "area": 3.5}
    path.write_text(json.dumps(whole))
    (picture,) = read_dataset(path, "val").pictures
    assert picture.crowd.tolist() == [True, False]
    assert picture.area.tolist() == [3.5, 49.0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("names: [a, b]\nnc: 3\nval: images/val", "nc is 3, but there are 2 names"),
        ("val: images/val", "has no list of class names"),
        ("names: [a, a]\nval: images/val", "names a class twice"),
        ("names: {1: a}\nval: images/val", "must be numbered 0, 1"),
        ("names: [a]\nval: elsewhere", "names 'elsewhere', and there is no"),
        ("names: [a", "cannot be read"),
        ("- 3", "must hold names"),
    ],
)
def test_a_bad_description_is_one_line(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(ConfigError, match=why) as caught:
        read_dataset(tmp_path, "val")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "{", '{"images": []}', '{"images": 3}'])
def test_a_json_file_that_is_no_coco_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigError, match=r"a\.json: (is not COCO JSON|cannot be read)"):
        read_dataset(tmp_path / "a.json", "val")


@pytest.mark.parametrize("form", FORMATS)
def test_partial_labels_are_known_in_every_format(form: str, tmp_path: Path) -> None:
    folder = write(tmp_path, form, "val", [ONE])
    if form == "index":
        path = folder / "index.jsonl"
        path.write_text(path.read_text().replace("[0, 1, 2]", "[1, 0]"))
    elif form == "yolo":
        with (folder / "data.yaml").open("a") as file:
            file.write("labelled: [green, red]\n")
    else:
        path = folder / "annotations/instances_val2017.json"
        whole = json.loads(path.read_text())
        whole["images"][0]["labelled"] = [17, 3]
        path.write_text(json.dumps(whole))
    assert read_dataset(folder, "val").pictures[0].labelled == (0, 1)


def test_exports_with_a_folder_for_each_split_are_found(tmp_path: Path) -> None:
    """Roboflow's: `valid/_annotations.coco.json` beside its pictures; `../train/images`."""
    folder = write(tmp_path / "coco", "coco", "val", [ONE])
    (folder / "images/val").rename(folder / "valid")
    (folder / "annotations/instances_val2017.json").rename(folder / "valid/_annotations.coco.json")
    assert len(read_dataset(folder, "val").pictures) == 1
    yolo = write(tmp_path / "yolo", "yolo", "val", [ONE])
    (yolo / "data.yaml").write_text("names: [a, b, c]\nval: ../images/val\n")
    assert len(read_dataset(yolo, "val").pictures) == 1


def of(names: list[str], tmp_path: Path) -> Dataset:
    folder = write(tmp_path, "index", "val", [Drawn(20, 10, [(0, 0, 0, 5, 5), (1, 1, 1, 9, 9)])])
    (folder / "classes.txt").write_text("\n".join(names))
    return read_dataset(folder, "val")


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    data = of(["Person", "dog", "car"], tmp_path).selected(["car", "person", "bus"])
    assert data.class_names == ("car", "person", "bus")
    (picture,) = data.pictures
    assert picture.labelled == (0, 1)
    assert picture.class_id.tolist() == [1]
    np.testing.assert_array_equal(picture.xyxy, [[0, 0, 5, 5]])


def test_classes_that_do_not_match_are_one_line(tmp_path: Path) -> None:
    data = of(["person", "dog", "car"], tmp_path)
    with pytest.raises(ConfigError, match=r"has 3 classes \(person, dog, car\), wanted are 1 cl"):
        data.selected(["bus"])
    with pytest.raises(ConfigError, match="wanted are 2 classes"):
        data.selected(["person", "dog"], strict=True)
    assert data.selected(["car", "dog", "person"], strict=True).pictures[0].labelled == (0, 1, 2)


def test_the_real_set_has_no_fault(shared_dir: Path) -> None:
    data = read_dataset(shared_dir / "street5", "val")
    assert len(data.pictures) == 451
    assert data.class_names == ("person", "car", "motorcycle", "bus", "truck")
    assert data.summary() == ""
