"""What is truly in a picture, and who truly crossed a line.

Conventions
- `xyxy` is the tight box of the drawn silhouette as it would be without occluders, clipped to the
  picture: x2, y2 are exclusive pixel edges, so 0 <= x1 < x2 <= width.
- `visibility` is the part of that silhouette (inside the picture) not covered by nearer things.
- `ignore` marks what no detector should be judged on: visibility below MIN_VISIBILITY, or a box
  whose longer side is under MIN_LONG_PX or shorter side under MIN_SHORT_PX.
- A motorcycle's box holds machine and riders together; a rider is not a person of their own.
- A crossing happens in the first frame in which the bottom centre of an object's box is more than
  MARGIN_PX away on the other side of the segment than before, the way between passing through the
  segment: a foot that swings over the line and back is no crossing.
  `in` is from the left of a -> b to its right as seen on the picture (y down): for a line drawn
  left to right, from above to below.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stages.sources.street.camera import F64, I32, I64

LABELS = ("person", "car", "motorcycle", "bus", "truck")
MIN_VISIBILITY = 0.25
MIN_LONG_PX = 12
MIN_SHORT_PX = 5
MARGIN_PX = 5.0

PicturePoint = tuple[float, float]
PictureLine = tuple[PicturePoint, PicturePoint]


@dataclass(frozen=True, slots=True)
class Truth:
    """Objects in one frame, parallel arrays of N: track_id i64, class_id i32, xyxy f64 (N, 4),
    visibility f64 in 0..1, ignore bool."""

    frame: int
    track_id: I64
    class_id: I32
    xyxy: F64
    visibility: F64
    ignore: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.track_id)


@dataclass(frozen=True, slots=True)
class Crossing:
    """One object over the line, in the frame where it is first seen on the other side."""

    frame: int
    track_id: int
    class_id: int
    direction: Literal["in", "out"]


def side(line: PictureLine, point: PicturePoint) -> float:
    """> 0 to the right of a -> b on a picture with y down, < 0 to the left, 0 on the line."""
    (ax, ay), (bx, by) = line
    return (bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)


def passes(line: PictureLine, before: PicturePoint, now: PicturePoint) -> bool:
    """Whether the way from `before` to `now`, on different sides, meets the segment itself."""
    a, b = line
    return side((before, now), a) * side((before, now), b) <= 0


def crossings(
    truths: Iterable[Truth], line: PictureLine, margin_px: float = MARGIN_PX
) -> list[Crossing]:
    """Every crossing of the segment, in frame order. Where an object is hidden or only a sliver at
    the picture's edge (`ignore`), its foot is not where it seems, and is left out."""
    length_px = math.dist(*line)
    last: dict[int, PicturePoint] = {}
    found: list[Crossing] = []
    for truth in truths:
        for row, ident in enumerate(truth.track_id.tolist()):
            if truth.ignore[row]:
                continue
            x1, _, x2, y2 = truth.xyxy[row].tolist()
            now = ((x1 + x2) / 2, y2)
            here = side(line, now)
            if abs(here) <= margin_px * length_px:
                continue
            before = last.get(ident)
            last[ident] = now
            if before is None or side(line, before) * here > 0 or not passes(line, before, now):
                continue
            way: Literal["in", "out"] = "in" if here > 0 else "out"
            found.append(Crossing(truth.frame, ident, int(truth.class_id[row]), way))
    return found
