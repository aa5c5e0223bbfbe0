"""Average precision of a model on frames of real video that were labelled by eye.

    python -m benchmarks.labelled_clips CLIPS_FOLDER [--model yolo_nas_n] [--json FILE]

The labels are in `benchmarks/clips`, which says how they came about; the clips are not part of the
project. Where the labels say `ignore`, nothing need be found, and what lies mostly within is no
mistake. A class of which a group has no box has no figure there.
"""

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from detectors.evaluation import EVALUATION_RULE, Found, Truth, evaluate
from detectors.yolo_nas.predict.predictor import YoloNAS
from pipeline.core.arrays import U8
from stages.sources.file import FileSource

LABELS = Path(__file__).with_name("clips") / "labels.jsonl"
CLASS_NAMES = ("person", "car", "motorcycle", "bus", "truck")
GROUPS = {
    "people": "one-by-one-person-detection.mp4",
    "cars": "car-detection.mp4",
    "jamcam": "jamcam/",
    "all": "",
}  # each the clips whose path begins so


@dataclass(frozen=True, slots=True)
class LabelledFrame:
    """What is in the frame-th picture, from 0, of a clip (a path below the folder of clips)."""

    clip: str
    frame: int
    truth: Truth


def read_labels(path: Path = LABELS) -> list[LabelledFrame]:
    """All labelled frames, in the order of the file."""
    with path.open(encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines]
    return [LabelledFrame(e["clip"], e["frame"], _truth(e["boxes"], e["ignore"])) for e in entries]


def _truth(boxes: list[list[float]], ignore: list[list[float]]) -> Truth:
    """A region to ignore is one for every class."""
    classes = range(len(CLASS_NAMES))
    rows = [*boxes, *([class_id, *region] for region in ignore for class_id in classes)]
    table = np.array(rows, np.float32).reshape(-1, 5)
    crowd = np.arange(len(rows)) >= len(boxes)
    return Truth(table[:, 1:], table[:, 0].astype(np.int64), tuple(classes), crowd=crowd)


def find(model: YoloNAS, image: U8) -> Found:
    """What a model finds in a picture (H, W, 3) uint8 RGB, down to the lowest scores."""
    tensor, (way_back,) = model.processing.prepare_batch([image])
    boxes, scores = model.network(tensor)
    xyxy, score, class_id = model.processing.finish(boxes[0], scores[0], EVALUATION_RULE)
    return Found(way_back.to_source(xyxy), score, class_id)


def _pictures(clip: Path, wanted: set[int]) -> Iterator[tuple[int, U8]]:
    """The wanted pictures of a clip, each with its place in decoding order."""
    frames = islice(FileSource("clip", clip).frames(), max(wanted) + 1)
    return ((n, frame.image) for n, frame in enumerate(frames) if n in wanted)


def find_all(model: YoloNAS, folder: Path, frames: Sequence[LabelledFrame]) -> list[Found]:
    """What a model finds in each frame; every clip is decoded once."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for frame in frames:
        wanted[frame.clip].add(frame.frame)
    found = {
        (clip, n): find(model, image)
        for clip, places in wanted.items()
        for n, image in _pictures(folder / clip, places)
    }
    return [found[frame.clip, frame.frame] for frame in frames]


def measure(folder: Path, model: str) -> dict[str, dict[str, Any]]:
    """By group of clips: how many frames, and boxes and average precision of each class."""
    network = YoloNAS.load(model)
    if network.class_names != CLASS_NAMES:
        raise SystemExit(f"{model}: its classes are {network.class_names}, not {CLASS_NAMES}")
    frames = read_labels()
    found = find_all(network, folder, frames)
    figures = {}
    for group, start in GROUPS.items():
        of_group = [n for n, frame in enumerate(frames) if frame.clip.startswith(start)]
        truths = [frames[n].truth for n in of_group]
        figures[group] = _figures([found[n] for n in of_group], truths)
    return figures


def _figures(found: Sequence[Found], truths: Sequence[Truth]) -> dict[str, Any]:
    metrics = evaluate(found, truths, len(CLASS_NAMES))
    ids = np.concatenate([t.class_id[~t.crowd] for t in truths if t.crowd is not None])
    boxes = np.bincount(ids, minlength=len(CLASS_NAMES)).tolist()
    ap50 = [None if math.isnan(value) else round(float(value), 4) for value in metrics.ap50]
    return {
        "frames": len(truths),
        "map50": round(metrics.map50, 4),
        "map50_95": round(metrics.map50_95, 4),
        "boxes": dict(zip(CLASS_NAMES, boxes, strict=True)),
        "ap50": dict(zip(CLASS_NAMES, ap50, strict=True)),
    }


def _table(figures: dict[str, dict[str, Any]]) -> Iterator[str]:
    """A row of average precisions at IoU 0.5 for each group, the count of boxes after each."""
    yield "".join(f"{head:<17}" for head in ("AP50 (boxes)", *CLASS_NAMES, "mean"))
    for group, row in figures.items():
        cells = [f"{group}, {row['frames']} frames"]
        for name in CLASS_NAMES:
            value, boxes = row["ap50"][name], row["boxes"][name]
            cells.append("-" if value is None else f"{value:.3f} ({boxes})")
        yield "".join(f"{cell:<17}" for cell in (*cells, f"{row['map50']:.3f}"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy on labelled frames of video clips.")
    parser.add_argument("clips", type=Path, help="folder with the clips")
    parser.add_argument("--model", default="yolo_nas_n")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = measure(arguments.clips, arguments.model)
    print("\n".join(_table(figures)))
    if arguments.json:
        result = {"machine": describe(), "model": arguments.model, "groups": figures}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
