"""Training pictures of synthetic streets: `python -m stages.sources.street.dataset --out DIR`.

Writes `train/` and `val/` WebP pictures and `index.jsonl`, one object a line: image, split,
source, width, height, labelled (class indices annotated at all), boxes [class, x1, y1, x2, y2]
in pixels. Objects that the truth marks `ignore` have no box.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stages.sources.street.camera import U8
from stages.sources.street.mood import Light, Weather
from stages.sources.street.scene import StreetScene
from stages.sources.street.truth import LABELS, Truth
from stages.sources.street.views import VIEWS, View

VIEW_SHARE = (0.22, 0.2, 0.17, 0.17, 0.16, 0.08)
VAL_EVERY = 7
SMALLEST = 320
MIN_BOX_PX = 5.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One scene of the set: what to build and how many pictures to take of it."""

    scene_seed: int
    split: str
    view: View
    light: Light
    weather: Weather
    density: float
    pictures: int
    longest_px: int


def plan(pictures: int, seed: int, size: int) -> Iterator[Shot]:
    """Scenes until there are enough pictures; every seventh is validation, all seeds differ."""
    rng = np.random.default_rng(seed)
    taken = number = 0
    while taken < pictures:
        count = min(int(rng.integers(2, 7)), pictures - taken)
        light: Light = rng.choice(["day", "dusk", "night"], p=[0.62, 0.16, 0.22])
        weather: Weather = rng.choice(
            ["clear", "overcast", "rain", "fog", "snow"], p=[0.5, 0.25, 0.12, 0.08, 0.05]
        )
        yield Shot(
            scene_seed=seed * 1_000_000 + number,
            split="val" if number % VAL_EVERY == VAL_EVERY - 1 else "train",
            view=VIEWS[int(rng.choice(len(VIEWS), p=VIEW_SHARE))],
            light=light,
            weather=weather,
            density=float(rng.uniform(0.5, 1.5)),
            pictures=count,
            longest_px=int(rng.integers(SMALLEST, size + 1)),
        )
        taken, number = taken + count, number + 1


def take(shot: Shot) -> Iterator[tuple[U8, Truth, float]]:
    """The pictures of one scene, 1.6 s apart, with the factor from truth to picture."""
    width, height = ((640, 360), (640, 480), (480, 480))[shot.scene_seed % 3]
    scene = StreetScene(
        shot.scene_seed, width, height, fps=1 / 1.6, frames=shot.pictures, view=shot.view,
        light=shot.light, weather=shot.weather, density=shot.density,
    )  # fmt: skip
    factor = min(1.0, shot.longest_px / max(width, height))
    for image, truth in scene.frames():
        size = (round(width * factor), round(height * factor))
        yield np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)), truth, factor


def entry(name: str, split: str, image: U8, truth: Truth, factor: float) -> dict[str, Any]:
    """One line of the index."""
    boxes = [
        [int(class_id), *(round(v, 1) for v in (box * factor).tolist())]
        for class_id, box, skip in zip(truth.class_id, truth.xyxy, truth.ignore, strict=True)
        if not skip and (box[2:] - box[:2]).min() * factor >= MIN_BOX_PX
    ]
    height, width = image.shape[:2]
    return {
        "image": name, "split": split, "source": "street", "width": width, "height": height,
        "labelled": list(range(len(LABELS))), "boxes": boxes,
    }  # fmt: skip


def write(out: Path, pictures: int, seed: int, size: int) -> None:
    """Writes the whole set; an index from an earlier run is replaced."""
    for split in ("train", "val"):
        (out / split).mkdir(parents=True, exist_ok=True)
    quality = np.random.default_rng([seed, 2])
    with (out / "index.jsonl").open("w", encoding="utf-8") as index:
        for shot in plan(pictures, seed, size):
            for number, (image, truth, factor) in enumerate(take(shot)):
                name = f"{shot.split}/street_{shot.view}_{shot.scene_seed}_{number}.webp"
                level = [cv2.IMWRITE_WEBP_QUALITY, int(quality.integers(84, 93))]
                cv2.imwrite(str(out / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), level)
                index.write(json.dumps(entry(name, shot.split, image, truth, factor)) + "\n")
            index.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description="Write training pictures of synthetic streets.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--size", type=int, default=448, help="longest side at most, pixels")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    write(args.out, args.pictures, args.seed, args.size)


if __name__ == "__main__":
    main()
