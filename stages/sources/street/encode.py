"""A street as a real video file: H.264 in MP4, and its truth beside it.

Truth file (`NAME.truth.json`), all lengths in pixels:
    {"schema": "street-truth/1", "video", "seed", "view", "light", "weather", "width", "height",
     "fps", "labels": [...], "line": [[ax, ay], [bx, by]],
     "crossings": [{"frame", "track_id", "class_id", "direction": "in" | "out"}],
     "frames": [{"frame", "objects": [[track_id, class_id, x1, y1, x2, y2, visibility, ignore]]}]}
What the values mean is said in the module `truth`; `crossings` belong to `line`.
"""

import json
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from stages.sources.street.scene import StreetScene
from stages.sources.street.truth import LABELS, Truth, crossings


def truth_path(video: Path) -> Path:
    """Where the truth of a video lies."""
    return video.with_suffix(".truth.json")


def write_video(
    scene: StreetScene,
    path: Path,
    crf: int = 23,
    bframes: int = 0,
    preset: str = "veryfast",
    stopped: threading.Event | None = None,
) -> list[Truth]:
    """Renders all frames of a scene into an MP4 at `path`, writes the truth file beside it and
    returns the truth. One key frame a second. Ends early once `stopped` is set. Raises ValueError
    for a scene without end."""
    if scene.frame_count is None:
        raise ValueError(f"street video {path}: the scene has no end; give frames")
    rate = Fraction(scene.fps).limit_denominator(1001)
    truths: list[Truth] = []
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = scene.width, scene.height, "yuv420p"
        stream.gop_size = max(1, round(scene.fps))
        stream.codec_context.max_b_frames = bframes
        stream.codec_context.thread_count = 1
        stream.options = {"crf": str(crf), "preset": preset, "bf": str(bframes)}
        for image, truth in scene.frames():
            if stopped is not None and stopped.is_set():
                break
            truths.append(truth)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    truth_path(path).write_text(json.dumps(describe(scene, path.name, truths)), encoding="utf-8")
    return truths


def describe(scene: StreetScene, video: str, truths: list[Truth]) -> dict[str, Any]:
    """The truth file's content."""
    line = scene.default_line
    return {
        "schema": "street-truth/1",
        "video": video,
        "seed": scene.seed,
        "view": scene.view,
        "light": scene.light,
        "weather": scene.weather,
        "width": scene.width,
        "height": scene.height,
        "fps": scene.fps,
        "labels": list(LABELS),
        "line": [list(end) for end in line],
        "crossings": [
            {
                "frame": c.frame,
                "track_id": c.track_id,
                "class_id": c.class_id,
                "direction": c.direction,
            }
            for c in crossings(truths, line)
        ],
        "frames": [{"frame": t.frame, "objects": rows(t)} for t in truths],
    }


def rows(truth: Truth) -> list[list[float | int | bool]]:
    """One list per object: track_id, class_id, x1, y1, x2, y2, visibility, ignore."""
    columns = (truth.track_id, truth.class_id, truth.xyxy, truth.visibility, truth.ignore)
    return [
        [int(ident), int(kind), *box.tolist(), round(float(seen), 3), bool(skip)]
        for ident, kind, box, seen, skip in zip(*columns, strict=True)
    ]
