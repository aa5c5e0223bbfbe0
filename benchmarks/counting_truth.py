"""Objects of which the truth itself cannot tell whether they cross a line."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from stages.sources.street import Truth
from stages.sources.street.truth import MARGIN_PX, PictureLine, PicturePoint, side

END_PX = 6.0
"""A way that passes so near an end of the line passes it on either side, by rounding."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One object in one frame: its foot, its distance from the line (signed, endless line), and
    whether the picture's edge cuts its box, so that its foot is not where it seems."""

    foot: PicturePoint
    distance_px: float
    cut: bool


def undecided(truths: Sequence[Truth], line: PictureLine) -> set[int]:
    """Ids of objects that

    - change sides within END_PX of an end of the line;
    - change sides while the picture's edge cuts their box, or in the frame after;
    - are in the picture for the first or last time within the margin of the line, so that nobody
      sees them on both sides of it.
    """
    ways = _ways(truths, line)
    return {ident for ident, way in ways.items() if _unclear(way, line)}


def _ways(truths: Sequence[Truth], line: PictureLine) -> dict[int, list[_Step]]:
    length_px = math.dist(*line)
    right = max((float(t.xyxy[:, 2].max(initial=0)) for t in truths), default=0.0)
    low = max((float(t.xyxy[:, 3].max(initial=0)) for t in truths), default=0.0)
    ways = defaultdict[int, list[_Step]](list)
    for truth in truths:
        for ident, (x1, y1, x2, y2) in zip(
            truth.track_id.tolist(), truth.xyxy.tolist(), strict=True
        ):
            foot = ((x1 + x2) / 2, y2)
            cut = x1 <= 0 or y1 <= 0 or x2 >= right or y2 >= low
            ways[ident].append(_Step(foot, side(line, foot) / length_px, cut))
    return ways


def _unclear(way: list[_Step], line: PictureLine) -> bool:
    if _near(way[0], line) or _near(way[-1], line):
        return True
    for before, now in pairwise(way):
        if before.distance_px * now.distance_px > 0:
            continue
        if before.cut or now.cut:
            if _distance(line, before.foot, now.foot) < END_PX + MARGIN_PX:
                return True
        elif min(_gap(end, before.foot, now.foot) for end in line) < END_PX:
            return True
    return False


def _near(step: _Step, line: PictureLine) -> bool:
    return _gap(step.foot, *line) < MARGIN_PX


def _distance(line: PictureLine, a: PicturePoint, b: PicturePoint) -> float:
    """From the ends of a step to the line itself, px."""
    return min(_gap(a, *line), _gap(b, *line))


def _gap(point: PicturePoint, a: PicturePoint, b: PicturePoint) -> float:
    """From a point to a segment, px."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length2 = dx * dx + dy * dy
    share = 0.0 if length2 == 0 else ((point[0] - a[0]) * dx + (point[1] - a[1]) * dy) / length2
    share = min(max(share, 0.0), 1.0)
    return math.dist(point, (a[0] + share * dx, a[1] + share * dy))
