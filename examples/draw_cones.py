"""A small labelled set of two things that no bundled model knows: traffic cones and parcels.

    python -m examples.draw_cones FOLDER [--pictures 160] [--seed 5]

Writes a YOLO folder (`data.yaml`, `images/`, `labels/`; a fifth of it is `val`), and `clip.mp4`, in
which things move by. It stands in for a set of your own in docs/finetune.md.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.core.arrays import U8

CLASSES = ("cone", "parcel")
WIDTH, HEIGHT = 480, 360
VAL_EVERY = 5
CLIP_FRAMES, CLIP_FPS = 60, 12


@dataclass(frozen=True)
class Thing:
    """One object: class, centre of its base and size in pixels, colour RGB."""

    class_id: int
    x: float
    base: float
    size: float
    colour: tuple[int, int, int]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """xyxy in pixels."""
        half = self.size * (0.35 if self.class_id == 0 else 0.6)
        return self.x - half, self.base - self.size, self.x + half, self.base


def scene(rng: np.random.Generator) -> list[Thing]:
    """One to five things, the nearer ones later."""
    things = []
    for _ in range(int(rng.integers(1, 6))):
        class_id = int(rng.integers(2))
        size = rng.uniform(28, 110)
        orange, brown = (235, 95, 25), (172, 128, 82)
        base = orange if class_id == 0 else brown
        red, green, blue = (int(np.clip(v + rng.normal(0, 18), 0, 255)) for v in base)
        x, floor = rng.uniform(60, WIDTH - 60), rng.uniform(HEIGHT * 0.55, HEIGHT - 8)
        things.append(Thing(class_id, x, floor, size, (red, green, blue)))
    return sorted(things, key=lambda thing: thing.base)


def draw(things: list[Thing], rng: np.random.Generator) -> U8:
    """(H, W, 3) uint8 RGB: a wall, a floor, and the things on it."""
    wall, floor = rng.uniform(60, 220, (2, 1)) + rng.normal(0, 10, (2, 3))
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = np.clip(wall, 0, 255)
    image[int(HEIGHT * rng.uniform(0.35, 0.5)) :] = np.clip(floor, 0, 255)
    for thing in things:
        (_cone if thing.class_id == 0 else _parcel)(image, thing)
    noisy = cv2.GaussianBlur(image, (0, 0), 0.8) + rng.normal(0, 4, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _cone(image: U8, thing: Thing) -> None:
    left, top, right, bottom = thing.box
    foot = bottom - thing.size * 0.1
    middle = (left + right) / 2
    body = [(middle - 3, top), (middle + 3, top), (right - 6, foot), (left + 6, foot)]
    cv2.fillPoly(image, [np.rint(body).astype(np.int32)], thing.colour, cv2.LINE_AA)
    cv2.rectangle(image, *_corners(left, foot, right, bottom), thing.colour, -1)
    for share in (0.35, 0.62):
        y = top + thing.size * share
        half = (right - left) / 2 * share * 0.8
        band = _corners(middle - half, y, middle + half, y + thing.size * 0.1)
        cv2.rectangle(image, *band, (240, 240, 240), -1)


def _parcel(image: U8, thing: Thing) -> None:
    left, top, right, bottom = thing.box
    darker = tuple(int(v * 0.72) for v in thing.colour)
    cv2.rectangle(image, *_corners(left, top, right, bottom), thing.colour, -1)
    side = _corners(left + (right - left) * 0.7, top, right, bottom)
    cv2.rectangle(image, *side, darker, -1)
    tape = _corners(left, top + thing.size * 0.45, right, top + thing.size * 0.55)
    cv2.rectangle(image, *tape, (205, 185, 140), -1)


def _corners(*xyxy: float) -> tuple[tuple[int, int], tuple[int, int]]:
    left, top, right, bottom = (round(v) for v in xyxy)
    return (left, top), (right, bottom)


def label(thing: Thing) -> str:
    """A line of a YOLO label file: class, centre and size as shares of the picture."""
    left, top, right, bottom = np.clip(thing.box, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    centre = ((left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT)
    size = ((right - left) / WIDTH, (bottom - top) / HEIGHT)
    return " ".join([str(thing.class_id), *(f"{v:.6f}" for v in (*centre, *size))])


def write_pictures(folder: Path, pictures: int, seed: int) -> None:
    """The YOLO folder; the same arguments give the same pictures."""
    rng = np.random.default_rng(seed)
    for number in range(pictures):
        split = "val" if number % VAL_EVERY == VAL_EVERY - 1 else "train"
        things = scene(rng)
        image, text = (folder / kind / split / f"{number:04d}" for kind in ("images", "labels"))
        for path in (image, text):
            path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(f"{image}.jpg", cv2.cvtColor(draw(things, rng), cv2.COLOR_RGB2BGR))
        Path(f"{text}.txt").write_text("\n".join(map(label, things)) + "\n")
    names = "".join(f"  - {name}\n" for name in CLASSES)
    (folder / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{names}")


def clip(seed: int) -> Iterator[U8]:
    """Frames in which things go by from left to right."""
    rng = np.random.default_rng([seed, 1])
    things = scene(rng) + scene(rng)
    for number in range(CLIP_FRAMES):
        moved = [
            Thing(t.class_id, (t.x + 5 * number) % (WIDTH + 120) - 60, t.base, t.size, t.colour)
            for t in things
        ]
        yield draw(moved, np.random.default_rng([seed, 2]))


def write_clip(path: Path, seed: int) -> None:
    """The clip as H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=CLIP_FPS, options={"crf": "23"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for image in clip(seed):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw cones and parcels with labels.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=160)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    write_pictures(arguments.folder, arguments.pictures, arguments.seed)
    write_clip(arguments.folder / "clip.mp4", arguments.seed)


if __name__ == "__main__":
    main()
