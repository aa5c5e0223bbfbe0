"""The still picture behind everything that moves: sky, ground, houses, trees, lamps."""

import cv2
import numpy as np

from stages.sources.street.camera import F64, U8, Camera
from stages.sources.street.layout import Area, House, Layout, Post, Tree
from stages.sources.street.mood import Mood
from stages.sources.street.painter import SHIFT, Cover, fixed
from stages.sources.street.solid import Colour
from stages.sources.street.vehicles import pick, shade

WALLS: list[Colour] = [
    (196, 120, 92), (206, 186, 152), (224, 214, 194), (150, 108, 88), (184, 190, 194), (214, 170, 132),
    (168, 176, 160), (228, 206, 168), (140, 146, 156), (232, 226, 216), (176, 142, 140),
]  # fmt: skip
AWNINGS: list[Colour] = [(168, 52, 48), (44, 92, 84), (42, 66, 112), (206, 150, 60), (90, 60, 90), (222, 216, 204)]
LEAVES: list[Colour] = [(74, 112, 58), (92, 128, 62), (58, 98, 64), (128, 132, 60), (150, 120, 58)]
PANE: Colour = (78, 92, 108)
LIT: Colour = (255, 214, 140)
HEAD: Colour = (255, 244, 214)
OVERSAMPLE = 2
COVER_REACH_M = 75.0


