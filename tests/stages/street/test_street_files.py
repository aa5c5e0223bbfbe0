"""What the street writes: real H.264 with its truth, and training pictures with their index."""

import json
from pathlib import Path

import av
import cv2
import numpy as np

from stages.sources.street import StreetScene
from stages.sources.street.dataset import plan, write
from stages.sources.street.encode import truth_path, write_video


def test_video_decodes_to_the_frames_that_went_in(tmp_path: Path) -> None:
    scene = StreetScene(2, 320, 180, frames=12, view="pavement")
    path = tmp_path / "street.mp4"
    truths = write_video(scene, path)
    originals = [image for image, _ in scene.frames()]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert float(stream.average_rate or 0) == scene.fps
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(decoded) == len(originals) == len(truths)
    for seen, original in zip(decoded, originals, strict=True):
        assert np.abs(seen.astype(int) - original).mean() < 8
    told = json.loads(truth_path(path).read_text(encoding="utf-8"))
    assert told["schema"] == "street-truth/1"
    assert [len(frame["objects"]) for frame in told["frames"]] == [len(t) for t in truths]
    assert told["frames"][3]["objects"][0][2:6] == truths[3].xyxy[0].tolist()


def test_pictures_match_their_index(tmp_path: Path) -> None:
    write(tmp_path, pictures=5, seed=11, size=352)
    lines = [json.loads(line) for line in (tmp_path / "index.jsonl").read_text().splitlines()]
    assert len(lines) == 5
    for line in lines:
        image = cv2.imread(str(tmp_path / line["image"]))
        assert image is not None
        assert image.shape[:2] == (line["height"], line["width"])
        assert max(image.shape) <= 352
        assert line["labelled"] == [0, 1, 2, 3, 4]
        for kind, x1, y1, x2, y2 in line["boxes"]:
            assert kind in range(5)
            assert 0 <= x1 < x2 <= line["width"]
            assert 0 <= y1 < y2 <= line["height"]


def test_splits_share_no_scene() -> None:
    shots = list(plan(600, seed=7, size=448))
    seeds = {split: {s.scene_seed for s in shots if s.split == split} for split in ("train", "val")}
    assert not seeds["train"] & seeds["val"]
    assert len({s.scene_seed for s in shots}) == len(shots)
    share = sum(s.pictures for s in shots if s.split == "val") / 600
    assert 0.08 < share < 0.22
