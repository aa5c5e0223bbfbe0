"""Video on the standard input of a real process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest

from tests.stages.sources.clips import MakeClip

FRAMES = 30
PATIENCE_S = 120

PROGRAM = """
import json, sys
from pipeline.core.errors import SourceError
from stages.sources.reading import Reading
from stages.sources.stdin import StdinSource

keys = json.loads(sys.argv[1])
reading = Reading(live=keys.pop("live", False), epoch=1, first_seq=7)
source = StdinSource("in", reading, **keys)
told = {"frames": [], "error": None}
try:
    for frame in source.frames():
        told["frames"].append([frame.info.epoch, frame.info.seq, frame.info.pts_ns])
except SourceError as error:
    told["error"] = str(error)
told["decoded"] = source.counts.decoded_total
print(json.dumps(told))
"""


def read(data: bytes | None, **keys: Any) -> dict[str, Any]:
    """What a process makes of `data` on its standard input; None: the input is closed."""
    prepare = "import os; os.close(0); sys.stdin = None\n" if data is None else ""
    program = PROGRAM.replace("\nkeys", f"\n{prepare}keys", 1)
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(keys)],
        input=data or b"",
        capture_output=True,
        timeout=PATIENCE_S,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def raw(clip: Path, folder: Path, kind: str) -> bytes:
    """The clip's pictures without a container."""
    path = folder / f"raw.{kind}"
    codec = {"h264": "libx264", "mjpeg": "mjpeg"}[kind]
    pix_fmt = "yuvj420p" if kind == "mjpeg" else "yuv420p"
    with av.open(str(clip)) as source, av.open(str(path), "w", format=kind) as output:
        options = {"bf": "0", "g": "10"} if kind == "h264" else {}
        stream = output.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for frame in source.decode(video=0):
            output.mux(stream.encode(frame.reformat(format=pix_fmt)))
        output.mux(stream.encode())
    return path.read_bytes()


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4"])
def test_a_container_is_found_by_itself(make_clip: MakeClip, name: str) -> None:
    clip = make_clip(name, FRAMES, faststart=name == "a.mp4")
    told = read(clip.read_bytes())
    assert told["error"] is None
    assert [frame[:2] for frame in told["frames"]] == [[1, 7 + i] for i in range(FRAMES)]
    first_ns = told["frames"][0][2]
    assert [(pts - first_ns) // 1_000_000 for _, _, pts in told["frames"]] == [
        40 * i for i in range(FRAMES)
    ]


@pytest.mark.parametrize(("kind", "step_ms"), [("h264", 40), ("mjpeg", 100)])
def test_raw_pictures_have_the_rate_that_they_name_or_else_the_given_one(
    make_clip: MakeClip, tmp_path: Path, kind: str, step_ms: int
) -> None:
    data = raw(make_clip("a.mp4", FRAMES), tmp_path, kind)
    told = read(data, format_=kind, rate=10)
    assert told["error"] is None
    assert told["decoded"] == FRAMES == len(told["frames"])
    times = [pts for _, _, pts in told["frames"]]
    assert times[-1] - times[0] == (FRAMES - 1) * step_ms * 1_000_000


def test_a_live_input_that_ends_is_no_error(make_clip: MakeClip) -> None:
    told = read(make_clip("a.ts", FRAMES).read_bytes(), live=True)
    assert told["error"] is None
    assert told["decoded"] == FRAMES


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "standard input is not a video, or it is cut off"),
        (b"no video\n" * 1000, "standard input"),
        (None, "standard input: it is closed: pipe a video into it"),
    ],
)
def test_what_is_no_video_is_told_on_one_line(data: bytes | None, why: str) -> None:
    told = read(data)
    assert told["frames"] == []
    assert why in told["error"]
    assert "\n" not in told["error"]
