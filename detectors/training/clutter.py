"""Drawn things that are nobody: bottles, vases, posts and boxes, as pictures without a label.

    python -m detectors.training.clutter --out build/clutter --pictures 600 --seed 3

A network that has only seen streets takes an upright bottle for a person. The pictures are in the
format of `detectors.training.data`, with all classes labelled and no box.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from pipeline.core.arrays import F64, U8, Bool

SIDES_PX = ((544, 306), (544, 408), (480, 480))
GLASS_SHARE = 0.4
"""The share of things of nearly no colour that the room shows through."""
ROW_SHARE = 0.4
"""The share of pictures with a row of equal things, as bottles are set up."""
CLASSES = 5


def picture(rng: np.random.Generator) -> U8:
    """One picture (H, W, 3) uint8 BGR: a wall, a surface, and one to six things on it."""
    width, height = SIDES_PX[int(rng.integers(len(SIDES_PX)))]
    image = _room(rng, width, height)
    things = int(rng.integers(1, 7))
    if rng.uniform() < ROW_SHARE:
        _row(rng, image, things)
    else:
        for _ in range(things):
            _put(rng, image, _thing(rng, width, height))
    blurred = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.2)))
    noisy = blurred + rng.normal(0, rng.uniform(0, 6), blurred.shape)
    finished: U8 = np.clip(noisy, 0, 255).astype(np.uint8)
    return finished


def _thing(rng: np.random.Generator, width: int, height: int) -> F64:
    """(N, 2) points of one thing, somewhere in a picture of that size."""
    tall = int(height * rng.uniform(0.15, 0.85))
    wide = max(6, int(tall * rng.uniform(0.18, 0.5)))
    left = int(rng.uniform(-wide / 3, width - wide * 2 / 3))
    bottom = int(height * rng.uniform(0.55, 1.05))
    placed: F64 = _outline(rng, wide, tall) + np.array([left, bottom - tall])
    return placed


def _row(rng: np.random.Generator, image: F64, things: int) -> None:
    """Paint one thing as often beside itself as there is room, each in nearly the same paint."""
    height, width, _ = image.shape
    outline = _thing(rng, width, height)
    wide = np.ptp(outline[:, 0])
    step = float(wide * rng.uniform(1.1, 3.5))
    outline -= [outline[:, 0].min() - rng.uniform(-wide / 3, step), 0]
    paint = int(rng.integers(1 << 32))
    for number in range(things):
        place = np.array([number * step, rng.uniform(-3, 3)])
        _put(np.random.default_rng(paint), image, outline + place)


def _room(rng: np.random.Generator, width: int, height: int) -> F64:
    """A shaded wall above a surface."""
    wall, table = rng.uniform(40, 235, (2, 3)) * 0.3 + rng.uniform(40, 235, (2, 1)) * 0.7
    image = np.empty((height, width, 3))
    image[:] = wall
    edge = int(height * rng.uniform(0.45, 1.0))
    image[edge:] = table
    shade = np.linspace(rng.uniform(0.7, 1.0), rng.uniform(0.7, 1.1), width)
    return image * shade[None, :, None]


def _outline(rng: np.random.Generator, width: int, height: int) -> F64:
    """(N, 2) points of a thing that is the same on its left and right, top at y = 0."""
    kind = rng.choice(["bottle", "vase", "post"], p=[0.7, 0.2, 0.1])
    down = np.linspace(0, 1, 24)
    if kind == "bottle":
        neck, shoulder = rng.uniform(0.2, 0.5), rng.uniform(0.15, 0.45)
        half = np.interp(down, [0, shoulder * 0.5, shoulder, 0.93, 1], [neck, neck, 1, 1, 0.85])
    elif kind == "vase":
        half = np.clip(0.65 + 0.35 * np.sin(down * rng.uniform(3, 9) + rng.uniform(0, 6)), 0.2, 1)
    else:
        half = np.full_like(down, 1.0)
    half = half * width / 2
    right = np.stack([width / 2 + half, down * height], axis=1)
    left = np.stack([width / 2 - half, down * height], axis=1)[::-1]
    return np.concatenate([right, left])


def _put(rng: np.random.Generator, image: F64, outline: F64) -> None:
    """Paint a thing: see-through or solid, rounded by light, often with a cap or a label."""
    height, width, _ = image.shape
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 255, cv2.LINE_AA)
    glass = rng.uniform() < GLASS_SHARE
    alpha = (mask / 255.0 * (rng.uniform(0.15, 0.5) if glass else rng.uniform(0.35, 1.0)))[
        ..., None
    ]
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    across = np.clip((np.arange(width) - left) / max(right - left, 1), 0, 1)
    light = 0.55 + 0.6 * np.sin(np.pi * across) ** rng.uniform(0.3, 1.5)
    colour = rng.uniform(60, 200) + rng.uniform(-25, 25, 3) if glass else rng.uniform(20, 240, 3)
    image[:] = image * (1 - alpha) + colour * light[None, :, None] * alpha
    rows = np.arange(height)
    cap = rows < top + (bottom - top) * rng.uniform(0.05, 0.12)
    band = (rows > top + (bottom - top) * 0.5) & (
        rows < top + (bottom - top) * rng.uniform(0.55, 0.8)
    )
    level = rng.uniform(0.35, 0.9)
    water = (rows > top + (bottom - top) * level) & (rows < bottom - (bottom - top) * 0.02)
    if rng.uniform() < 0.5:
        over = mask.astype(bool) & water[:, None]
        tint = rng.uniform(60, 250, 3)
        image[over] = image[over] * 0.45 + tint * 0.55
        _glints(rng, image, over)
    for part, chance in ((cap, 0.7), (band, 0.4)):
        if rng.uniform() < chance:
            over = mask.astype(bool) & part[:, None]
            image[over] = (rng.uniform(20, 240, 3) * light[None, :, None])[0][np.nonzero(over)[1]]


def _glints(rng: np.random.Generator, image: F64, within: Bool) -> None:
    """Dark and bright specks, mostly low down, as water and glass throw them."""
    rows, columns = np.nonzero(within)
    if len(rows) == 0:
        return
    for _ in range(int(rng.integers(2, 9))):
        n = int(len(rows) * rng.uniform(0.5, 1.0) ** 0.3) - 1
        middle = (int(columns[n]), int(rows[n]))
        axes = (int(rng.integers(1, 7)), int(rng.integers(1, 4)))
        speck = np.zeros(within.shape, np.uint8)
        cv2.ellipse(speck, middle, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
        alpha = (speck / 255.0 * within)[..., None]
        image[:] = image * (1 - alpha) + rng.choice([30.0, 245.0]) * alpha


def write(out: Path, pictures: int, seed: int) -> None:
    """Write the pictures and their index; the same arguments give the same files."""
    rng = np.random.default_rng(seed)
    (out / "train").mkdir(parents=True, exist_ok=True)
    with (out / "index.jsonl").open("w", encoding="utf-8") as index:
        for number in range(pictures):
            image = picture(rng)
            name = f"train/clutter_{number}.webp"
            cv2.imwrite(str(out / name), image, [cv2.IMWRITE_WEBP_QUALITY, 90])
            height, width, _ = image.shape
            entry = {
                "image": name,
                "split": "train",
                "source": "clutter",
                "width": width,
                "height": height,
                "labelled": list(range(CLASSES)),
                "boxes": [],
            }
            index.write(json.dumps(entry) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw pictures of things that are nobody.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    write(arguments.out, arguments.pictures, arguments.seed)


if __name__ == "__main__":
    main()
