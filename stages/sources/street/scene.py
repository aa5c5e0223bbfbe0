"""A street that does not exist: pictures of it, and the exact truth about each."""

from collections.abc import Iterator
from math import ceil

import cv2
import numpy as np

from stages.sources.street.backdrop import paint_backdrop
from stages.sources.street.camera import F64, U8
from stages.sources.street.layout import MOTORCYCLE
from stages.sources.street.light import Lighting
from stages.sources.street.mood import Light, Weather, mood
from stages.sources.street.painter import Painter, far_to_near
from stages.sources.street.palette import Colour
from stages.sources.street.people import hull, sketch_person
from stages.sources.street.solid import Pose, Sketch
from stages.sources.street.traffic import Actor, Vehicle, Walker, World
from stages.sources.street.truth import (
    MIN_LONG_PX,
    MIN_SHORT_PX,
    MIN_VISIBILITY,
    Crossing,
    PictureLine,
    Truth,
    crossings,
)
from stages.sources.street.views import LAYOUTS, View

WARM_UP_S = 45.0
SPECK_PX_PER_M = 4.5
SHADOW_M = 3.0
LONGEST_STEP_S = 0.2


class StreetScene:
    """One camera on one street. The same arguments give the same pictures and truth.

    seed: any non-negative integer. width, height: pixels, at least 64, multiples of 2.
    frames: how many `frames()` yields; None goes on for ever. density: 1 is a lively street.
    """

    def __init__(
        self,
        seed: int,
        width: int = 960,
        height: int = 540,
        fps: float = 12.5,
        frames: int | None = 250,
        view: View = "street",
        light: Light = "day",
        weather: Weather = "clear",
        density: float = 1.0,
    ) -> None:
        if width < 64 or height < 64 or width % 2 or height % 2:
            raise ValueError(f"street scene: {width}x{height} px; give even sides of at least 64")
        if fps <= 0 or density <= 0:
            raise ValueError(f"street scene: fps {fps} and density {density} must be above 0")
        if view not in LAYOUTS:
            raise ValueError(f"street scene: no view {view!r}; choose from {', '.join(LAYOUTS)}")
        self.seed, self.width, self.height, self.fps = seed, width, height, fps
        self.frame_count, self.view, self.light = frames, view, light
        self.weather, self.density = weather, density
        rng = np.random.default_rng([seed, 0])
        self.layout = LAYOUTS[view](rng, width, height)
        self.mood = mood(rng, light, weather, indoor=self.layout.indoor)
        backdrop = paint_backdrop(self.layout, self.mood, rng)
        self._background, self._covers = backdrop.image, backdrop.covers
        self._lighting = Lighting(self.layout, self.mood, backdrop.glow, rng)

    @property
    def default_line(self) -> PictureLine:
        """A counting line across the main ways, in pixels, cut to the picture."""
        ends = np.array([(x, y, 0.0) for x, y in self.layout.line])
        (ax, ay), (bx, by) = self.layout.camera.project(ends).tolist()
        return clip_line(((ax, ay), (bx, by)), self.width, self.height)

    def frames(self) -> Iterator[tuple[U8, Truth]]:
        """(H, W, 3) RGB pictures of their own with their truth, from the first frame on."""
        for number, world in self._worlds():
            image = self._background.copy()
            yield image, self._render(image, world, number)

    def truths(self) -> Iterator[Truth]:
        """The truth of every frame without its picture."""
        for number, world in self._worlds():
            image = np.zeros_like(self._background)
            yield self._paint(Painter(image), self._near_picture(world), number)[0]

    def places(self) -> Iterator[dict[int, tuple[float, float]]]:
        """Where the middle of everyone is on the ground in every frame: world x and y in metres, by
        `track_id`, in the picture or not."""
        for _, world in self._worlds():
            yield {actor.ident: (actor.pose.x, actor.pose.y) for actor in world.actors()}

    def crossings(self, line: PictureLine) -> list[Crossing]:
        """Who crosses the line in all frames; see the module `truth` for what counts. Raises
        ValueError for a scene without end."""
        if self.frame_count is None:
            raise ValueError("street scene: crossings of a scene without end; give frames")
        return crossings(self.truths(), line)

    def _worlds(self) -> Iterator[tuple[int, World]]:
        rain = self.mood.weather == "rain"
        world = World(self.layout, self.seed, self.density, rain=rain)
        advance(world, WARM_UP_S)
        number = 0
        while self.frame_count is None or number < self.frame_count:
            yield number, world
            advance(world, 1 / self.fps)
            number += 1

    def _render(self, image: U8, world: World, number: int) -> Truth:
        actors = self._near_picture(world)
        shadows = [self._shadow(actor) for actor in actors]
        hulls = [s for s in shadows if s is not None] if not self.layout.indoor else []
        feet = [f for f in (self._contact(actor) for actor in actors) if f is not None]
        self._lighting.shade(image, hulls, feet)
        painter = Painter(image)
        truth, seen = self._paint(painter, actors, number)
        beams, lamps = self._lamps(painter, seen) if self.mood.lamps_on else ([], [])
        free = np.asarray(cv2.inRange(painter.owner, (0,), (0,)), dtype=np.uint8)
        self._lighting.expose(image, free, beams, lamps)
        self._lighting.finish(image, number)
        return truth

    def _paint(
        self, painter: Painter, actors: list[Actor], number: int
    ) -> tuple[Truth, dict[int, Actor]]:
        """Paints the actors; returns the truth and who owns which number in the owner map."""
        prints = [footprint(actor) for actor in actors] + [c.footprint for c in self._covers]
        grounds = np.array(prints).reshape(-1, 4, 2)
        seen: dict[int, Actor] = {}
        boxes, areas = list[F64](), list[int]()
        for index in far_to_near(grounds, self.layout.camera.origin[:2]):
            if index >= len(actors):
                cover = self._covers[index - len(actors)]
                if any(cover.meets(box) for box in boxes):
                    painter.restore(self._background, cover)
                continue
            painted = painter.paint(self._sketch(actors[index]), len(seen) + 1)
            if painted is not None:
                seen[len(seen) + 1] = actors[index]
                boxes.append(painted[0])
                areas.append(painted[1])
        visible = painter.visible(len(seen))[1:] / np.maximum(np.array(areas), 1)
        return make_truth(number, list(seen.values()), boxes, visible), seen

    def _near_picture(self, world: World) -> list[Actor]:
        """Everyone who, or whose shadow, may be in the picture and is no mere speck there."""
        actors = list(world.actors())
        places = np.array([(a.pose.x, a.pose.y, 1.0) for a in actors]).reshape(-1, 3)
        seen = self.layout.camera.view(places)
        reach = np.array([SHADOW_M + size_of(actor)[0] / 2 for actor in actors])
        focal = self.layout.camera.focal_px
        beside = np.abs(seen[:, 0]) > np.maximum(seen[:, 2], 0) * self.width / 2 / focal + reach
        speck = focal / np.maximum(seen[:, 2], 1) < SPECK_PX_PER_M
        keep = (seen[:, 2] > -9) & ~beside & ~speck
        return [actor for actor, kept in zip(actors, keep.tolist(), strict=True) if kept]

    def _sketch(self, actor: Actor) -> Sketch:
        camera, sun = self.layout.camera, self.mood.sun
        if isinstance(actor, Walker):
            return sketch_person(camera, actor.pose, actor.look, actor.action, actor.phase, sun)
        sketch = actor.solid.sketch(camera, actor.pose, sun)
        if actor.class_id == MOTORCYCLE:
            riders = [(actor.pillion, -0.42), (actor.look, 0.0)]
            ahead = np.cos(actor.pose.heading), np.sin(actor.pose.heading)
            eye = actor.pose.to_local(camera.origin)
            for look, offset in riders if eye[0] > 0 else riders[::-1]:
                if look is not None:
                    seat = Pose(
                        actor.pose.x + ahead[0] * offset,
                        actor.pose.y + ahead[1] * offset,
                        actor.pose.heading,
                    )
                    sketch.extend(sketch_person(camera, seat, look, "ride", 0.0, sun))
        return sketch

    def _shadow(self, actor: Actor) -> F64 | None:
        """Where the sun casts the actor's shadow, as a polygon in pixels."""
        length, width, height = size_of(actor)
        corners = box_corners(length * 0.98, width * 0.96, height * 0.92)
        if isinstance(actor, Walker):
            corners = box_corners(0.3, 0.34, height)
        world = actor.pose.to_world(corners)
        toward = self.mood.sun.toward
        world[:, :2] -= world[:, 2:] * toward[:2] / toward[2]
        world[:, 2] = 0
        seen = self.layout.camera.view(world)
        return None if seen[:, 2].min() < 1 else hull(self.layout.camera.flatten(seen))

    def _contact(self, actor: Actor) -> F64 | None:
        flat = np.column_stack([footprint(actor), np.zeros(4)])
        seen = self.layout.camera.view(flat)
        return None if seen[:, 2].min() < 1 else self.layout.camera.flatten(seen)

    def _lamps(
        self, painter: Painter, seen: dict[int, Actor]
    ) -> tuple[list[F64], list[tuple[F64, float, Colour]]]:
        """Beams on the road and lamps that no nearer thing hides."""
        camera, beams, lamps = self.layout.camera, list[F64](), list[tuple[F64, float, Colour]]()
        for number, actor in seen.items():
            if not isinstance(actor, Vehicle) or actor.wish_mps == 0:
                continue
            nose = actor.half
            cone = np.array(
                [[nose, -0.7, 0], [nose + 13, -2.6, 0], [nose + 13, 2.6, 0], [nose, 0.7, 0]]
            )
            view = camera.view(actor.pose.to_world(cone))
            if view[:, 2].min() > 1:
                beams.append(camera.flatten(view))
            eye = actor.pose.to_local(camera.origin)
            for lamp in actor.solid.lamps:
                at = np.array(lamp.at)
                turned = float((eye - at) @ np.array(lamp.normal) / np.linalg.norm(eye - at))
                view = camera.view(actor.pose.to_world(at[None]))
                if turned < 0.12 or view[0, 2] < 1:
                    continue
                pixel = camera.flatten(view)[0]
                x, y = int(pixel[0]), int(pixel[1])
                inside = 0 <= x < self.width and 0 <= y < self.height
                if inside and painter.owner[y, x] == number:
                    bright = 1.5 if actor.braking and lamp.normal[0] < 0 else 1.0
                    size = lamp.radius_m * camera.focal_px / float(view[0, 2]) * turned**0.5
                    lamps.append((pixel, size * bright, lamp.colour))
        return beams, lamps


