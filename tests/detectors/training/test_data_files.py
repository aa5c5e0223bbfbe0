"""What a data set must not say, in any of its files: one line, or a fault with its place."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detectors.training.data import Dataset, read_dataset
from detectors.training.data.files import class_name, inside, parsed_json
from pipeline.core.errors import ConfigError

BOM = b"\xef\xbb\xbf"
HUGE = 10**400
BOMB = "".join(f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n" for a, b in zip(
    "abcdefg", "bcdefgh", strict=True
))  # fmt: skip


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((10, 20, 3), 7, np.uint8))
    return path


def write_index(folder: Path, *rows: Any) -> Path:
    """A good first line, and others."""
    picture(folder / "0.png")
    lines = [row if isinstance(row, str) else json.dumps(row) for row in (good_row(), *rows)]
    (folder / "index.jsonl").write_text("\n".join(lines))
    (folder / "classes.txt").write_text("red\ngreen\n")
    return folder


def good_row(**changes: Any) -> dict[str, Any]:
    row = {"image": "0.png", "split": "val", "labelled": [0, 1], "boxes": [[0, 1, 2, 8, 9]]}
    return row | {"width": 20, "height": 10} | changes


def write_yolo(folder: Path, description: str | bytes = "names: [red]\nval: images\n") -> Path:
    picture(folder / "images/0.png")
    (folder / "labels").mkdir()
    (folder / "labels/0.txt").write_bytes(b"0 0.5 0.5 0.2 0.2\n")
    said = description.encode() if isinstance(description, str) else description
    (folder / "data.yaml").write_bytes(said)
    return folder


def write_coco(folder: Path, **changes: Any) -> Path:
    picture(folder / "images/0.png")
    whole: dict[str, Any] = {
        "categories": [{"id": 3, "name": "red"}],
        "images": [{"id": 1, "file_name": "0.png", "width": 20, "height": 10}],
        "annotations": [{"id": 9, "image_id": 1, "category_id": 3, "bbox": [1, 2, 7, 7]}],
    }
    for key, more in changes.items():
        whole[key] += more
    (folder / "annotations").mkdir(exist_ok=True)
    file = folder / "annotations/instances_val.json"
    file.write_text(json.dumps(whole))
    return file


def test_an_image_that_is_there_twice_is_kept_once_with_its_boxes(tmp_path: Path) -> None:
    again = {"id": 1, "file_name": "0.png", "width": 20, "height": 10}
    data = read_dataset(write_coco(tmp_path, images=[again]), "val")
    assert [len(p.xyxy) for p in data.pictures] == [1]
    (fault,) = data.faults
    assert (fault.place, fault.lost) == ("images[1]", "picture")
    assert fault.what == "image id 1 is there already"


@pytest.mark.parametrize(
    "row",
    [
        good_row(boxes=[[0, 1, 1, HUGE, 9]]),
        good_row(boxes=[[HUGE, 1, 1, 5, 9]]),
        good_row(width=HUGE),
        good_row(image="a" * 5000),
        good_row(image=""),
        good_row(image="../../etc/hostname"),
        good_row(image="/etc/hostname"),
        "[" * 200_000,
    ],
)
def test_an_impossible_line_of_an_index_is_a_short_fault(row: Any, tmp_path: Path) -> None:
    data = read_dataset(write_index(tmp_path, row), "val")
    (fault,) = data.faults
    assert fault.place == "line 2"
    assert len(fault.what) < 300


@pytest.mark.parametrize(
    "changes",
    [
        {"category_id": float("inf")},
        {"category_id": HUGE},
        {"bbox": [1, 1, HUGE, 5]},
        {"area": HUGE},
    ],
)
def test_an_impossible_annotation_is_a_short_fault(changes: Any, tmp_path: Path) -> None:
    bad = {"id": 10, "image_id": 1, "category_id": 3, "bbox": [1, 2, 7, 7]} | changes
    (fault,) = read_dataset(write_coco(tmp_path, annotations=[bad]), "val").faults
    assert fault.place == "annotation 10"
    assert len(fault.what) < 300


@pytest.mark.parametrize("name", ["a" * 5000, "../../../etc/hostname", "/etc/hostname", "a\0b"])
def test_an_impossible_image_of_coco_is_a_short_fault(name: str, tmp_path: Path) -> None:
    bad = {"id": 2, "file_name": name, "width": 20, "height": 10}
    data = read_dataset(write_coco(tmp_path, images=[bad]), "val")
    assert len(data.pictures) == 1
    (fault,) = data.faults
    assert fault.place == "images[1]"


@pytest.mark.parametrize("bad", [{"id": float("inf"), "name": "a"}, {"id": 4, "name": ["a"]}])
def test_an_impossible_category_is_one_line(bad: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has a malformed category"):
        read_dataset(write_coco(tmp_path, categories=[bad]), "val")


def test_coco_that_is_nested_too_deep_is_one_line(tmp_path: Path) -> None:
    write_coco(tmp_path).write_text("[" * 200_000)
    with pytest.raises(ConfigError, match=r"instances_val\.json: .* nested too deep"):
        read_dataset(tmp_path, "val")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("names: {0: aa, x: bb}\nval: images", "names must be numbered 0, 1"),
        ("names: [a]\nval: 5", r"val must be a folder, a \.txt file or a list of these, not 5"),
        ("names: [a]\nval: true", "val must be a folder.* not True"),
        ("names: [a]\nval: {a: b}", "val must be a folder.* not {'a': 'b'}"),
        ("names: [a]\nval: [images, 3]", "val must be a folder.* not 3"),
        ("names: [a]\npath: [3]\nval: images", r"path must be a folder, not \[3\]"),
        (f"names: [a]\nval: {'a' * 5000}", "val names 'aaa.*, and there is none in"),
        ("names: [a, b]\nnc: '2'\nval: images", "nc must be a number, not '2'"),
        ("names: [null]\nval: images", "names: the name of a class must be .* not None"),
        (f"names: [{'a' * 201}]\nval: images", "names: the name of a class must be"),
        (f"a: &a [x]\n{BOMB}names: [*h]\nval: images", "names: the name of a class must be"),
        (f"a: &a [x]\n{BOMB}names: [x]\nlabelled: [*h]", "labelled: the name of a class must be"),
        (f"names: {'[' * 20_000}", "cannot be read"),
        ("names: [2020-99-99]", "cannot be read"),
        (b"names: [\xff]", "cannot be read"),
    ],
)  # fmt: skip
def test_a_broken_description_is_one_short_line(
    text: str | bytes, why: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=rf"data\.yaml: .*{why}") as caught:
        read_dataset(write_yolo(tmp_path, text), "val")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_names_and_lists_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    (write_index(tmp_path / "index") / "classes.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(ConfigError, match=r"classes\.txt: cannot be read"):
        read_dataset(tmp_path / "index", "val")
    write_yolo(tmp_path / "yolo", "names: [a]\nval: list.txt")
    (tmp_path / "yolo/list.txt").write_bytes(b"images/\xff.png\n")
    with pytest.raises(ConfigError, match=r"list\.txt: cannot be read"):
        read_dataset(tmp_path / "yolo", "val")


@pytest.mark.parametrize("form", ["index", "yolo", "list", "coco"])
def test_a_byte_order_mark_is_not_there(form: str, tmp_path: Path) -> None:
    def read() -> Dataset:
        return read_dataset(tmp_path, "val")

    if form == "index":
        write_index(tmp_path)
    elif form == "coco":
        write_coco(tmp_path)
    else:
        write_yolo(tmp_path, f"names: [red]\nval: {'list.txt' if form == 'list' else 'images'}\n")
        (tmp_path / "list.txt").write_text("images/0.png\n")
    plain = read()
    for suffix in ("jsonl", "txt", "yaml", "json"):
        for file in tmp_path.rglob(f"*.{suffix}"):
            file.write_bytes(BOM + file.read_bytes())
    marked = read()
    assert (marked.class_names, marked.faults) == (plain.class_names, [])
    assert [len(p.xyxy) for p in marked.pictures] == [1]


def test_a_path_stays_inside_unless_it_is_a_link(tmp_path: Path) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    (data / "linked").symlink_to(picture(other / "0.png").parent)
    assert inside("linked/0.png", data).is_file()
    assert inside("a/../b.png", data) == data / "a/../b.png"
    assert inside("../other/0.png", data, other) == data / "../other/0.png"
    assert inside(str(data / "b.png"), data) == data / "b.png"
    for name in ("../other/0.png", "../data2/0.png", str(other / "0.png")):
        with pytest.raises(ValueError, match="is outside"):
            inside(name, data)


def test_yolo_may_have_its_pictures_beside_it(tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere/0.png")
    write_yolo(tmp_path / "data", "names: [red]\nval: ../elsewhere\n")
    assert len(read_dataset(tmp_path / "data", "val").pictures) == 1


def test_names_are_text_or_numbers() -> None:
    good = ("traffic light", 3, "été", "a" * 200)
    assert [class_name(value) for value in good] == list(map(str, good))
    wrong: tuple[object, ...] = ("", " ", "a\nb", "\x1b[31m", None, ["a"], {}, "a" * 201)
    for value in wrong:
        with pytest.raises(ValueError, match="the name of a class must be"):
            class_name(value)


def test_json_that_is_too_deep_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        parsed_json('{"a":' * 100_000)
