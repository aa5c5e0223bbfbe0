"""`eyrie demo`: three drawn street cameras through the real pipeline, beside the truth."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.account import StreamReport
from pipeline.cli.run import finish, run
from pipeline.config import PipelineConfig
from pipeline.config.file import parse_config
from pipeline.core.boxes import iou_matrix
from pipeline.core.errors import SinkUnavailable
from pipeline.core.messages import FrameMessage, decode
from stages.sources.street import LABELS, Crossing, StreetScene, Truth, crossings
from stages.sources.street.encode import write_video
from stages.sources.street.mood import Light
from stages.sources.street.views import View

LINE = "line"
_FOUND_IOU = 0.5
_SHOWN_SCORE = 0.25


@dataclass(frozen=True, slots=True)
class Camera:
    """One drawn camera: arguments of `StreetScene`."""

    name: str
    seed: int
    view: View
    light: Light


CAMERAS = (
    Camera("high-street", 11, "street", "day"),
    Camera("junction", 5, "junction", "day"),
    Camera("motorway", 3, "highway", "dusk"),
)


@dataclass(frozen=True, slots=True)
class Recording:
    """A drawn video and what is truly in it."""

    camera: Camera
    path: Path
    line: tuple[tuple[float, float], tuple[float, float]]
    truths: Sequence[Truth]

    @property
    def crossings(self) -> list[Crossing]:
        """Who truly crosses the line."""
        return crossings(self.truths, self.line)


def run_demo(out: Path, seconds: float, quiet: bool) -> int:
    """Draw, analyse, compare: the exit code."""
    console = Console(stderr=True, quiet=quiet, highlight=False)
    cameras = f"{len(CAMERAS)} cameras, {seconds:g} s each"
    console.print(f"drawing {cameras}; it takes about as long, with a core for each camera")
    with console.status(f"drawing {cameras}"):
        recordings = record(out / "cameras", seconds)
    outcome = asyncio.run(run(configure(recordings, out), quiet))
    if outcome.report is not None and not quiet:
        by_id = {stream.stream_id: stream for stream in outcome.report.streams}
        _print([(r, by_id[r.camera.name]) for r in recordings], out)
    return finish(outcome, console, quiet=True)


def record(folder: Path, seconds: float) -> list[Recording]:
    """Draw and encode all cameras, in parallel processes that end with this one. Raises
    `SinkUnavailable` when the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with terminable(), get_context("spawn").Pool(len(CAMERAS)) as processes:
            jobs = [(camera, folder, seconds) for camera in CAMERAS]
            return processes.starmap(_record, jobs)
    except OSError as error:
        why = f"{folder} cannot be written: {error.strerror or error}"
        raise SinkUnavailable("demo", why) from error


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the block as an exception, so that what it has started is ended too."""

    def end(number: int, _: object) -> NoReturn:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _record(camera: Camera, folder: Path, seconds: float) -> Recording:
    scene = StreetScene(
        camera.seed, frames=round(seconds * 12.5), view=camera.view, light=camera.light
    )
    path = folder / f"{camera.name}.mp4"
    return Recording(camera, path, scene.default_line, write_video(scene, path))


def configure(recordings: Sequence[Recording], out: Path) -> PipelineConfig:
    """The demo as a configuration."""
    streams: list[dict[str, Any]] = []
    for recording in recordings:
        start, end = recording.line
        streams.append(
            {
                "id": recording.camera.name,
                "source": {"kind": "file", "path": str(recording.path)},
                "lines": [{"name": LINE, "start": start, "end": end}],
            }
        )
    sinks = [
        {"kind": "jsonl", "path": str(out / "{stream_id}.jsonl")},
        {"kind": "video", "path": str(out / "{stream_id}.mp4")},
    ]
    return parse_config({"streams": streams, "sinks": sinks})


def _print(pairs: Sequence[tuple[Recording, StreamReport]], out: Path) -> None:
    table = Table(title="Counted beside the truth", title_justify="left")
    table.add_column("camera")
    for column in ("frames", "fps", "found", "false", "in", "out"):
        table.add_column(column, justify="right")
    table.add_column("crossings by class, counted/true")
    for recording, stream in pairs:
        messages = out / f"{stream.stream_id}.jsonl"
        found, false = compare(recording.truths, read_frames(messages))
        counted, true = _sides(stream), Counter(c.direction for c in recording.crossings)
        table.add_row(
            stream.stream_id,
            f"{stream.published}",
            f"{stream.fps:.1f}",
            f"{found:.0%}",
            f"{false:.0%}",
            f"{counted['in']}/{true['in']}",
            f"{counted['out']}/{true['out']}",
            _by_class(recording, stream),
        )
    console = Console()
    console.print(table)
    console.print(
        "found: true boxes with a detection of their class, IoU >= 0.5; "
        "false: detections without a true box",
        highlight=False,
    )
    console.print(f"videos and messages: {out}/", highlight=False)


def _sides(stream: StreamReport) -> Counter[str]:
    counted: Counter[str] = Counter()
    for (_, direction, _), count in stream.crossings.items():
        counted[direction] += count
    return counted


def _by_class(recording: Recording, stream: StreamReport) -> str:
    true = Counter(LABELS[crossing.class_id] for crossing in recording.crossings)
    counted: Counter[str] = Counter()
    for (_, _, label), count in stream.crossings.items():
        counted[label] += count
    names = [label for label in LABELS if true[label] or counted[label]]
    return ", ".join(f"{label} {counted[label]}/{true[label]}" for label in names) or "–"


def read_frames(path: Path) -> list[FrameMessage]:
    """The frame messages of a JSON lines file."""
    with path.open("rb") as lines:
        messages = [decode(line) for line in lines]
    return [message for message in messages if isinstance(message, FrameMessage)]


def compare(truths: Sequence[Truth], frames: Sequence[FrameMessage]) -> tuple[float, float]:
    """Share of true boxes found, and share of detections that are nothing; small and hidden true
    boxes (`Truth.ignore`) count for neither."""
    true = found = told = false = 0
    for frame in frames:
        truth = truths[frame.seq]
        shown = [d for d in frame.detections if d.score >= _SHOWN_SCORE]
        boxes = np.array([d.box for d in shown], np.float32).reshape(-1, 4)
        overlaps = iou_matrix(truth.xyxy.astype(np.float32), boxes) >= _FOUND_IOU
        same = truth.class_id[:, None] == np.array([d.class_id for d in shown], np.int32)[None]
        counts = ~truth.ignore
        true += int(counts.sum())
        found += int((overlaps & same)[counts].any(axis=1).sum())
        told += len(shown)
        false += int((~(overlaps & same).any(axis=0)).sum())
    return found / max(true, 1), false / max(told, 1)
