"""Solids made of convex pieces, and the sketch that a camera takes of them."""

from dataclasses import dataclass, field

import numpy as np

from stages.sources.street.camera import F64, NEAR_M, Camera, clip_near
from stages.sources.street.palette import Colour

PLAIN_PX = 30.0
SMALL_M = 0.35

Point = tuple[float, float, float]


@dataclass(slots=True)
class Sketch:
    """Convex polygons in painting order, in pixels; `solid` ones make up the silhouette."""

    polygons: list[F64] = field(default_factory=list)
    colours: list[Colour] = field(default_factory=list)
    solid: list[bool] = field(default_factory=list)

    def add(self, polygon: F64, colour: Colour, solid: bool = True) -> None:
        self.polygons.append(polygon)
        self.colours.append(colour)
        self.solid.append(solid)

    def extend(self, other: "Sketch") -> None:
        self.polygons += other.polygons
        self.colours += other.colours
        self.solid += other.solid


@dataclass(frozen=True, slots=True)
class Sun:
    """Light on surfaces: `toward` points at the light; colours multiply, `fog` mixes in."""

    toward: F64
    ambient: float
    direct: float
    fog: Colour
    fog_reach_m: float

    def tint(self, colours: F64, normals: F64, depth_m: float) -> F64:
        """(N, 3) colours as they look with these normals at this depth."""
        facing = np.maximum(normals @ self.toward, 0)
        level = self.ambient + self.direct * facing + 0.12 * normals[:, 2]
        lit = np.clip(colours * level[:, None], 0, 255)
        veil = 1 - np.exp(-depth_m / self.fog_reach_m)
        tinted: F64 = lit * (1 - veil) + np.array(self.fog) * veil
        return tinted


@dataclass(frozen=True, slots=True)
class Lamp:
    """A light on a solid: shines where `normal` faces the camera."""

    at: Point
    normal: Point
    colour: Colour
    radius_m: float
    beam: bool = False


@dataclass(frozen=True, slots=True)
class Solid:
    """Faces of convex pieces in a local frame: x ahead, y to the left, z up, metres.

    Faces of one piece are contiguous and in painting order; pieces of a lower layer are painted
    first, within a layer the farther first. What is `small` is left out when the whole is under
    PLAIN_PX tall.
    """

    points: F64
    starts: list[int]
    colours: F64
    normals: F64
    centres: F64
    solid: list[bool]
    small: list[bool]
    pieces: list[tuple[int, F64, int, int]]
    lamps: tuple[Lamp, ...]
    size: tuple[float, float, float]

    def sketch(self, camera: Camera, pose: "Pose", sun: Sun) -> Sketch:
        """The faces turned to the camera, as it sees them."""
        eye = pose.to_local(camera.origin)
        facing = (((eye - self.centres) * self.normals).sum(axis=1) > 0).tolist()
        seen = camera.view(pose.to_world(self.points))
        near = bool(seen[:, 2].min() < NEAR_M)
        pixels = camera.flatten(seen)
        depth = float(np.linalg.norm(eye))
        plain = camera.focal_px * self.size[2] / depth < PLAIN_PX
        tints = sun.tint(self.colours, pose.turn(self.normals), depth).tolist()
        sketch = Sketch()
        gaps = (
            ((np.array([inside for _, inside, _, _ in self.pieces]) - eye) ** 2)
            .sum(axis=1)
            .tolist()
        )
        ranks = [(piece[0], -gap) for piece, gap in zip(self.pieces, gaps, strict=True)]
        order = [self.pieces[i] for i in sorted(range(len(ranks)), key=ranks.__getitem__)]
        for _, _, first, last in order:
            for face in range(first, last):
                if not facing[face] or (plain and self.small[face]):
                    continue
                a, b = self.starts[face], self.starts[face + 1]
                polygon = camera.flatten(clip_near(seen[a:b])) if near else pixels[a:b]
                if len(polygon) >= 3:
                    red, green, blue = tints[face]
                    sketch.add(polygon, (red, green, blue), self.solid[face])
        return sketch


