"""Draws the two pictures on which an engine proves itself, `detectors/yolo_nas/proof_pictures/`.

    python -m benchmarks.proof_pictures [--out FOLDER]

Frames of the synthetic street: people and vehicles by day, and large ones by night. Five bits a
channel, as PNG: small, and decoded to the same bytes everywhere. Whoever draws them anew exports
the models anew, for a proof holds for its pictures alone.
"""

import argparse
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from detectors.yolo_nas.proof import PICTURES
from pipeline.core.arrays import U8
from stages.sources.street.mood import Light
from stages.sources.street.scene import StreetScene
from stages.sources.street.views import View

SIZE_PX = (320, 180)
DRAWN_PX = (640, 360)
KEPT_BITS = 0xF8

SCENES: dict[str, tuple[View, Light, int, int]] = {
    "day.png": ("street", "day", 3, 6),
    "night.png": ("pavement", "night", 1, 2),
}
"""File -> view, light, seed, number of the frame at one frame a second."""


def draw(view: View, light: Light, seed: int, number: int) -> U8:
    """One frame, (180, 320, 3) RGB."""
    scene = StreetScene(seed, *DRAWN_PX, fps=1.0, frames=number + 1, view=view, light=light)
    image, _ = next(islice(scene.frames(), number, None))
    small = np.asarray(cv2.resize(image, SIZE_PX, interpolation=cv2.INTER_AREA), np.uint8)
    return small & np.uint8(KEPT_BITS)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the pictures of the check at start.")
    parser.add_argument("--out", type=Path, default=PICTURES)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, scene in SCENES.items():
        path = arguments.out / name
        cv2.imwrite(str(path), draw(*scene)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
