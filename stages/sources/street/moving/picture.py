"""Drawn pictures of a moving scene, for what looks at pixels: the motion of the camera."""

from dataclasses import replace

import numpy as np

from pipeline.core.arrays import F64, U8
from stages.sources.street.camera import Camera
from stages.sources.street.layout import MOTORCYCLE, PERSON
from stages.sources.street.looks import Look, dress
from stages.sources.street.mood import mood
from stages.sources.street.moving.ground import Surroundings
from stages.sources.street.moving.outline import look
from stages.sources.street.moving.troupe import PILLAR, Troupe
from stages.sources.street.painter import Painter, far_to_near
from stages.sources.street.people import sketch_person
from stages.sources.street.solid import Builder, Pose, Sketch, Solid
from stages.sources.street.traffic import MAKERS
from stages.sources.street.truth import MIN_LONG_PX, MIN_SHORT_PX, MIN_VISIBILITY, Truth

NOISE = 1.6
PILLAR_COLOUR = (92.0, 94.0, 98.0)


class MovingPicture:
    """Draws a troupe in its surroundings; the same seed gives the same pictures."""

    def __init__(self, seed: int, troupe: Troupe, *, alike: bool, still: Surroundings) -> None:
        """`alike`: people wear the same, as dancers do."""
        self._troupe, self._still = troupe, still
        rng = np.random.default_rng([seed, 11])
        self._mood = mood(rng, "day", "overcast", indoor=False)
        uniform = dress(rng)
        self._bodies: list[Look | Solid] = []
        for class_id, size in zip(troupe.class_id.tolist(), troupe.size, strict=True):
            if class_id == PERSON:
                worn = uniform if alike else dress(rng)
                build = float(size[1] / 0.25 / size[2])
                self._bodies.append(replace(worn, stature=float(size[2]), build=build))
            else:
                self._bodies.append(_solid(rng, class_id, size))
        self._rider = dress(rng, rider=True)
        self._rng = np.random.default_rng([seed, 12])

    def draw(self, camera: Camera, frame: int) -> tuple[U8, Truth]:
        """(H, W, 3) RGB, and the truth of what was drawn. Call for rising frames."""
        image = self._still.draw(camera)
        column = look(camera, self._troupe, frame).column
        prints = np.array([self._footprint(frame, one) for one in column]).reshape(-1, 4, 2)
        painter, drawn = Painter(image), list[int]()
        boxes, areas = list[F64](), list[int]()
        for index in far_to_near(prints, camera.origin[:2]):
            one = int(column[index])
            painted = painter.paint(self._sketch(camera, frame, one), len(drawn) + 1)
            if painted is not None:
                drawn.append(one)
                boxes.append(painted[0])
                areas.append(painted[1])
        visible = painter.visible(len(drawn))[1:] / np.maximum(np.array(areas), 1)
        grain = self._rng.normal(0, NOISE, (*image.shape[:2], 1))
        noisy = np.clip(image + grain, 0, 255).astype(np.uint8)
        return noisy, self._truth(frame, np.array(drawn, np.int64), boxes, visible)

    def _pose(self, frame: int, column: int) -> Pose:
        x, y = self._troupe.place[frame, column].tolist()
        return Pose(x, y, float(self._troupe.heading[frame, column]))

    def _footprint(self, frame: int, column: int) -> F64:
        a, b = (self._troupe.size[column, :2] / 2).tolist()
        ring = np.array([(-a, -b, 0.0), (a, -b, 0.0), (a, b, 0.0), (-a, b, 0.0)])
        return self._pose(frame, column).to_world(ring)[:, :2]

    def _sketch(self, camera: Camera, frame: int, column: int) -> Sketch:
        pose, body, sun = self._pose(frame, column), self._bodies[column], self._mood.sun
        if isinstance(body, Solid):
            sketch = body.sketch(camera, pose, sun)
            if self._troupe.class_id[column] == MOTORCYCLE:
                sketch.extend(sketch_person(camera, pose, self._rider, "ride", 0.0, sun))
            return sketch
        stretch = float(self._troupe.stretch[frame, column])
        body = replace(body, stature=body.stature * stretch)
        phase = float(self._troupe.phase[frame, column])
        return sketch_person(camera, pose, body, "walk", phase, sun)

    def _truth(
        self, frame: int, column: np.ndarray[tuple[int], np.dtype[np.int64]],
        boxes: list[F64], visible: F64,
    ) -> Truth:  # fmt: skip
        kept = np.flatnonzero(self._troupe.class_id[column] != PILLAR)
        xyxy = np.array(boxes, np.float64).reshape(-1, 4)[kept]
        sides = xyxy[:, 2:] - xyxy[:, :2]
        small = (sides.max(axis=1, initial=0) < MIN_LONG_PX) | (
            sides.min(axis=1, initial=1e9) < MIN_SHORT_PX
        )
        return Truth(
            frame=frame,
            track_id=self._troupe.ident[column[kept]],
            class_id=self._troupe.class_id[column[kept]],
            xyxy=xyxy,
            visibility=visible[kept],
            ignore=small | (visible[kept] < MIN_VISIBILITY),
        )


def _solid(rng: np.random.Generator, class_id: int, size: F64) -> Solid:
    """A vehicle, or a pillar, scaled to its size."""
    if class_id == PILLAR:
        length, width, height = size.tolist()
        builder = Builder()
        low, high = (-length / 2, -width / 2, 0.0), (length / 2, width / 2, height)
        builder.box(0, low, high, PILLAR_COLOUR)
        return builder.build((length, width, height))
    solid = MAKERS[class_id](rng)
    scale = size / np.array(solid.size)
    return replace(
        solid,
        points=solid.points * scale,
        centres=solid.centres * scale,
        pieces=[(layer, inside * scale, a, b) for layer, inside, a, b in solid.pieces],
        size=(float(size[0]), float(size[1]), float(size[2])),
    )