@dataclass(frozen=True, slots=True)
class Pose:
    """Place on the ground and heading (radians, 0 = along +x, turning left)."""

    x: float
    y: float
    heading: float

    def turn(self, vectors: F64) -> F64:
        """(N, 3) local directions -> world."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        turned: F64 = vectors @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
        return turned

    def to_world(self, points: F64) -> F64:
        moved: F64 = self.turn(points) + np.array([self.x, self.y, 0.0])
        return moved

    def to_local(self, point: F64) -> F64:
        c, s = np.cos(self.heading), np.sin(self.heading)
        x, y = point[0] - self.x, point[1] - self.y
        return np.array([c * x + s * y, -s * x + c * y, point[2]])


class Builder:
    """Collects faces piece by piece; `build` freezes them into a Solid."""

    def __init__(self) -> None:
        self._faces: list[tuple[F64, Colour, F64, bool]] = []
        self._pieces: list[tuple[int, F64, int, int]] = []
        self._lamps: list[Lamp] = []
        self._inside: F64 = np.zeros(3)

    def piece(self, layer: int, inside: Point) -> None:
        """Starts a convex piece around the point `inside`."""
        self._inside = np.array(inside, dtype=np.float64)
        self._pieces.append((layer, self._inside, len(self._faces), len(self._faces)))

    def face(self, points: list[Point] | F64, colour: Colour, solid: bool = True) -> None:
        """A planar convex face of the current piece, in either winding."""
        corners = np.asarray(points, dtype=np.float64)
        self._faces.append((corners, colour, self._inside, solid))
        layer, inside, first, _ = self._pieces[-1]
        self._pieces[-1] = (layer, inside, first, len(self._faces))

    def prism(
        self, layer: int, profile: list[tuple[float, float, float]], colour: Colour, y: float = 0
    ) -> list[F64]:
        """A convex (x, z, half width) profile swept across; returns its faces, sides last."""
        ring = np.array(profile, dtype=np.float64)
        left = np.column_stack([ring[:, 0], y + ring[:, 2], ring[:, 1]])
        right = np.column_stack([ring[:, 0], y - ring[:, 2], ring[:, 1]])
        centre = (left.mean(axis=0) + right.mean(axis=0)) / 2
        self.piece(layer, (float(centre[0]), float(centre[1]), float(centre[2])))
        after = np.roll(np.arange(len(ring)), -1)
        faces = [
            np.array([left[i], left[j], right[j], right[i]]) for i, j in enumerate(after.tolist())
        ]
        faces += [left, right]
        for corners in faces:
            self.face(corners, colour)
        return faces

    def box(
        self, layer: int, low: Point, high: Point, colour: Colour, taper: float = 0.0
    ) -> list[F64]:
        """An upright box; `taper` narrows its top. Faces: rear, top, front, floor, left, right."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        half, middle = (y1 - y0) / 2, (y0 + y1) / 2
        profile = [(x0, z0, half), (x0, z1, half - taper), (x1, z1, half - taper), (x1, z0, half)]
        return self.prism(layer, profile, colour, middle)

    def panel(
        self, face: F64, u: tuple[float, float], v: tuple[float, float], colour: Colour
    ) -> None:
        """A painted rectangle on a four-cornered face; u, v are fractions along its edges."""
        a, b, c, d = face
        corners = [
            (a * (1 - p) + d * p) * (1 - q) + (b * (1 - p) + c * p) * q
            for p, q in ((u[0], v[0]), (u[0], v[1]), (u[1], v[1]), (u[1], v[0]))
        ]
        self.face(np.array(corners), colour, solid=False)

    def lamp(self, lamp: Lamp) -> None:
        self._lamps.append(lamp)

    def build(self, size: tuple[float, float, float]) -> Solid:
        points = np.concatenate([corners for corners, *_ in self._faces])
        counts = np.array([len(corners) for corners, *_ in self._faces])
        starts = np.concatenate([[0], np.cumsum(counts)])
        after = np.arange(len(points)) + 1
        after[starts[1:] - 1] = starts[:-1]
        a, b = points, points[after]
        cross = np.stack(
            [a[:, i - 2] * b[:, i - 1] - a[:, i - 1] * b[:, i - 2] for i in range(3)], 1
        )
        normals = np.add.reduceat(cross, starts[:-1])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        centres = np.add.reduceat(points, starts[:-1]) / counts[:, None]
        inside = np.array([inside for _, _, inside, _ in self._faces])
        normals[((centres - inside) * normals).sum(axis=1) < 0] *= -1
        return Solid(
            points=points,
            starts=starts.tolist(),
            colours=np.array([colour for _, colour, _, _ in self._faces], dtype=np.float64),
            normals=normals,
            centres=centres,
            solid=[solid for *_, solid in self._faces],
            small=[
                not solid and float(np.ptp(corners, axis=0).max()) < SMALL_M
                for corners, _, _, solid in self._faces
            ],
            pieces=list(self._pieces),
            lamps=tuple(self._lamps),
            size=size,
        )
