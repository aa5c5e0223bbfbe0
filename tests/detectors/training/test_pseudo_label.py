"""Footage in, a training set out: the account adds up and the set can be read."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.training.confidence import Found, Policy
from detectors.training.data import read_dataset
from detectors.training.footage import FootageError, Shot, find_footage, shots
from detectors.training.pseudo_label import (
    Form,
    Labeller,
    TrainingSet,
    chosen,
    describe,
    label_all,
)
from pipeline.core.arrays import U8
from pipeline.core.errors import ConfigError

NAMES = ("square", "disc")
ALL = np.ones(2, np.bool_)


def picture(level: int, square: tuple[int, int] | None = None, size: int = 96) -> U8:
    """A grey picture with a white square of 20 px at (x, y)."""
    image = np.full((size, size, 3), level, np.uint8)
    if square:
        x, y = square
        image[y : y + 20, x : x + 20] = 255
    return image


def find_white(image: U8) -> Found:
    """What is white is a square; how sure that is tells the grey around it."""
    rows, columns = np.nonzero(image[..., 0] > 230)
    if not len(rows):
        return Found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    score = np.float32(image[0, 0, 0] / 100)
    return Found(np.array([box], np.float32), np.array([score]), np.zeros(1, np.int64))


def write_video(path: Path, images: list[U8], fps: int = 10) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def shot(image: U8, second: float, scene: str = "a") -> Shot:
    return Shot(Path(f"{scene}.mp4"), Path(f"{scene}.mp4"), second, image)


def rows(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]


@given(st.lists(st.tuples(st.integers(0, 90), st.booleans(), st.booleans()), max_size=12))
def test_every_picture_has_one_fate(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[int, bool, bool]]
) -> None:
    out = tmp_path_factory.mktemp("set") / "out"
    form = Form(suffix=".jpg", empty=False)
    with TrainingSet(out, NAMES, form) as into:
        labeller = Labeller(find_white, Policy(0.6, 0.3), form, into, np.array([True, False]))
        for second, (level, there, elsewhere) in enumerate(made):
            where = (10, 10) if there else None
            labeller.add(shot(picture(level, where), second, "b" if elsewhere else "a"))
    account = labeller.account
    assert account.seen == len(made) == sum(account.counted().values())
    assert account.fates["written"] == len(rows(out)) == len(list((out / "train").iterdir()))
    assert account.boxes["square"] == account.fates["written"]


def test_a_shot_is_written_doubted_or_left_out(tmp_path: Path) -> None:
    form = Form(empty=False)
    with TrainingSet(tmp_path, NAMES, form) as into:
        one = Labeller(find_white, Policy(0.6, 0.3), form, into, np.array([True, False]))
        fates = [
            one.add(shot(picture(80, (10, 10)), 0)),
            one.add(shot(picture(80, (10, 10)), 1)),
            one.add(shot(picture(80, (10, 10)), 1, "other")),
            one.add(shot(picture(50, (10, 10)), 2)),
            one.add(shot(picture(10, (10, 10)), 3)),
        ]
    assert fates == ["written", "duplicate", "written", "uncertain", "empty"]


def test_slow_change_adds_up_to_something_new(tmp_path: Path) -> None:
    form = Form(duplicate_levels=2.0)
    with TrainingSet(tmp_path, NAMES, form) as into:
        one = Labeller(find_white, Policy(), form, into, ALL)
        fates = [one.add(shot(picture(100 + step), step)) for step in range(5)]
    assert fates == ["written", "duplicate", "written", "duplicate", "written"]


def test_boxes_shrink_with_their_picture(tmp_path: Path) -> None:
    form = Form(longest_side_px=96)
    with TrainingSet(tmp_path, NAMES, form) as into:
        one = Labeller(find_white, Policy(min_side_px=10), form, into, ALL)
        one.add(shot(picture(80, (100, 40), size=192), 1.5))
        one.add(shot(picture(90, (100, 40), size=384), 2.5))
    first, second = rows(tmp_path)
    assert (first["width"], first["height"], first["second"]) == (96, 96, 1.5)
    assert first["boxes"] == [[0, 50.0, 20.0, 60.0, 30.0]]
    assert second["boxes"] == []
    assert second["labelled"] == [1]
    data = read_dataset(tmp_path, "train")
    assert data.class_names == NAMES
    assert not data.faults
    assert data.pictures[0].xyxy.tolist() == [[50, 20, 60, 30]]
    assert read_dataset(tmp_path, "val", empty_ok=True).pictures == []


def test_files_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    with TrainingSet(tmp_path, NAMES, Form()) as into:
        one = Labeller(find_white, Policy(), Form(), into, ALL)
        for scene in ("x", "y"):
            one.add(Shot(Path(scene) / "clip.mp4", Path(scene), 0.0, picture(80, (9, 9))))
    assert len({row["image"] for row in rows(tmp_path)}) == 2
    assert all((tmp_path / str(row["image"])).is_file() for row in rows(tmp_path))


def test_a_set_is_never_overwritten(tmp_path: Path) -> None:
    TrainingSet(tmp_path, NAMES, Form()).__exit__(None, None, None)
    with pytest.raises(ConfigError, match="holds a training set already"):
        TrainingSet(tmp_path, NAMES, Form())


def test_a_video_is_sampled_by_time(tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    write_video(video, [picture(level) for level in range(40, 75)])
    taken = list(shots(video, 1.0))
    assert [s.second for s in taken] == pytest.approx([0, 1, 2, 3])
    assert [round(float(s.image.mean())) for s in taken] == pytest.approx([40, 50, 60, 70], abs=2)


def test_a_damaged_file_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    footage = tmp_path / "footage"
    footage.mkdir()
    write_video(footage / "b.mp4", [picture(80, (10, 10))] * 3)
    (footage / "a.mp4").write_bytes(b"no video at all")
    (footage / "c.png").write_bytes(b"no picture")
    cv2.imwrite(str(footage / "d.png"), picture(70, (30, 30)))
    (footage / "notes.txt").write_text("not footage")
    files = find_footage([footage])
    assert [file.name for file in files] == ["a.mp4", "b.mp4", "c.png", "d.png"]
    with TrainingSet(tmp_path / "out", NAMES, Form()) as into:
        account = label_all(files, Labeller(find_white, Policy(), Form(), into, ALL), Form())
    assert account.fates["written"] == 2
    assert [next(n for n in ("a.mp4", "c.png") if n in fault) for fault in account.faults] == [
        "a.mp4",
        "c.png",
    ]


def test_labelling_ends_with_the_pictures_wanted(tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    write_video(video, [picture(60 + 5 * n, (10, 10)) for n in range(8)])
    form, told = Form(every_s=0.1), []
    with TrainingSet(tmp_path / "out", NAMES, form) as into:
        labeller = Labeller(find_white, Policy(), form, into, ALL)
        account = label_all([video], labeller, form, 3, lambda a: told.append(a.seen))
    assert account.fates["written"] == account.seen == 3
    assert told == [1, 2, 3]
    describe(tmp_path / "out", {"name": "m", "sha256": "0" * 64}, Policy(), {}, account)
    said = json.loads((tmp_path / "out" / "policy.json").read_text())
    assert said["policy"]["accept"] == 0.6
    assert said["account"]["written"] == 3
    assert "0" * 64 in (tmp_path / "out" / "README.md").read_text()


def test_footage_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or folder"):
        find_footage([tmp_path / "nowhere"])
    with pytest.raises(ConfigError, match="holds no video or picture"):
        find_footage([tmp_path])
    with pytest.raises(FootageError, match=r"gone\.mp4"):
        list(shots(tmp_path / "gone.mp4", 1.0))


def test_classes_are_chosen_by_name() -> None:
    assert chosen(NAMES, ()).tolist() == [True, True]
    assert chosen(NAMES, ["disc"]).tolist() == [False, True]
    with pytest.raises(ConfigError, match="no class fox; the model knows square, disc"):
        chosen(NAMES, ["disc", "fox"])
