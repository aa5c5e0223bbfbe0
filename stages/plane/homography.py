"""The homography from points of the picture to points of the ground, and how far a pixel goes
there.

R. Hartley, A. Zisserman: Multiple View Geometry in Computer Vision, 2nd edition 2004. A plane and
its picture by a pinhole camera are related by a 3x3 matrix H in homogeneous coordinates (section
2.3): (X, Y) = (h1.p, h2.p) / h3.p with p = (x, y, 1). h3.p is 0 on the horizon, the picture of the
plane's line at infinity, and has one sign on all that is in front of the camera.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Final, Self

import numpy as np

from pipeline.core.arrays import F64, Bool

LEAST_POINTS: Final = 4
_LEAST_TRIANGLE: Final = 0.005
"""Twice the area of three of four points, as a share of the square of their spread."""
_THINNEST: Final = 0.005
_LEAST_SPREAD: Final = 1e-9
_FARTHEST: Final = 1e9
"""Whatever points are measured in, beyond this nothing can be meant, and squares overflow."""
_WORST_CONDITION: Final = 1e-4
_STEPS: Final = 20
_HORIZON: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Homography:
    """`matrix` (3, 3) float64 maps picture points in pixels to plane points in metres, scaled so
    that the third component is 1 in the middle of the points it was made of, and above 0 in front
    of the horizon. `residual_px` is how far the points are off, root mean square in the picture."""

    matrix: F64
    residual_px: float = 0.0

    @classmethod
    def fit(cls, picture: F64, plane: F64) -> Self:
        """Fit the matrix to (N, 2) pixels and (N, 2) metres, N >= 4. Exact for four; for more,
        squares of distances in the picture are least.

        The normalised direct linear transformation (Hartley & Zisserman, algorithm 4.2), then
        Gauss-Newton steps on the error in one image (section 4.2.3, equation 4.6). Raises
        `ValueError` where the points say nothing, or what no camera can see.
        """
        check_spread(picture, "picture")
        check_spread(plane, "plane")
        to_picture = _refined(_linear(plane, picture), plane, picture)
        matrix = _inverse(to_picture)
        middle = float(_depths(matrix, picture.mean(axis=0)[None])[0])
        # of as many points on both sides, the middle can be on the horizon itself
        _check_in_front(_depths(matrix, picture) / (middle or 1.0))
        return cls(matrix / middle, _rms(_mapped(to_picture, plane) - picture))

    def depth(self, points: F64) -> F64:
        """The depth (N,) of (N, 2) pixels: 1 in the middle of the points of the fit, 0 on the
        horizon, below 0 beyond it."""
        return _depths(self.matrix, points)

    def in_front(self, points: F64) -> Bool:
        """The (N,) bool of which pixels show the plane at all."""
        return np.asarray(self.depth(points) > _HORIZON)

    def to_plane(self, points: F64) -> F64:
        """Map (N, 2) pixels -> (N, 2) metres; meaningless where not `in_front`."""
        return _mapped(self.matrix, points)

    def to_picture(self, points: F64) -> F64:
        """Map (N, 2) metres -> (N, 2) pixels."""
        return _mapped(_inverse(self.matrix), points)

    def jacobian(self, points: F64, plane: F64) -> F64:
        """The (N, 2, 2) metres per pixel at (N, 2) pixels whose (N, 2) `to_plane` is `plane`:
        [[dX/dx, dX/dy], [dY/dx, dY/dy]]."""
        turned = self.matrix[None, :2, :2] - plane[:, :, None] * self.matrix[2, :2]
        found: F64 = turned / self.depth(points)[:, None, None]
        return found


def check_spread(points: F64, where: str) -> None:
    """Raise `ValueError` unless (N, 2) points span a plane: N >= 4, no two the same, and of four no
    three on a line."""
    if len(points) < LEAST_POINTS:
        raise ValueError(f"{len(points)} points: a plane needs {LEAST_POINTS} at least")
    for number, point in enumerate(points.tolist(), 1):
        if not all(abs(value) < _FARTHEST for value in point):  # NaN is no less
            raise ValueError(f"point {number} is nowhere in the {where}: {point}")
    if np.ptp(points, axis=0).max() < _LEAST_SPREAD:
        raise ValueError(f"all points are the same in the {where}: {points[0].tolist()}")
    spread_2 = float(np.square(points - points.mean(axis=0)).sum(axis=1).max())
    for one, other in combinations(range(len(points)), 2):
        if np.square(points[one] - points[other]).sum() <= 1e-9 * spread_2:
            raise ValueError(
                f"points {one + 1} and {other + 1} are the same in the {where}: "
                f"{points[one].tolist()}"
            )
    sizes = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if sizes[1] < _THINNEST * sizes[0]:
        raise ValueError(f"the points lie on one line in the {where}: take a large area's corners")
    if len(points) > LEAST_POINTS:
        return
    for three in combinations(range(len(points)), 3):
        (ax, ay), (bx, by), (cx, cy) = points[list(three)].tolist()
        if abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) < _LEAST_TRIANGLE * spread_2:
            named = ", ".join(str(index + 1) for index in three)
            raise ValueError(
                f"points {named} lie on one line in the {where}: take the corners of a large area"
            )


def _linear(source: F64, target: F64) -> F64:
    """Algorithm 4.2: the matrix from `source` to `target` of least algebraic error."""
    (a, before), (b, after) = _normalised(source), _normalised(target)
    ones, nought = np.ones(len(a)), np.zeros((len(a), 3))
    p = np.column_stack([a, ones])
    rows = np.concatenate(
        [
            np.hstack([p, nought, -b[:, :1] * p]),
            np.hstack([nought, p, -b[:, 1:] * p]),
        ]
    )
    _, sizes, turned = np.linalg.svd(rows)
    if sizes[7] < _WORST_CONDITION * sizes[0]:
        raise ValueError("the points lie (almost) on one line: take the corners of a large area")
    found: F64 = np.linalg.inv(after) @ turned[-1].reshape(3, 3) @ before
    return found


def _normalised(points: F64) -> tuple[F64, F64]:
    """Points around 0 with a mean distance of sqrt 2 (section 4.4.4), and the matrix that makes
    them so."""
    middle = points.mean(axis=0)
    scale = np.sqrt(2) / np.linalg.norm(points - middle, axis=1).mean()
    matrix = np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1]])
    return (points - middle) * scale, matrix


def _refined(matrix: F64, source: F64, target: F64) -> F64:
    """Gauss-Newton on distances in `target`; with four points there is nothing left to do."""
    best = matrix / np.linalg.norm(matrix)
    for _ in range(_STEPS if len(source) > LEAST_POINTS else 0):
        p = np.column_stack([source, np.ones(len(source))])
        depth = _depths(best, source)
        if not depth.all():
            _check_in_front(depth * np.sign(depth.sum()))
        seen = _mapped(best, source)
        part = p / depth[:, None]
        nought = np.zeros_like(part)
        slopes = np.concatenate(
            [
                np.hstack([part, nought, -seen[:, :1] * part]),
                np.hstack([nought, part, -seen[:, 1:] * part]),
            ]
        )
        step = np.linalg.lstsq(slopes, (target - seen).T.ravel(), rcond=1e-12)[0]
        moved = best + step.reshape(3, 3)
        moved /= np.linalg.norm(moved)
        is_finite = _depths(moved, source).all()
        if not is_finite or _rms(_mapped(moved, source) - target) >= _rms(seen - target):
            break
        best = moved
    return best


def _check_in_front(depths: F64) -> None:
    """Raise `ValueError` unless all points of the fit are on the same side of the horizon."""
    beyond = np.flatnonzero(depths <= _HORIZON) + 1
    if len(beyond):
        named = ", ".join(map(str, beyond.tolist()))
        raise ValueError(
            f"the horizon would run between the points, with {named} on or beyond it, which no "
            "camera can see: two of them are exchanged, or one is wrong"
        )


def _depths(matrix: F64, points: F64) -> F64:
    """(N, 2) points -> (N,) third components of what the matrix makes of them."""
    row = matrix[2]
    found: F64 = points[:, 0] * row[0] + points[:, 1] * row[1] + row[2]
    return found


def _inverse(matrix: F64) -> F64:
    return np.linalg.inv(matrix).astype(np.float64)


def _mapped(matrix: F64, points: F64) -> F64:
    found = points @ matrix[:2, :2].T + matrix[:2, 2]
    mapped: F64 = found / _depths(matrix, points)[:, None]
    return mapped


def _rms(errors: F64) -> float:
    return float(np.sqrt(np.square(errors).sum(axis=1).mean()))