def advance(world: World, seconds: float) -> None:
    """Moves the world on in steps short enough for braking to work."""
    steps = ceil(seconds / LONGEST_STEP_S)
    for _ in range(steps):
        world.step(seconds / steps)


def size_of(actor: Actor) -> tuple[float, float, float]:
    if isinstance(actor, Walker):
        return 0.34, 0.4, actor.look.stature
    return actor.solid.size


def footprint(actor: Actor) -> F64:
    """(4, 2) world corners of the ground an actor stands on."""
    length, width, _ = size_of(actor)
    flat = actor.pose.to_world(box_corners(length, width, 0.0)[:4])
    return flat[:, :2]


def box_corners(length: float, width: float, height: float) -> F64:
    """(8, 3) local corners, the four on the ground first, in turn."""
    a, b = length / 2, width / 2
    ring = [(-a, -b), (a, -b), (a, b), (-a, b)]
    return np.array([(x, y, z) for z in (0.0, height) for x, y in ring])


def make_truth(frame: int, actors: list[Actor], boxes: list[F64], visible: F64) -> Truth:
    xyxy = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    sides = xyxy[:, 2:] - xyxy[:, :2]
    small = (sides.max(axis=1, initial=0) < MIN_LONG_PX) | (
        sides.min(axis=1, initial=1e9) < MIN_SHORT_PX
    )
    return Truth(
        frame=frame,
        track_id=np.array([actor.ident for actor in actors], dtype=np.int64),
        class_id=np.array([actor.class_id for actor in actors], dtype=np.int32),
        xyxy=xyxy,
        visibility=visible,
        ignore=small | (visible < MIN_VISIBILITY),
    )


def clip_line(line: PictureLine, width: int, height: int) -> PictureLine:
    """The part of a segment inside the picture (Liang-Barsky); unchanged when it is outside."""
    (ax, ay), (bx, by) = line
    dx, dy, low, high = bx - ax, by - ay, 0.0, 1.0
    for p, q in ((-dx, ax), (dx, width - 1 - ax), (-dy, ay), (dy, height - 1 - ay)):
        if p == 0:
            continue
        if p < 0:
            low = max(low, q / p)
        else:
            high = min(high, q / p)
    if low >= high:
        return line
    return ((ax + dx * low, ay + dy * low), (ax + dx * high, ay + dy * high))