class Backdrop:
    """Paints the still picture once. `image` (H, W, 3) by daylight; `glow` (H, W) how
    brightly windows and lamps shine at night; `covers` the still things near enough to hide others."""

    def __init__(self, layout: Layout, mood: Mood, rng: np.random.Generator) -> None:
        self._camera = layout.camera.scaled(OVERSAMPLE)
        self._mood, self._rng = mood, rng
        shape = (self._camera.height, self._camera.width)
        self._big: U8 = np.zeros((*shape, 3), dtype=np.uint8)
        self._lit: U8 = np.zeros(shape, dtype=np.uint8)
        self._mask: U8 = np.zeros(shape, dtype=np.uint8)
        self._sky()
        rough = np.zeros(shape, dtype=np.uint8)
        for area in layout.areas:
            self._area(area, rough)
        self._grain(rough)
        eye = self._camera.origin
        things: list[House | Tree | Post] = [*layout.houses, *layout.trees, *layout.posts]
        self.covers: list[Cover] = []
        for thing in sorted(things, key=lambda t: -distance(t, eye)):
            self._mask[:] = 0
            if isinstance(thing, House):
                self._indoor_wall(thing) if layout.indoor else self._house(thing)
            elif isinstance(thing, Tree):
                self._tree(thing)
                self._lit[self._mask > 127] = 0
            else:
                self._post(thing)
            if distance(thing, eye) < COVER_REACH_M:
                self._cover(thing)
        if layout.indoor:
            self._ceiling()
        size = (layout.camera.width, layout.camera.height)
        self.image: U8 = np.asarray(cv2.resize(self._big, size, interpolation=cv2.INTER_AREA))
        self.glow: U8 = np.asarray(cv2.resize(self._lit, size, interpolation=cv2.INTER_AREA))

    def _fill(self, points: list[tuple[float, float, float]] | F64, colour: Colour, *, hides: bool = False) -> None:
        corners = np.array(points, dtype=np.float64)
        polygon = self._camera.polygon(corners)
        if polygon is None:
            return
        veil = 1 - np.exp(-float(np.linalg.norm(corners.mean(axis=0) - self._camera.origin)) / self._mood.sun.fog_reach_m)
        mixed = [a * (1 - veil) + b * veil for a, b in zip(colour, self._mood.sun.fog, strict=True)]
        cv2.fillPoly(self._big, [fixed(polygon)], mixed, cv2.LINE_AA, SHIFT)
        if hides:
            cv2.fillPoly(self._mask, [fixed(polygon)], (255,), cv2.LINE_AA, SHIFT)
            cv2.fillPoly(self._lit, [fixed(polygon)], (0,), cv2.LINE_8, SHIFT)

    def _cover(self, thing: House | Tree | Post) -> None:
        """Notes what the mask holds of the thing just painted."""
        x, y, w, h = cv2.boundingRect(self._mask)
        x0, y0, x1, y1 = x // 2, y // 2, (x + w + 1) // 2, (y + h + 1) // 2
        if w == 0 or h == 0 or x1 <= x0 or y1 <= y0:
            return
        part = self._mask[y0 * 2 : y1 * 2, x0 * 2 : x1 * 2].astype(np.float32) / 255
        alpha = part.reshape(y1 - y0, 2, x1 - x0, 2).mean(axis=(1, 3))[..., None]
        self.covers.append(Cover(ground_of(thing), (x0, y0, x1, y1), alpha.astype(np.float32)))

    def _shine(self, points: list[tuple[float, float, float]], level: float) -> None:
        polygon = self._camera.polygon(np.array(points, dtype=np.float64))
        if polygon is not None:
            cv2.fillPoly(self._lit, [fixed(polygon)], (255 * level,), cv2.LINE_8, SHIFT)

    def _sky(self) -> None:
        height, width = self._lit.shape
        end = max(self._camera.horizon_px, height * 0.2)
        part = np.clip(np.arange(height) / end, 0, 1)[:, None] ** 0.8
        column = np.array(self._mood.sky_top) * (1 - part) + np.array(self._mood.sky_low) * part
        sky = np.repeat(column[:, None], width, axis=1)
        cloud = cloud_field(self._rng, width, height)[..., None]
        strength = 0.75 if self._mood.weather == "clear" else 0.3
        white = np.array(self._mood.sky_low) * 0.55 + 255 * 0.45 * max(self._mood.ambient)
        sky += (white - sky) * cloud * strength * (1 - part[:, None] * 0.3)
        self._big[:] = np.clip(sky, 0, 255).astype(np.uint8)
        self._skyline(end, width)

    def _skyline(self, horizon: float, width: int) -> None:
        """Hills and far roofs, pale on the horizon."""
        for step, tone in ((0.05, 0.8), (0.03, 0.68)):
            x = np.linspace(0, width, 60)
            bumps = np.abs(self._rng.normal(0, 1, 60)).cumsum() * 0
            wave = np.sin(x / width * self._rng.uniform(4, 9) + self._rng.uniform(0, 6)) + bumps
            top = horizon - width * step * (0.6 + 0.3 * wave)
            ring = np.concatenate([np.column_stack([x, top]), [[width, horizon + 9], [0, horizon + 9]]])
            tint = np.array(self._mood.sun.fog) * tone * (0.35 if self._mood.ambient[0] < 0.4 else 1)
            cv2.fillPoly(self._big, [fixed(ring)], tint.tolist(), cv2.LINE_AA, SHIFT)

    def _area(self, area: Area, rough: U8) -> None:
        polygon = self._camera.polygon(np.array([(x, y, 0.0) for x, y in area.corners]))
        if polygon is not None:
            colour = shade(area.colour, self._mood.wet)
            cv2.fillPoly(self._big, [fixed(polygon)], colour, cv2.LINE_AA, SHIFT)
            cv2.fillPoly(rough, [fixed(polygon)], (area.texture * 8,), cv2.LINE_8, SHIFT)

    def _grain(self, rough: U8) -> None:
        """Grain, patches and stains that lie on the ground in perspective."""
        height, width = self._lit.shape
        top = int(np.clip(self._camera.horizon_px + 4, 0, height - 1))
        rows, columns = np.mgrid[top:height:2, 0:width:2]
        pixels = np.column_stack([columns.ravel(), rows.ravel()]).astype(np.float64)
        where = self._camera.ground(pixels).reshape(*rows.shape, 2)
        depth = np.hypot(*(where - self._camera.origin[:2]).transpose(2, 0, 1))
        total = np.zeros(rows.shape)
        for metres, weight, fade in ((0.035, 0.75, 22.0), (0.3, 0.7, 90.0), (1.7, 0.8, 400.0)):
            tile = self._rng.normal(0, 1, (256, 256)).astype(np.float32)
            tile = cv2.GaussianBlur(tile, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT) * 2.6
            at = ((where / metres) % 256).astype(np.float32)
            value = cv2.remap(tile, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            total += value * weight * np.exp(-depth / fade)
        size = (width, height - top)
        grain = cv2.resize(total.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        level = rough[top:].astype(np.float32) / 8 * grain * 0.45
        veil = cv2.resize(1 - np.exp(-depth / self._mood.sun.fog_reach_m), size)[..., None]
        ground = (self._big[top:] + level[..., None]) * (1 - veil) + np.array(self._mood.sun.fog) * veil
        self._big[top:] = np.clip(ground, 0, 255).astype(np.uint8)

    def _house(self, house: House) -> None:
        wall = pick(self._rng, WALLS)
        if house.plain:
            wall = (158, 156, 150)
        x0, y0, x1, y1, top = house.x0, house.y0, house.x1, house.y1, house.height_m
        eye = self._camera.origin
        sides = [
            ((x0, y0), (x1, y0), eye[1] < y0, (0.0, -1.0)), ((x1, y1), (x0, y1), eye[1] > y1, (0.0, 1.0)),
            ((x0, y1), (x0, y0), eye[0] < x0, (-1.0, 0.0)), ((x1, y0), (x1, y1), eye[0] > x1, (1.0, 0.0)),
        ]  # fmt: skip
        if eye[2] > top:
            self._fill([(x0, y0, top), (x1, y0, top), (x1, y1, top), (x0, y1, top)], (150, 144, 138), hides=True)
        awning = AWNINGS[int(self._rng.integers(len(AWNINGS)))]
        shop = bool(self._rng.random() < 0.65)
        for a, c, shown, outward in sides:
            facing = max(0.0, float(self._mood.sun.toward[:2] @ np.array(outward)))
            tone = self._mood.sun.ambient * 0.95 + self._mood.sun.direct * facing
            if shown:
                self._facade(a, c, top, shade(wall, tone), awning if shop else None, plain=house.plain)

    def _facade(
        self, a: tuple[float, float], c: tuple[float, float], top: float, wall: Colour, awning: Colour | None, *, plain: bool
    ) -> None:
        span = np.hypot(c[0] - a[0], c[1] - a[1])

        def plate(u0: float, u1: float, z0: float, z1: float) -> list[tuple[float, float, float]]:
            ends = [(a[0] + (c[0] - a[0]) * u / span, a[1] + (c[1] - a[1]) * u / span) for u in (u0, u1)]
            return [(*ends[0], z0), (*ends[0], z1), (*ends[1], z1), (*ends[1], z0)]

        self._fill(plate(0, span, 0, top), wall, hides=True)
        if plain:
            self._fill(plate(0, span, top - 0.1, top), shade(wall, 1.15))
            return
        self._fill(plate(0, span, 0, 0.5), shade(wall, 0.72))
        self._fill(plate(0, span, top - 0.45, top), shade(wall, 1.12))
        across = max(2, int(span / 2.4))
        pitch = span / across
        for floor in range(1, max(2, int((top - 0.9) / 3.0))):
            z = 0.9 + 3.0 * floor
            for i in range(across):
                self._window(plate, i * pitch + pitch * 0.26, (i + 1) * pitch - pitch * 0.26, z, z + 1.65, wall)
        if awning is None:
            for i in range(across):
                self._window(plate, i * pitch + pitch * 0.26, (i + 1) * pitch - pitch * 0.26, 0.9, 2.6, wall)
            self._fill(plate(pitch * 0.2, pitch * 0.8, 0, 2.5), shade(wall, 0.45))
            return
        self._fill(plate(0.4, span - 0.4, 0.5, 2.7), shade(PANE, 0.8))
        for i in range(across):
            u0, u1 = 0.5 + i * (span - 0.9) / across, 0.4 + (i + 0.93) * (span - 0.9) / across
            tone = shade(PANE, float(self._rng.uniform(0.9, 1.5)))
            self._fill(plate(u0, u1, 0.6, 2.6), tone if self._rng.random() < 0.8 else shade(awning, 0.7))
            self._shine(plate(u0, u1, 0.6, 2.6), float(self._rng.uniform(0.5, 1)))
        self._fill(plate(0.2, span - 0.2, 2.7, 3.35), awning)
        self._fill(plate(span * 0.25, span * 0.7, 2.88, 3.16), shade(awning, 1.6))

    def _window(self, plate: "object", u0: float, u1: float, z0: float, z1: float, wall: Colour) -> None:
        assert callable(plate)
        self._fill(plate(u0 - 0.1, u1 + 0.1, z0 - 0.12, z1 + 0.1), shade(wall, 1.16))
        self._fill(plate(u0, u1, z0, z1), shade(PANE, float(self._rng.uniform(0.8, 1.45))))
        self._fill(plate((u0 + u1) / 2 - 0.03, (u0 + u1) / 2 + 0.03, z0, z1), shade(wall, 1.16))
        if self._rng.random() < 0.32:
            self._shine(plate(u0, u1, z0, z1), float(self._rng.uniform(0.4, 1)))

    def _indoor_wall(self, house: House) -> None:
        x0, y0, x1, y1, top = house.x0, house.y0, house.x1, house.y1, house.height_m
        paint: Colour = (214, 210, 200)
        door: Colour = pick(self._rng, [(120, 86, 60), (86, 104, 120), (150, 140, 124)])
        faces = [((x1, y0), (x1, y1)), ((x0, y1), (x0, y0)), ((x0, y0), (x1, y0)), ((x1, y1), (x0, y1))]
        eye = self._camera.origin
        shown = [eye[0] > x1, eye[0] < x0, eye[1] < y0, eye[1] > y1]
        for (a, c), seen, tone in zip(faces, shown, (0.96, 0.9, 1.02, 0.8), strict=True):
            if not seen:
                continue
            self._fill([(*a, 0), (*a, top), (*c, top), (*c, 0)], shade(paint, tone))
            self._fill([(*a, 0), (*a, 0.14), (*c, 0.14), (*c, 0)], (110, 104, 98))
            self._fill([(*a, 1.0), (*a, 1.1), (*c, 1.1), (*c, 1.0)], shade(door, 1.3))
            if abs(a[0] - c[0]) > 0.1:
                continue
            low, high = sorted((a[1], c[1]))
            for y in np.arange(low + 2.2, high - 1.2, 4.6).tolist():
                self._fill([(a[0], y, 0), (a[0], y, 2.1), (a[0], y + 1, 2.1), (a[0], y + 1, 0)], shade(door, tone))
                self._fill([(a[0], y + 1.7, 1.4), (a[0], y + 1.7, 2.1), (a[0], y + 2.5, 2.1), (a[0], y + 2.5, 1.4)], pick(self._rng, AWNINGS))

    def _ceiling(self) -> None:
        for y in np.arange(3, 40, 4.0).tolist():
            self._fill([(-0.6, y, 3.3), (0.6, y, 3.3), (0.6, y + 1.4, 3.3), (-0.6, y + 1.4, 3.3)], (255, 253, 244))

    def _tree(self, tree: Tree) -> None:
        seen = self._camera.view(np.array([[tree.x, tree.y, 0.0], [tree.x, tree.y, tree.height_m]]))
        if seen[:, 2].min() < 1:
            return
        (x, low), (_, high) = self._camera.flatten(seen)
        scale = self._camera.focal_px / float(seen[:, 2].mean())
        trunk = 0.09 * tree.height_m / 5 * scale
        veil = 1 - np.exp(-float(seen[0, 2]) / self._mood.sun.fog_reach_m)
        bark = np.array((86, 68, 54)) * (1 - veil) + np.array(self._mood.sun.fog) * veil
        post = np.array([(x - trunk, low), (x - trunk * 0.6, high), (x + trunk * 0.6, high), (x + trunk, low)])
        cv2.fillPoly(self._big, [fixed(post)], bark.tolist(), cv2.LINE_AA, SHIFT)
        cv2.fillPoly(self._mask, [fixed(post)], (255,), cv2.LINE_AA, SHIFT)
        base = np.array(pick(self._rng, LEAVES))
        spread = 0.3 * tree.height_m * scale
        centre = high * 0.72 + low * 0.28
        for layer in range(46):
            turn, out = self._rng.uniform(0, 2 * np.pi), spread * np.sqrt(self._rng.random())
            cx, cy = x + out * np.cos(turn), centre + out * np.sin(turn) * 0.92
            light = 0.68 + 0.34 * (layer / 46) - 0.22 * (cy - centre) / spread
            tone = base * light * (1 - veil) + np.array(self._mood.sun.fog) * veil
            radius = spread * self._rng.uniform(0.16, 0.34) * (1 - 0.4 * layer / 46)
            at, size = (int(cx * 16), int(cy * 16)), int(radius * 16)
            cv2.circle(self._big, at, size, np.clip(tone, 0, 255).tolist(), -1, cv2.LINE_AA, SHIFT)
            cv2.circle(self._mask, at, size, (255,), -1, cv2.LINE_AA, SHIFT)

    def _post(self, post: Post) -> None:
        h = post.height_m
        spine = np.array([(post.x, post.y, 0.0), (post.x, post.y, h), (post.x + post.dx, post.y + post.dy, h + 0.25)])
        seen = self._camera.view(spine)
        if seen[:, 2].min() < 1:
            return
        line = fixed(self._camera.flatten(seen))
        wide = max(1, round(0.11 * self._camera.focal_px / float(seen[0, 2])))
        cv2.polylines(self._big, [line], False, (84, 88, 92), wide, cv2.LINE_AA, SHIFT)
        cv2.polylines(self._mask, [line], False, (255,), wide, cv2.LINE_AA, SHIFT)
        head = self._camera.project(spine[2:])[0]
        size = max(2, int(0.2 * self._camera.focal_px / float(seen[2, 2])))
        at = (int(head[0] * 16), int(head[1] * 16))
        lit = self._mood.lamps_on
        cv2.circle(self._big, at, size * 8, HEAD if lit else (120, 122, 124), -1, cv2.LINE_AA, SHIFT)
        if lit:
            cv2.circle(self._lit, at, size * 10, (255,), -1, cv2.LINE_8, SHIFT)


def cloud_field(rng: np.random.Generator, width: int, height: int) -> F64:
    """(H, W) soft cloud cover, 0..1."""
    cover = np.zeros((height, width), dtype=np.float32)
    for cells in (4, 8, 16, 32):
        noise = rng.normal(0, 1, (cells, cells * 2)).astype(np.float32)
        cover += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) / cells**0.6
    return np.clip(cover.astype(np.float64) * 0.9, 0, 1)


def distance(thing: House | Tree | Post, eye: F64) -> float:
    """From the camera to the middle of a thing."""
    if isinstance(thing, House):
        x = float(np.clip(eye[0], min(thing.x0, thing.x1), max(thing.x0, thing.x1)))
        y = float(np.clip(eye[1], min(thing.y0, thing.y1), max(thing.y0, thing.y1)))
        return float(np.hypot(x - eye[0], y - eye[1]))
    return float(np.hypot(thing.x - eye[0], thing.y - eye[1])) - 0.3


def ground_of(thing: House | Tree | Post) -> F64:
    """(4, 2) corners of the ground a thing stands on."""
    if isinstance(thing, House):
        (x0, x1), (y0, y1) = sorted((thing.x0, thing.x1)), sorted((thing.y0, thing.y1))
    else:
        x0, y0, x1, y1 = thing.x - 0.12, thing.y - 0.12, thing.x + 0.12, thing.y + 0.12
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
