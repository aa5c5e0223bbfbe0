"""People: how they move, and the sketch that a camera takes of them."""

from math import pi

import cv2
import numpy as np

from stages.sources.street.camera import F64, NEAR_M, Camera
from stages.sources.street.gait import Action, joints
from stages.sources.street.looks import Look
from stages.sources.street.palette import Colour, shade
from stages.sources.street.solid import Pose, Sketch, Sun


def circle(corners: int) -> F64:
    """(corners, 2) points of the unit circle."""
    turn = np.linspace(0, 2 * pi, corners, endpoint=False)
    return np.column_stack([np.cos(turn), np.sin(turn)])


RING = circle(14)
DISC = np.column_stack([circle(10), np.zeros(10)])
FAN = np.linspace(-pi / 2, pi / 2, 5)


def disc_at(x: float, z: float, deep: float, wide: float) -> F64:
    """A level ellipse around the body's axis, 10 corners."""
    return DISC * (deep, wide, 0.0) + (x, 0.0, z)


def trunk(look: Look, rows: F64) -> list[F64]:
    """Level ellipses at shoulders, waist, hips and hem, which make torso and skirts."""
    h, b = look.stature if look.hat != "helmet" else 1.72, look.build
    neck, hip = rows[14], (rows[0] + rows[1]) / 2
    middle = hip * 0.6 + neck * 0.4
    hem = {"skirt": 0.2, "dress": 0.24, "coat": 0.27}.get(look.legs, 0.0) * h
    flare = 1.0 if look.legs == "coat" else 1.35
    return [
        disc_at(neck[0], neck[2] - 0.015 * h, 0.05 * h * b, 0.08 * h * b),
        disc_at(neck[0], neck[2] - 0.06 * h, 0.07 * h * b, 0.118 * h * b),
        disc_at(middle[0], middle[2], 0.065 * h * b, 0.092 * h * b),
        disc_at(hip[0], hip[2] - 0.015 * h, 0.075 * h * b, 0.098 * h * b),
        disc_at(hip[0], hip[2] - max(hem, 0.03), 0.08 * h * b * flare, 0.1 * h * b * flare),
    ]


def hull(points: F64) -> F64:
    """The convex hull of (N, 2) pixels."""
    return cv2.convexHull(points.astype(np.float32)).reshape(-1, 2).astype(np.float64)


def capsules(starts: F64, ends: F64, first: F64, last: F64) -> F64:
    """(N, 2) + (N, 2) ends with radii (N,) -> (N, 10, 2) outlines of tapered limbs."""
    along = np.arctan2(ends[:, 1] - starts[:, 1], ends[:, 0] - starts[:, 0])
    angles = along[:, None] + np.concatenate([FAN, FAN + pi])[None]
    radii = np.concatenate(
        [np.repeat(last[:, None], 5, 1), np.repeat(first[:, None], 5, 1)], axis=1
    )
    centres = np.concatenate(
        [np.repeat(ends[:, None], 5, 1), np.repeat(starts[:, None], 5, 1)], axis=1
    )
    outline: F64 = centres + np.stack([np.cos(angles), np.sin(angles)], axis=2) * radii[..., None]
    return outline


class Figure:
    """One person in one picture: parts gathered with their distance, painted far to near."""

    def __init__(self, camera: Camera, pose: Pose, sun: Sun, rows: F64, extra: list[F64]) -> None:
        points = np.concatenate([rows, *extra])
        seen = camera.view(pose.to_world(points))
        self.ok = bool(seen[:, 2].min() > NEAR_M)
        self.pixels = camera.flatten(seen)
        self.distance = np.linalg.norm(seen, axis=1)
        self.scale = camera.focal_px / np.maximum(seen[:, 2], NEAR_M)
        self._sun, self._parts = sun, list[tuple[float, F64, Colour, float, bool]]()
        self._veil = float(self.distance.mean())
        self.sides = np.cumsum([len(rows), *(len(part) for part in extra)]).tolist()

    def group(self, index: int) -> F64:
        """The pixels of one of the extra point groups."""
        return self.pixels[self.sides[index] : self.sides[index + 1]]

    def add(
        self, distance: float, polygon: F64, colour: Colour, up: float = 0.0, solid: bool = True
    ) -> None:
        self._parts.append((distance, polygon, colour, up, solid))

    def ball(
        self, distance: float, centre: F64, radius: tuple[float, float], colour: Colour, up: float
    ) -> None:
        self.add(distance, centre + RING * radius, colour, up)

    def sketch(self) -> Sketch:
        out = Sketch()
        parts = sorted(self._parts, key=lambda part: -part[0])
        normals = np.zeros((len(parts), 3))
        normals[:, 2] = [up for *_, up, _ in parts]
        tints = self._sun.tint(np.array([part[2] for part in parts]), normals, self._veil)
        for part, (red, green, blue) in zip(parts, tints.tolist(), strict=True):
            out.add(part[1], (red, green, blue), part[4])
        return out


