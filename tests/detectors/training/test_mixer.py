"""Batches: the same for every number of processes, whatever pictures are corrupt or cached."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.training.data import Batch, Folder, Loader, Mixer, PixelCache, read_dataset
from detectors.training.schedule import Schedule
from pipeline.core.errors import ConfigError, DetectorError

SCHEDULE = Schedule(total=1000, sizes_px=((0.0, 64),))
NAMES = ("red", "green")


def mixer(folder: Path, batch: int = 6, **options: Any) -> Mixer:
    return Mixer([Folder(folder)], NAMES, batch, 7, SCHEDULE, **options)


def boxes_of(batch: Batch, place: int) -> list[list[float]]:
    found: list[list[float]] = batch.xyxy[batch.image == place].tolist()
    return found


@pytest.mark.parametrize("world", [2, 3])
def test_processes_together_make_the_batch_of_one(pictures: Path, world: int) -> None:
    whole = mixer(pictures).batch(5)
    for rank in range(world):
        part = mixer(pictures, rank=rank, world=world).batch(5)
        np.testing.assert_array_equal(part.images, whole.images[rank::world])
        np.testing.assert_array_equal(part.labelled, whole.labelled[rank::world])
        for place in range(len(part.images)):
            assert boxes_of(part, place) == boxes_of(whole, rank + place * world)


def test_a_batch_that_cannot_be_divided_is_one_line(pictures: Path) -> None:
    with pytest.raises(ConfigError, match="a batch of 6 cannot be divided among 4 processes"):
        mixer(pictures, world=4)


def test_what_is_cached_changes_nothing(pictures: Path) -> None:
    one, other = mixer(pictures, cache_bytes=0), mixer(pictures)
    for index in range(3):
        np.testing.assert_array_equal(one.batch(index).images, other.batch(index).images)


def test_the_cache_never_holds_more_than_its_limit(pictures: Path) -> None:
    paths = [p.path for p in read_dataset(pictures, "train").pictures]
    cache = PixelCache(paths, limit_bytes=5 * 48 * 64 * 3 + 1)
    for number in range(len(paths)):
        np.testing.assert_array_equal(cache.image(number), cache.image(number))
    assert cache.held_bytes == 5 * 48 * 64 * 3


def test_bgr_networks_get_bgr(pictures: Path) -> None:
    rgb, bgr = mixer(pictures).batch(0), mixer(pictures, bgr=True).batch(0)
    np.testing.assert_array_equal(rgb.images, bgr.images[:, ::-1])


def corrupt(folder: Path, count: int) -> None:
    for n in range(count):
        (folder / f"{n}.png").write_bytes(b"no picture")


def test_corrupt_pictures_are_named_counted_and_replaced(pictures: Path) -> None:
    corrupt(pictures, 2)
    maker = mixer(pictures)
    batches = [maker.batch(index) for index in range(8)]
    assert {fault.file.name for fault in maker.faults} == {"0.png", "1.png"}
    assert {fault.lost for fault in maker.faults} == {"picture"}
    assert all(batch.images.shape == (6, 3, 64, 64) for batch in batches)
    # Found corrupt before or not, batch 7 is the same.
    np.testing.assert_array_equal(mixer(pictures).batch(7).images, batches[7].images)


def test_too_many_corrupt_pictures_are_one_line(pictures: Path) -> None:
    corrupt(pictures, 11)
    maker = mixer(pictures)
    with pytest.raises(ConfigError, match=r"11 of 12 pictures are corrupt, the last: .*\.png"):
        list(map(maker.batch, range(40)))


def test_nothing_but_corrupt_pictures_ends(pictures: Path) -> None:
    corrupt(pictures, 12)
    with pytest.raises(ConfigError, match="pictures are corrupt"):
        mixer(pictures).batch(0)


def test_empty_pictures_are_drawn_unless_the_policy_drops_them(pictures: Path) -> None:
    index = pictures / "index.jsonl"
    rows = [json.loads(line) for line in index.read_text().splitlines()]
    for row in rows[:3]:
        row["boxes"] = []
    index.write_text("\n".join(json.dumps(row) for row in rows))
    assert len(mixer(pictures).pictures) == 12
    assert len(mixer(pictures, policy="coco").pictures) == 9
    assert len(mixer(pictures, policy="coco", keep_empty=True).pictures) == 12
    assert len(mixer(pictures, policy="finetune").pictures) == 12


def test_crowds_are_no_targets(pictures: Path, tmp_path: Path) -> None:
    categories = [{"id": n, "name": name} for n, name in enumerate(NAMES)]
    boxes = [{"id": n, "image_id": 0, "category_id": n, "bbox": [4, 4, 20, 20]} for n in (0, 1)]
    boxes[1]["iscrowd"] = 1
    images = [{"id": 0, "file_name": str(pictures / "0.png")}]
    whole = {"images": images, "annotations": boxes, "categories": categories}
    (tmp_path / "train.json").write_text(json.dumps(whole))
    maker = mixer(tmp_path / "train.json")
    assert maker.pictures[0].class_id.tolist() == [0]
    assert set(maker.batch(0).class_id.tolist()) <= {0}


def test_sets_of_different_classes_are_mixed_by_name(pictures: Path, tmp_path: Path) -> None:
    images = [{"id": 0, "file_name": str(pictures / "0.png")}]
    boxes = [{"id": 1, "image_id": 0, "category_id": 5, "bbox": [4, 4, 20, 20]}]
    whole = {"images": images, "annotations": boxes, "categories": [{"id": 5, "name": "Green"}]}
    (tmp_path / "train.json").write_text(json.dumps(whole))
    folders = [Folder(pictures), Folder(tmp_path / "train.json", 0.5)]
    maker = Mixer(folders, NAMES, 4, 7, SCHEDULE)
    assert (maker.pictures[-1].labelled, maker.pictures[-1].class_id.tolist()) == ((1,), [1])
    with pytest.raises(
        ConfigError, match=r"has 1 classes \(Green\), wanted are 1 classes \(blue\)"
    ):
        Mixer(folders[1:], ("blue",), 4, 7, SCHEDULE)


@pytest.mark.parametrize("policy", ["coco", "finetune"])
def test_published_policies_make_whole_batches(pictures: Path, policy: str) -> None:
    batch = mixer(pictures, policy=policy).batch(0)
    assert batch.images.shape == (6, 3, 64, 64)
    assert batch.labelled[batch.image, batch.class_id].all()


def test_an_unknown_policy_is_one_line(pictures: Path) -> None:
    with pytest.raises(ConfigError, match="policy 'wild' is none of coco, eyrie, finetune"):
        mixer(pictures, policy="wild")


def test_several_workers_give_the_batches_of_one(pictures: Path) -> None:
    loader = Loader([Folder(pictures)], NAMES, 2, 7, SCHEDULE, first=3, workers=2)
    try:
        made = [batch for batch, _ in zip(loader, range(4), strict=False)]
    finally:
        loader.close()
    assert [batch.index for batch in made] == [3, 4, 5, 6]
    wanted = mixer(pictures, batch=2)
    for batch in made:
        np.testing.assert_array_equal(batch.images, wanted.batch(batch.index).images)


def test_faults_found_while_loading_reach_the_loader(pictures: Path) -> None:
    corrupt(pictures, 3)
    loader = Loader([Folder(pictures)], NAMES, 12, 7, SCHEDULE)
    try:
        for _, _ in zip(loader, range(3), strict=False):
            pass
    finally:
        loader.close()
    assert {fault.file.name for fault in loader.faults} == {"0.png", "1.png", "2.png"}


def test_bad_data_ends_the_loader_with_its_reason(tmp_path: Path) -> None:
    loader = Loader([Folder(tmp_path / "nowhere")], NAMES, 2, 7, SCHEDULE)
    try:
        with pytest.raises(ConfigError, match="nowhere: no such folder or file"):
            next(iter(loader))
    finally:
        loader.close()


def test_a_fault_in_the_loader_is_told_with_its_cause(pictures: Path) -> None:
    loader = Loader([Folder(pictures)], NAMES, 2, -1, SCHEDULE)
    try:
        with pytest.raises(DetectorError, match="has died: ValueError: "):
            next(iter(loader))
    finally:
        loader.close()


def test_a_killed_loader_is_told_as_such(pictures: Path) -> None:
    loader = Loader([Folder(pictures)], NAMES, 2, 7, SCHEDULE, ahead=1)
    try:
        batches = iter(loader)
        next(batches)
        loader._makers[0].process.kill()
        with pytest.raises(DetectorError, match="killed by SIGKILL, perhaps for lack of memory"):
            list(batches)
    finally:
        loader.close()


def test_a_loader_killed_amid_a_large_batch_is_told_too(pictures: Path) -> None:
    """A batch is larger than a pipe holds, so the process is always half way through one."""
    schedule = Schedule(total=1000, sizes_px=((0.0, 320),))
    loader = Loader([Folder(pictures)], NAMES, 8, 7, schedule)
    try:
        batches = iter(loader)
        next(batches)
        loader._makers[0].process.kill()
        with pytest.raises(DetectorError, match="killed by SIGKILL"):
            list(batches)
    finally:
        loader.close()


def test_a_signal_to_the_group_is_not_for_the_process_that_makes_batches(pictures: Path) -> None:
    loader = Loader([Folder(pictures)], NAMES, 2, 7, SCHEDULE)
    try:
        (maker,) = loader._makers
        assert maker.process.pid is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(maker.process.pid, number)
        assert next(iter(loader)).images.shape[0] == 2
    finally:
        loader.close()
