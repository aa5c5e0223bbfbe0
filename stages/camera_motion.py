"""How the camera moved between two frames, from what stands still in their pictures.

Small grey pictures are compared, outside of the boxes of what was detected:

- `flow`: corners (Shi and Tomasi, CVPR 1994) are followed by sparse optical flow (Lucas and Kanade
  in pyramids; Bouguet, 2000), and the motion that most of them share is taken (RANSAC).
- `ecc`: the pictures are laid over each other so that they correlate best (Evangelidis and
  Psarakis, TPAMI 2008). For scenes without corners; for slow cameras only.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from pipeline.core.arrays import F32, F64, U8
from stages.camera_align import Alignment, affine_by_correlation, affine_by_flow

Method = Literal["flow", "ecc"]
Outcome = Literal["found", "first", "plain", "unsure", "cut", "huge"]
"""`found`; or why the motion is unknown: nothing to compare with (`first`, also after a change of
size), too little structure (`plain`: dark, textureless, or all covered by boxes), no motion that
enough of the picture shares (`unsure`), another scene (`cut`), or more than a camera does between
two frames (`huge`)."""

_LEAST_SHARE: dict[Method, float] = {"flow": 0.4, "ecc": 0.6}
_LEAST_CONTRAST = 2.0
_MOST_ZOOM, _MOST_TURN, _MOST_SHIFT = 1.4, 0.35, 0.35
_CUT_SIZE = (16, 9)
_LIKE = 0.5


@dataclass(frozen=True, slots=True)
class CameraStep:
    """The camera's motion up to one frame.

    - `affine` (2, 3) float64: pixels of the frame before -> pixels of this one, in coordinates of
      boxes, where the first pixel covers 0 to 1. Identity unless `outcome` is `found`.
    - `confidence` in [0, 1]: the share of the followed corners that agree, or the correlation. 0
      where nothing was found.
    """

    affine: F64
    confidence: float
    outcome: Outcome

    @property
    def known(self) -> bool:
        """True if `affine` was measured."""
        return self.outcome == "found"


@dataclass(frozen=True, slots=True)
class _Still:
    """What is remembered of a frame."""

    grey: U8
    free: U8
    size: tuple[int, int]

    @property
    def contrast(self) -> float:
        return float(cv2.meanStdDev(self.grey)[1][0, 0])


class CameraMotion:
    """Follows the camera of one stream; one caller. Frames may be left out in between.

    `longest_px`: the longer side of the pictures that are compared, at least 64; about that of the
    network's input is enough. Raises `ValueError` for less.
    """

    def __init__(self, method: Method = "flow", longest_px: int = 416) -> None:
        if longest_px < 64:
            raise ValueError(f"CameraMotion: longest_px {longest_px} is less than 64")
        self.outcomes_total: Counter[Outcome] = Counter()
        """Frames by outcome, over all epochs."""
        self._method: Method = method
        self._longest_px = longest_px
        self._before: _Still | None = None

    def reset(self) -> None:
        """Forget the last frame, at a gap: the next one is `first`."""
        self._before = None

    def estimate(self, image: U8, boxes: F32) -> CameraStep:
        """The next picture (H, W, 3) uint8 RGB, which is not kept, and the boxes (N, 4) of what was
        found in it. Boxes may lie outside of the picture; those that are not finite are ignored."""
        now = self._still(image, boxes)
        before, self._before = self._before, now
        if before is None or before.size != now.size:
            return self._step("first")
        found = self._align(before, now)
        if found is None:
            return self._step("cut" if _other_scene(before.grey, now.grey) else "plain")
        if found.share < _LEAST_SHARE[self._method] or not found.spread:
            return self._step("cut" if _other_scene(before.grey, now.grey) else "unsure")
        rows, columns = now.grey.shape
        if _is_huge(found.affine, (columns, rows)):
            return self._step("huge")
        height, width = now.size
        return self._step(
            "found", _in_source(found.affine, width / columns, height / rows), found.share
        )

    def _align(self, before: _Still, now: _Still) -> Alignment | None:
        if min(now.contrast, before.contrast) < _LEAST_CONTRAST:
            return None
        align = affine_by_flow if self._method == "flow" else affine_by_correlation
        return align(before.grey, now.grey, before.free, now.free)

    def _step(
        self, outcome: Outcome, affine: F64 | None = None, confidence: float = 0.0
    ) -> CameraStep:
        self.outcomes_total[outcome] += 1
        return CameraStep(np.eye(2, 3) if affine is None else affine, confidence, outcome)

    def _still(self, image: U8, boxes: F32) -> _Still:
        height, width, _ = image.shape
        shrink = min(1.0, self._longest_px / max(height, width))
        columns, rows = max(1, round(width * shrink)), max(1, round(height * shrink))
        grey = _shrunk(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8), columns, rows)
        return _Still(grey, _free(boxes, (rows, columns), (height, width)), (height, width))


def _shrunk(grey: U8, columns: int, rows: int) -> U8:
    """A grey picture of that size. Of a large one the mean of four samples per pixel: the mean of
    all would take longer than all the rest."""
    if grey.shape[0] > 2 * rows:
        grey = _resized(grey, 2 * columns, 2 * rows, cv2.INTER_LINEAR)
    return _resized(grey, columns, rows, cv2.INTER_AREA)


def _resized(grey: U8, columns: int, rows: int, how: int) -> U8:
    return np.asarray(cv2.resize(grey, (columns, rows), interpolation=how), np.uint8)


def _free(boxes: F32, shape: tuple[int, int], size: tuple[int, int]) -> U8:
    """(rows, columns): 255 outside of the boxes, 0 in them and one pixel around."""
    free = np.full(shape, 255, np.uint8)
    rows, columns = shape
    sound = boxes[np.isfinite(boxes).all(axis=1)].astype(np.float64)
    sound *= np.array([columns / size[1], rows / size[0]] * 2)
    edges = np.clip(sound, -1, max(shape) + 1)
    low = np.maximum(np.floor(edges[:, :2]).astype(np.int64) - 1, 0)
    high = np.maximum(np.ceil(edges[:, 2:]).astype(np.int64) + 1, 0)
    for (left, top), (right, bottom) in zip(low.tolist(), high.tolist(), strict=True):
        free[top:bottom, left:right] = 0
    return free


def _in_source(affine: F64, wide: float, high: float) -> F64:
    """From centres of small pixels to coordinates of boxes in a picture so many times larger."""
    linear, shift = affine[:, :2], affine[:, 2]
    scale = np.array([wide, high])
    half = np.array([0.5, 0.5])
    out = np.empty((2, 3))
    out[:, :2] = linear * scale[:, None] / scale[None, :]
    out[:, 2] = scale * (shift + half - linear @ half)
    return out


def _is_huge(affine: F64, size: tuple[int, int]) -> bool:
    linear = affine[:, :2]
    zoom = float(np.sqrt(abs(np.linalg.det(linear))))
    turn = float(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))
    centre = np.array(size) / 2
    shift = np.abs(linear @ centre + affine[:, 2] - centre) / np.array(size)
    return (
        not 1 / _MOST_ZOOM < zoom < _MOST_ZOOM
        or abs(turn) > _MOST_TURN
        or bool((shift > _MOST_SHIFT).any())
    )


def _other_scene(before: U8, now: U8) -> bool:
    """Whether the pictures have little in common even as thumbnails, of which at least one shows
    something."""
    one, other = (
        np.asarray(cv2.resize(grey, _CUT_SIZE, interpolation=cv2.INTER_AREA), np.float64)
        for grey in (before, now)
    )
    one, other = one - one.mean(), other - other.mean()
    contrast, other_contrast = float(one.std()), float(other.std())
    if max(contrast, other_contrast) < _LEAST_CONTRAST:
        return False
    norm = contrast * other_contrast
    return norm == 0 or float((one * other).mean()) < _LIKE * norm