def sketch_person(
    camera: Camera, pose: Pose, look: Look, action: Action, phase: float, sun: Sun
) -> Sketch:
    """A person as the camera sees them; empty when too near to draw."""
    rows = joints(look, action, phase)
    extra = trunk(look, rows)
    h = look.stature if action != "ride" else 1.72
    back = np.array([[-0.11 * h, 0, 0.79 * h], [-0.1 * h, 0, 0.6 * h]]) - (0, 0, 0.0)
    top = np.array([[0.06 * h, -0.04 * h, 1.18 * h]])
    face = rows[15] + np.array(
        [
            [0.03 * h, 0, -0.008 * h],
            [-0.014 * h, 0, 0.014 * h],
            [0.055 * h, 0.02 * h, 0.012 * h],
            [0.055 * h, -0.02 * h, 0.012 * h],
            [-0.05 * h, 0, -0.07 * h],
            [0.0, 0, 0.06 * h],
        ]
    )
    if action == "ride":
        back = back - (0.18, 0, -0.16)
    canopy = disc_at(0.06 * h, 1.1 * h, 0.48, 0.48)
    figure = Figure(camera, pose, sun, rows, [*extra, back, face, canopy, top])
    if not figure.ok:
        return Sketch()
    add_limbs(figure, look, h)
    add_trunk(figure, look)
    add_head(figure, look, h)
    add_baggage(figure, look, h)
    return figure.sketch()


def add_limbs(figure: Figure, look: Look, h: float) -> None:
    """Legs and arms; clothes end where sleeves and trousers do."""
    b = look.build
    bare = look.legs in ("shorts", "skirt", "dress")
    shin = look.skin if bare else shade(look.bottom, 0.96)
    fore = look.skin if look.sleeves == "short" else shade(look.top, 0.95)
    plan = [
        (0, 2, 0.058, 0.042, look.bottom),
        (2, 4, 0.04, 0.029, shin),
        (4, 6, 0.029, 0.024, look.shoes),
        (8, 10, 0.036, 0.03, shade(look.top, 0.93)),
        (10, 12, 0.029, 0.021, fore),
    ]
    pairs = [(a + s, c + s, ra, rb, colour, s) for a, c, ra, rb, colour in plan for s in (0, 1)]
    a = np.array([pair[0] for pair in pairs])
    c = np.array([pair[1] for pair in pairs])
    first = np.array([pair[2] for pair in pairs]) * h * b * figure.scale[a]
    last = np.array([pair[3] for pair in pairs]) * h * b * figure.scale[c]
    outlines = capsules(figure.pixels[a], figure.pixels[c], first, last)
    middle = (figure.distance[a] + figure.distance[c]) / 2
    fine = figure.scale[15] * h > 45
    mean = float(middle[:4].mean())
    for i, (_, _, _, _, colour, _) in enumerate(pairs):
        tone = 0.86 if middle[i] > mean + 0.02 else 1.0
        key = float(middle[i]) + (0.12 if i < 6 else -0.04)
        figure.add(key, outlines[i], shade(colour, tone * (0.9 if fine else 1.0)))
        if fine:
            inner = (outlines[i] - outlines[i].mean(axis=0)) * (0.5, 0.94) + outlines[i].mean(
                axis=0
            )
            inner[:, 0] -= first[i] * 0.25
            figure.add(key - 1e-4, inner, shade(colour, 1.06 * tone), solid=False)
    if not fine:
        return
    for side in (12, 13):
        size = 0.024 * h * figure.scale[side]
        figure.ball(
            float(figure.distance[side]) - 0.05, figure.pixels[side], (size, size), look.skin, 0
        )


def add_trunk(figure: Figure, look: Look) -> None:
    """Torso in two tones, hips, skirt or coat, vest."""
    chest = hull(np.concatenate([figure.group(0), figure.group(1), figure.group(2)]))
    belly = hull(np.concatenate([figure.group(2), figure.group(3)]))
    far = float(figure.distance[14] + figure.distance[0]) / 2
    long = look.legs in ("dress", "coat")
    skirt = look.top if long else look.bottom
    low = hull(np.concatenate([figure.group(3), figure.group(4)]))
    figure.add(
        far - (0.06 if look.legs in ("skirt", "dress", "coat") else -0.05), low, shade(skirt, 0.94)
    )
    figure.add(far - 0.01, belly, look.top)
    figure.add(far - 0.011, chest, look.top, up=0.2)
    wide = float(np.ptp(chest[:, 0]))
    if wide < 8:
        return
    both = hull(np.concatenate([chest, belly]))
    centre = both.mean(axis=0)
    dark = (both - centre) * (0.55, 0.96) + centre + (wide * 0.2, 0)
    figure.add(far - 0.012, dark, shade(look.top, 0.88), solid=False)
    front = figure.distance[15] > figure.distance[figure.sides[6]]
    if look.vest:
        figure.add(far - 0.013, (chest - centre) * 0.92 + centre, (222, 238, 60), solid=False)
        figure.add(
            far - 0.014, (chest - centre) * (0.9, 0.14) + centre, (226, 228, 226), solid=False
        )
    elif front and look.legs == "coat":
        figure.add(far - 0.013, (chest - centre) * (0.16, 0.94) + centre, look.accent, solid=False)


