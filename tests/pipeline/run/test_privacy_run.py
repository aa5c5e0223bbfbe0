"""Nobody is recognisable in anything that leaves as pixels: a list of all ways out, and a run."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.arrays import U8
from pipeline.core.detections import Detections
from pipeline.core.errors import ConfigError
from pipeline.core.picture import Picture
from sinks.memory import MemorySink
from tests.services import crossing
from tests.stages.sources.clips import encode

ROOT = Path(__file__).resolve().parents[3]
CHECK_PX = 4

WAYS_OUT = {
    "sinks/video.py": "gets what `Pixels.publish` returns: private",
    "stages/evidence/files.py": "snapshots come from `EvidenceRecorder.take`, which "
    "`Pixels.publish` gives private pictures; clips are refused where privacy is on",
    "sinks/tracks/heat_picture.py": "counts of tracks, over a picture that its user gives",
    "stages/sources/street/encode.py": "a drawn street: nobody is in it",
    "stages/sources/street/dataset.py": "a drawn street: nobody is in it",
    "detectors/yolo_nas/predict/show.py": "draws on pictures that its caller has and keeps",
    "detectors/yolo_nas/predict/video.py": "draws on a video that its caller has and keeps",
    "detectors/training/clutter.py": "drawn for training",
    "pipeline/bench/clips.py": "patterns to measure with: nobody is in them",
    "pipeline/bench/cameras.py": "patterns to measure with: nobody is in them",
    "detectors/training/pseudo_label.py": "training data: pictures that its caller gives, as they "
    "are, into a folder of his",
}
"""Every file that can turn pixels into a file or a stream, and why privacy holds there."""

ENCODERS = {"imwrite", "imencode", "from_ndarray", "fromarray", "imsave", "add_mux_stream",
            "add_stream", "add_stream_from_template"}  # fmt: skip


def encoding_files() -> Iterator[str]:
    for folder in ("pipeline", "stages", "sinks", "detectors"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.walk(ast.parse(path.read_text()))
            called = [ast.unparse(node.func) for node in tree if isinstance(node, ast.Call)]
            if {name.rsplit(".", 1)[-1] for name in called} & ENCODERS:
                yield path.relative_to(ROOT).as_posix()


def test_every_way_out_of_pixels_is_known() -> None:
    """A new one fails here: say why privacy holds there, or make it hold."""
    held = set(encoding_files()) - {"stages/evidence/packets.py"}  # writes headers, no picture
    assert held == set(WAYS_OUT)


def attributes(path: Path) -> set[str]:
    """All that is read of something in a file, as it is written: `frame.picture`."""
    return {
        ast.unparse(n)
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Attribute)
    }


RAW = {f"{holder}.picture" for holder in ("frame", "item")}


def test_raw_pixels_are_taken_from_a_frame_in_one_place_only() -> None:
    """Behind the detector, a picture is private or gone: only `Detect._result` takes it along, only
    `Pixels.publish` gets what it took, and of that only `PrivatePicture` makes pixels."""
    users = {}
    for path in (*(ROOT / "pipeline").rglob("*.py"), ROOT / "stages/privacy.py"):
        found = attributes(path)
        used = sorted((found & RAW) | {one for one in found if one.endswith(".rgb")})
        if used:
            users[path.relative_to(ROOT).as_posix()] = used
    assert users == {
        "pipeline/bench/child/prepare.py": ["frame.picture"],  # to be timed
        "pipeline/core/frame.py": ["self.picture.rgb"],  # `Frame.image`, see below
        "pipeline/run/detect.py": ["frame.picture"],  # to the detector, and on its way to Pixels
        "pipeline/stream/intake.py": ["frame.picture"],  # to the gate, which tells rest from motion
        "pipeline/outlets/pictures.py": ["drawing.picture.rgb"],  # a PrivatePicture
        "pipeline/outlets/pixels.py": ["private.rgb"],  # a PrivatePicture
        "pipeline/run/publish.py": ["item.picture"],  # to Pixels
        "pipeline/stream/stream.py": ["frame.picture"],  # to the health check, which gives numbers
        "pipeline/workers/layout.py": ["picture.rgb"],  # to memory of two processes
        "pipeline/workers/lent.py": ["self._picture.rgb"],  # of the picture that it is
        "pipeline/workers/serving.py": ["frame.picture"],  # from one to the other
        "stages/privacy.py": ["self._pixels.rgb"],  # made private there
    }
    assert not any("frame.image" in attributes(path) for path in (ROOT / "pipeline").rglob("*.py"))


def test_nothing_reaches_into_a_private_picture() -> None:
    """Its raw picture is for itself: whoever has one can get private pixels only."""
    holders = ("private", "picture", "drawing.picture")
    for folder in ("pipeline", "stages", "sinks"):
        for path in (ROOT / folder).rglob("*.py"):
            assert attributes(path).isdisjoint({f"{one}._pixels" for one in holders}), path


def checked(index: int, width: int, height: int) -> U8:
    """A person of checks, who walks to the right over a plain ground."""
    image = np.full((height, width, 3), 110, np.uint8)
    y, x = np.mgrid[0:height, 0:width] // CHECK_PX % 2
    left = 20 + 2 * index // CHECK_PX * CHECK_PX
    body = (slice(40, 140), slice(left, left + 40))
    image[body] = np.where((x ^ y)[body][..., None], 245, 5)
    return image


def find_checked(picture: Picture) -> Detections:
    """His box, by what only he has: contrast."""
    columns = np.flatnonzero(picture.rgb().std(axis=0).mean(axis=1) > 30)
    if not len(columns):
        return Detections.empty()
    box = np.array([[columns[0], 40, columns[-1] + 1, 140]], np.float32)
    return Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32))


DETECTOR = ScriptedDetector(("person",), find_checked)


def pictures(path: Path) -> list[U8]:
    """All that a file shows, as grey."""
    if path.suffix == ".jpg":
        jpeg = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert jpeg is not None
        return [np.asarray(jpeg, np.uint8)]
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in frames]


def most_detail(path: Path) -> float:
    """How much of the checks is seen in the picture of the file that shows most of them."""
    grey = [picture.astype(float) for picture in pictures(path)]
    steps = [np.abs(g[:, CHECK_PX:] - g[:, :-CHECK_PX]) for g in grey]
    return max(float((step > 100).mean()) for step in steps)


async def run(folder: Path, **more: Any) -> dict[str, float]:
    """All files of pixels that a run leaves, and how much of the checks each shows."""
    source = encode(folder / "source.mp4", 60, size=(240, 180), picture=checked)
    out = folder / "out"
    config = parse_config(
        {
            "streams": [
                {"id": "gate", "source": {"kind": "file", "path": str(source)},
                 "lines": [{"name": "door", "start": [90, 170], "end": [90, 10]}]}
            ],
            "sinks": [{"kind": "video", "path": str(out / "{stream_id}.mp4")}],
            "evidence": {"folder": str(out / "evidence"), "snapshot": {"quality": 95}},
            **more,
        }
    )  # fmt: skip
    sink = MemorySink()
    async with Pipeline(config, detector=DETECTOR, sinks=[sink]) as pipeline:
        report = await pipeline.wait()
    assert report.errors == []
    assert len(crossing.crossings(sink.messages)) == 1
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    return {path.name[32:] or path.name: most_detail(path) for path in files}


ALL_OUTPUTS = {"", "-crop.jpg", "-frame.jpg"}


async def test_no_output_shows_a_person_when_privacy_is_on(tmp_path: Path) -> None:
    (tmp_path / "on").mkdir()
    (tmp_path / "off").mkdir()
    hidden = await run(tmp_path / "on", privacy="persons")
    shown = await run(tmp_path / "off", privacy="off")
    assert {name.removeprefix("gate.mp4") for name in hidden} == ALL_OUTPUTS
    assert hidden.keys() == shown.keys()
    for name, detail in shown.items():
        assert detail > 0.04, name
        assert hidden[name] < detail / 5, name  # boxes and labels have edges, too


async def test_clips_are_refused_when_privacy_is_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nobody can be hidden"):
        await run(tmp_path, privacy="persons", evidence={"folder": str(tmp_path), "clip": {}})


async def test_a_detector_that_finds_no_people_is_refused_before_the_start(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 3)
    stream = {"id": "gate", "source": {"kind": "file", "path": str(clip)}}
    config = parse_config({"streams": [stream], "privacy": "persons"})
    cars = ScriptedDetector(("car",), find_checked)
    with pytest.raises(ConfigError, match="people cannot be hidden"):
        async with Pipeline(config, detector=cars, sinks=[MemorySink()]):
            pass
