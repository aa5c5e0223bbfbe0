"""Boxes and visibility of actors as a camera sees them, without drawing them.

A person is a dozen points of a walking body, a vehicle the corners of a block. Boxes agree with
those of drawn actors at a mean IoU above 0.8; visibility is sampled at points of a body's core and
counts what nearer bodies cover.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F64, I64, Bool
from stages.sources.street.camera import NEAR_M, Camera
from stages.sources.street.layout import PERSON
from stages.sources.street.moving.troupe import PILLAR, Troupe
from stages.sources.street.truth import MIN_LONG_PX, MIN_SHORT_PX, MIN_VISIBILITY, Truth

FARTHEST_M = 80.0
"""What is farther is left out."""
LEAST_INSIDE = 0.15
"""Share of a box that must be inside the picture."""
CORE_X = {True: np.array([0.3, 0.43, 0.57, 0.7]), False: np.array([0.1, 0.37, 0.63, 0.9])}
CORE_Y = np.linspace(0.05, 0.95, 9)
THIN = {True: 0.18, False: 0.03}
"""How much of its box's width, on each side, a body does not fill; by whether it is a person's."""

# Of a person of stature 1 and shoulders 1: along, aside (shares of shoulders), up; and how far a
# step swings the point along.
_BODY = np.array([
    (0.01, 0, 0.99, 0), (0, 0.3, 0.93, 0), (0, -0.3, 0.93, 0), (0, 0.48, 0.8, 0),
    (0, -0.48, 0.8, 0), (0, 0.62, 0.6, -0.09), (0, -0.62, 0.6, 0.09), (0.08, 0.55, 0.46, -0.2),
    (0.08, -0.55, 0.46, 0.2), (-0.03, 0.3, 0, 0.25), (-0.03, -0.3, 0, -0.25), (0.1, 0.3, 0, 0.25),
    (0.1, -0.3, 0, -0.25),
])  # fmt: skip
_BLOCK = np.array([(a, b, c) for c in (0, 1) for a in (-0.5, 0.5) for b in (-0.5, 0.5)])


@dataclass(frozen=True, slots=True)
class Seen:
    """K actors in one picture, nearest first: column in the troupe, whole box (K, 4), share of it
    inside the picture (K,), visible part of the silhouette inside (K,)."""

    column: I64
    xyxy: F64
    inside: F64
    visible: F64


def look(camera: Camera, troupe: Troupe, moment: int) -> Seen:
    """Who is in the picture at a moment."""
    column = np.flatnonzero(_before(camera, troupe, moment))
    person = troupe.class_id[column] == PERSON
    boxes = np.empty((len(column), 4))
    ok = np.empty(len(column), np.bool_)
    for rows, points in (
        (person, _person_points(troupe, moment, column[person])),
        (~person, _block_points(troupe, moment, column[~person])),
    ):
        boxes[rows], ok[rows] = _project(camera, points)
    limits = (camera.width, camera.height)
    clipped = np.clip(boxes, 0, limits * 2)
    inside = _area(clipped) / np.maximum(_area(boxes), 1e-9)
    ok &= inside > 0
    column, boxes, inside = column[ok], boxes[ok], inside[ok]
    eye = np.linalg.norm(troupe.place[moment, column] - camera.origin[:2], axis=1)
    order = np.argsort(eye, kind="stable")
    column, boxes = column[order], boxes[order]
    visible = _visible(np.clip(boxes, 0, limits * 2), troupe.class_id[column] == PERSON)
    return Seen(column, boxes, inside[order], visible)


def truth_of(seen: Seen, camera: Camera, troupe: Troupe, frame: int) -> Truth:
    """See `stages.sources.street.truth`; who is in the picture by less than LEAST_INSIDE is out."""
    kept = (seen.inside >= LEAST_INSIDE) & (troupe.class_id[seen.column] != PILLAR)
    column = seen.column[kept]
    xyxy = np.clip(seen.xyxy[kept], 0, (camera.width, camera.height) * 2)
    sides = xyxy[:, 2:] - xyxy[:, :2]
    small = (sides.max(axis=1, initial=0) < MIN_LONG_PX) | (
        sides.min(axis=1, initial=1e9) < MIN_SHORT_PX
    )
    visible = seen.visible[kept]
    return Truth(
        frame=frame,
        track_id=troupe.ident[column],
        class_id=troupe.class_id[column],
        xyxy=xyxy,
        visibility=visible,
        ignore=small | (visible < MIN_VISIBILITY),
    )


def _before(camera: Camera, troupe: Troupe, moment: int) -> Bool:
    """(N,) whether an actor may be in the picture and is not too far."""
    place = troupe.place[moment]
    seen = camera.view(np.column_stack([place, np.full(len(place), 1.0)]))
    reach = troupe.size[:, 0] / 2 + 1.0
    depth = np.maximum(seen[:, 2], 0)
    beside = np.abs(seen[:, 0]) > depth * camera.width / 2 / camera.focal_px * 1.05 + reach
    near = (seen[:, 2] > 0.5) & (seen[:, 2] < FARTHEST_M)
    before: Bool = troupe.present[moment] & near & ~beside
    return before


def _person_points(troupe: Troupe, moment: int, column: I64) -> F64:
    """(K, P, 3) world points."""
    _, shoulders, stature = troupe.size[column].T
    tall = stature * troupe.stretch[moment, column]
    swing = np.sin(troupe.phase[moment, column])
    along = (_BODY[:, 0] + _BODY[:, 3] * swing[:, None]) * stature[:, None]
    aside = _BODY[:, 1] * shoulders[:, None]
    return _placed(troupe, moment, column, along, aside, _BODY[:, 2] * tall[:, None])


def _block_points(troupe: Troupe, moment: int, column: I64) -> F64:
    local = _BLOCK * troupe.size[column][:, None, :]
    return _placed(troupe, moment, column, local[..., 0], local[..., 1], local[..., 2])


def _placed(troupe: Troupe, moment: int, column: I64, along: F64, aside: F64, up: F64) -> F64:
    turn = troupe.heading[moment, column][:, None]
    c, s = np.cos(turn), np.sin(turn)
    place = troupe.place[moment, column]
    x = place[:, :1] + c * along - s * aside
    return np.stack([x, place[:, 1:] + s * along + c * aside, up], axis=2)


def _project(camera: Camera, points: F64) -> tuple[F64, Bool]:
    """(K, P, 3) -> boxes (K, 4) and whether most of the points are before the camera."""
    seen = camera.view(points.reshape(-1, 3))
    pixels = camera.flatten(seen).reshape(*points.shape[:2], 2)
    ahead = (seen[:, 2].reshape(points.shape[:2]) > NEAR_M).mean(axis=1) > 0.5
    return np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1), ahead


def _area(xyxy: F64) -> F64:
    sides = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    area: F64 = sides[:, 0] * sides[:, 1]
    return area


def _visible(boxes: F64, person: Bool) -> F64:
    """(K,) share of sample points of each, nearest first, that no nearer body covers."""
    count, sides = len(boxes), boxes[:, 2:] - boxes[:, :2]
    thin = np.where(person, THIN[True], THIN[False]) * sides[:, 0]
    low, high = boxes[:, :2].copy(), boxes[:, 2:].copy()
    low[:, 0] += thin
    high[:, 0] -= thin
    meets = ((low[:, None] < high[None]) & (high[:, None] > low[None])).all(axis=2)
    far, near = np.nonzero(np.tril(meets, -1))
    x = boxes[:, :1] + np.where(person[:, None], CORE_X[True], CORE_X[False]) * sides[:, :1]
    y = boxes[:, 1:2] + CORE_Y * sides[:, 1:]
    in_x = (x[far] > low[near, :1]) & (x[far] < high[near, :1])
    in_y = (y[far] > low[near, 1:]) & (y[far] < high[near, 1:])
    covered = np.zeros((count, len(CORE_Y), x.shape[1]), np.bool_)
    np.logical_or.at(covered, far, in_y[:, :, None] & in_x[:, None, :])
    visible: F64 = 1 - covered.mean(axis=(1, 2))
    return visible
