"""A run makes no full-size RGB picture unless somebody draws."""

import asyncio
from pathlib import Path

import pytest

from detectors.letterbox import Letterbox
from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.arrays import U8
from pipeline.core.detections import Detections
from pipeline.core.picture import Picture
from stages.sources.planes import YuvPicture
from tests.stages.sources.clips import encode

FRAMES = 40


def nothing(picture: Picture) -> Detections:
    assert (picture.height, picture.width) == (48, 64)
    return Detections.empty()


@pytest.mark.parametrize(("sink", "wanted"), [("jsonl", 0), ("video", FRAMES)])
def test_whole_pictures_are_made_for_who_draws_only(
    sink: str, wanted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, real = [], YuvPicture.rgb

    def counted(self: YuvPicture) -> U8:
        made.append(self)
        return real(self)

    monkeypatch.setattr(YuvPicture, "rgb", counted)
    clip = encode(tmp_path / "a.mp4", FRAMES, size=(320, 240))
    path = str(tmp_path / ("out.jsonl" if sink == "jsonl" else "out.mp4"))
    config = parse_config(
        {
            "streams": [{"id": "one", "source": {"kind": "file", "path": str(clip)}}],
            "sinks": [{"kind": sink, "path": path}],
        }
    )

    async def run() -> int:
        detector = ScriptedDetector(("person",), nothing, letterbox=Letterbox(64, 64))
        async with Pipeline(config, detector=detector) as pipeline:
            report = await pipeline.wait()
        return sum(stream.published for stream in report.streams)

    assert asyncio.run(run()) == FRAMES
    assert len(made) == wanted
