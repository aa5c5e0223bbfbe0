"""A scene for tracking: people on a square, dancers on a stage, or a drive along a road."""

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np

from pipeline.core.arrays import U8
from stages.sources.street.camera import Camera
from stages.sources.street.moving.cameras import MOVES, TiltedCamera, moved
from stages.sources.street.moving.crowd import Square, crowd
from stages.sources.street.moving.dance import dance
from stages.sources.street.moving.drive import drive
from stages.sources.street.moving.outline import look, truth_of
from stages.sources.street.moving.troupe import PILLAR, Troupe, still
from stages.sources.street.truth import Truth

Place = Literal["square", "footway", "terrace", "stage", "road"]
CameraMove = Literal["static", "pan", "handheld", "walking", "driving"]
PLACES: tuple[Place, ...] = get_args(Place)
CAMERAS: tuple[CameraMove, ...] = get_args(CameraMove)
STEP_S = 1 / 30


class MovingScene:
    """One camera before one place. The same arguments give the same truth and pictures; another
    `fps` or camera shows the same motion.

    - `place`: a `square` seen obliquely from a mast; a `footway` at eye level, where people hide
      each other; a `terrace` steeply from above; a `stage` with dancers; a `road` from a car.
    - `camera`: `static`; `pan` turns to and fro; `handheld` trembles; `walking` also goes ahead;
      `driving` goes along the road (and stands beside it on a `road` with another camera).
    - `actors`: people on square, footway, terrace and stage; None is usual for the place.
    - `width`, `height`: pixels, even, at least 64. `fps` at most 60.

    Raises ValueError for other values.
    """

    def __init__(
        self,
        seed: int,
        place: Place = "square",
        camera: CameraMove = "static",
        fps: float = 30.0,
        frames: int = 600,
        width: int = 1920,
        height: int = 1080,
        actors: int | None = None,
    ) -> None:
        if place not in PLACES or camera not in CAMERAS:
            raise ValueError(
                f"moving scene: place {place!r} or camera {camera!r} is not known; places: "
                f"{', '.join(PLACES)}; cameras: {', '.join(CAMERAS)}"
            )
        if width < 64 or height < 64 or width % 2 or height % 2:
            raise ValueError(f"moving scene: {width}x{height} px; give even sides of at least 64")
        if not 0 < fps <= 60 or frames < 1:
            raise ValueError(f"moving scene: fps {fps} is not in (0, 60], or frames {frames} < 1")
        self.seed, self.place, self.camera = seed, place, camera
        self.fps, self.frame_count, self.width, self.height = fps, frames, width, height
        times_s = np.arange(frames) / fps
        self.cameras: list[TiltedCamera] = moved(
            np.random.default_rng([seed, 8]), self._stand(), MOVES[camera], times_s
        )
        moments = int(np.ceil(times_s[-1] / STEP_S)) + 2
        self.troupe: Troupe = self._troupe(moments, actors).at(times_s / STEP_S)

    def truths(self) -> Iterator[Truth]:
        """The truth of every frame, without drawing: a thousand frames a second or more. See
        `outline` for how boxes and visibility are found."""
        for frame, camera in enumerate(self.cameras):
            yield truth_of(look(camera, self.troupe, frame), camera, self.troupe, frame)

    def frames(self) -> Iterator[tuple[U8, Truth]]:
        """(H, W, 3) RGB pictures and the truth of what was drawn."""
        from stages.sources.street.moving.ground import Surroundings
        from stages.sources.street.moving.picture import MovingPicture

        ahead = max(camera.position[1] for camera in self.cameras)
        side_m, wall_m = {"road": (14.0, 9.0), "stage": (9.0, 6.0)}.get(self.place, (19.0, 9.0))
        still = Surroundings(self.seed, side_m, ahead + 60, wall_m)
        picture = MovingPicture(self.seed, self.troupe, alike=self.place == "stage", still=still)
        for frame, camera in enumerate(self.cameras):
            yield picture.draw(camera, frame)

    def _stand(self) -> Camera:
        """Where the camera is at first."""
        rng = np.random.default_rng([self.seed, 9])
        position, yaw, pitch, fov = {
            "square": ((rng.uniform(-2, 2), 0.0, rng.uniform(4.0, 6.5)), 5.0, (13, 18), (60, 72)),
            "footway": ((rng.uniform(-1, 1), 0.0, rng.uniform(1.6, 2.2)), 4.0, (1, 4), (58, 70)),
            "terrace": ((rng.uniform(-2, 2), 0.0, rng.uniform(9, 13)), 8.0, (28, 38), (58, 70)),
            "stage": ((0.0, 0.0, rng.uniform(1.2, 1.8)), 2.0, (1, 4), (52, 62)),
            "road": ((1.8, 0.0, rng.uniform(1.4, 1.8)), 1.0, (1, 3), (70, 84)),
        }[self.place]
        if self.place == "road" and self.camera != "driving":
            position, pitch = (-8.6, 0.0, 4.5), (8, 11)
        return Camera(
            self.width,
            self.height,
            (float(position[0]), position[1], float(position[2])),
            float(rng.uniform(-yaw, yaw)),
            float(rng.uniform(*pitch)),
            float(rng.uniform(*fov)),
        )

    def _troupe(self, moments: int, actors: int | None) -> Troupe:
        rng = np.random.default_rng([self.seed, 7])
        if self.place == "stage":
            dancers = actors or int(rng.integers(6, 15))
            return dance(rng, dancers, 6.5 + 0.35 * dancers, moments, STEP_S)
        if self.place == "road":
            return drive(rng, 140 + 9.5 * moments * STEP_S, moments, STEP_S)
        far = 70 if self.camera in ("walking", "driving") else 30
        square = {
            "square": Square(10, 5, far, actors or int(rng.integers(28, 56))),
            "footway": Square(6.5, 3.5, far * 0.7, actors or int(rng.integers(16, 34))),
            "terrace": Square(14, 3, far, actors or int(rng.integers(40, 75)), 0.03, 0.06),
        }[self.place]
        return crowd(rng, square, moments, STEP_S) + _pillars(rng, square, moments)


def _pillars(rng: np.random.Generator, square: Square, moments: int) -> Troupe:
    """Two to four posts and kiosks that people pass behind."""
    count = int(rng.integers(2, 5))
    place = rng.uniform(
        (-square.half_m, square.near_m + 2), (square.half_m, square.near_m + 12), (count, 2)
    )
    wide = rng.uniform(0.25, 0.9, count)
    size = np.stack([wide, wide, rng.uniform(2.6, 4.0, count)], axis=1)
    return still(place, PILLAR, size, np.zeros(count), moments)