def add_head(figure: Figure, look: Look, h: float) -> None:
    """Neck, hair, face, hat; the face shows when it is nearer than the hair."""
    base = figure.sides[6]
    scale = float(figure.scale[15])
    r = 0.062 * h * scale
    neck = capsules(
        figure.pixels[14:15], figure.pixels[15:16], np.array([r * 0.55]), np.array([r * 0.5])
    )[0]
    near = float(figure.distance[15])
    face, hair = float(figure.distance[base]), float(figure.distance[base + 1])
    figure.add(near + 0.03, neck, shade(look.skin, 0.8))
    bald = look.hair_style == "bald"
    if look.hat == "helmet":
        figure.ball(near - 0.3, figure.pixels[15], (r * 1.42, r * 1.5), look.accent, 0.4)
        if face < hair:
            figure.ball(near - 0.31, figure.pixels[base], (r * 0.9, r * 0.5), (34, 36, 42), 0)
        return
    figure.ball(
        hair - 0.14,
        figure.pixels[base + 1],
        (r * 1.1, r * 1.22),
        look.skin if bald else look.hair,
        0.3,
    )
    figure.ball(face - 0.14, figure.pixels[base], (r * 0.9, r * 1.12), look.skin, 0.1)
    if look.hair_style == "long":
        down = capsules(
            figure.pixels[15:16],
            figure.pixels[base + 4 : base + 5],
            np.array([r * 1.05]),
            np.array([r * 0.9]),
        )
        figure.add(float(figure.distance[base + 4]) - 0.06, down[0], shade(look.hair, 0.9))
    if look.hair_style == "bun":
        figure.ball(
            float(figure.distance[base + 1]) - 0.15,
            figure.pixels[base + 1] - (0, r),
            (r * 0.5, r * 0.5),
            look.hair,
            0,
        )
    if look.hat != "none":
        cap = figure.pixels[base + 5] + RING * (r * 1.12, r * 0.72)
        figure.add(min(face, hair) - 0.15, cap, look.accent, 0.4)
    if face < hair - 0.02 and r > 6:
        for eye in (2, 3):
            spot = figure.pixels[base + eye] + RING * (r * 0.11, r * 0.1)
            figure.add(face - 0.145, spot, shade(look.hair, 0.5), solid=False)
        mouth = (
            figure.pixels[base + 2 : base + 4].mean(axis=0)
            + (0, r * 0.7)
            + RING * (r * 0.26, r * 0.06)
        )
        figure.add(face - 0.145, mouth, (150, 84, 78), solid=False)


def add_baggage(figure: Figure, look: Look, h: float) -> None:
    """Backpack, handbag or umbrella."""
    pack = figure.sides[5]
    scale = float(figure.scale[pack])
    if look.carries == "backpack":
        sizes = np.array([0.075 * h * scale]), np.array([0.085 * h * scale])
        body = capsules(figure.pixels[pack : pack + 1], figure.pixels[pack + 1 : pack + 2], *sizes)[
            0
        ]
        figure.add(float(figure.distance[pack]) - 0.05, body, look.accent)
        pocket = (body - body.mean(axis=0)) * (0.7, 0.4) + figure.pixels[pack + 1]
        if figure.distance[pack] < figure.distance[14]:
            figure.add(
                float(figure.distance[pack]) - 0.06, pocket, shade(look.accent, 0.8), solid=False
            )
    elif look.carries == "handbag":
        at = figure.pixels[12] + (0, 0.05 * h * scale)
        bag = at + np.array([(-1, -0.7), (1, -0.7), (1.25, 1), (-1.25, 1)]) * (0.055 * h * scale)
        figure.add(float(figure.distance[12]) - 0.03, bag, look.accent)
    elif look.carries == "umbrella":
        tip = figure.pixels[figure.sides[8]]
        near = float(figure.distance[15])
        rod = np.array([figure.pixels[13], tip])
        stick = capsules(rod[:1], rod[1:], np.array([0.012 * scale]), np.array([0.012 * scale]))[0]
        figure.add(near - 0.2, stick, (60, 60, 64))
        ring = figure.group(7)
        figure.add(near - 0.4, hull(np.concatenate([ring, tip[None]])), look.accent, 0.5)
        for i in range(0, 10, 2):
            gore = np.array([ring[i], ring[(i + 1) % 10], tip])
            figure.add(near - 0.41, gore, shade(look.accent, 0.88), solid=False)
