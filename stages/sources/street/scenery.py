"""Sky, ground, trees and street lamps."""

import cv2
import numpy as np

from stages.sources.street.camera import F64, U8
from stages.sources.street.layout import Area, Post, Tree
from stages.sources.street.painter import SHIFT, fixed
from stages.sources.street.palette import Colour, mix, pick, shade
from stages.sources.street.sheet import Sheet

LEAVES: list[Colour] = [(74, 112, 58), (92, 128, 62), (58, 98, 64), (128, 132, 60), (150, 120, 58)]
BARK: Colour = (86, 68, 54)
STEEL: Colour = (84, 88, 92)
LAMP_ON: Colour = (255, 244, 214)
LAMP_OFF: Colour = (120, 122, 124)
LEAF_BLOBS = 46

# Grain of asphalt, patches, stains: size of one noise cell in metres, weight, depth it fades over.
GRAINS = ((0.035, 0.75, 22.0), (0.3, 0.7, 90.0), (1.7, 0.8, 400.0))


def paint_sky(sheet: Sheet, rng: np.random.Generator) -> None:
    """A gradient with soft clouds, and hills on the horizon."""
    mood, (height, width) = sheet.mood, sheet.lit.shape
    horizon = max(sheet.camera.horizon_px, height * 0.2)
    part = np.clip(np.arange(height) / horizon, 0, 1)[:, None] ** 0.8
    column = np.array(mood.sky_top) * (1 - part) + np.array(mood.sky_low) * part
    sky = np.repeat(column[:, None], width, axis=1)
    cloud = cloud_field(rng, width, height)[..., None]
    strength = 0.75 if mood.weather == "clear" else 0.3
    white = np.array(mood.sky_low) * 0.55 + 255 * 0.45 * max(mood.ambient)
    sky += (white - sky) * cloud * strength * (1 - part[:, None] * 0.3)
    sheet.image[:] = np.clip(sky, 0, 255).astype(np.uint8)
    for step, tone in ((0.05, 0.8), (0.03, 0.68)):
        x = np.linspace(0, width, 60)
        wave = np.sin(x / width * rng.uniform(4, 9) + rng.uniform(0, 6))
        top = horizon - width * step * (0.6 + 0.3 * wave)
        ring = np.concatenate([np.column_stack([x, top]), [[width, horizon + 9], [0, horizon + 9]]])
        hills = shade(mood.sun.fog, tone * (0.35 if mood.ambient[0] < 0.4 else 1.0))
        cv2.fillPoly(sheet.image, [fixed(ring)], hills, cv2.LINE_AA, SHIFT)


def cloud_field(rng: np.random.Generator, width: int, height: int) -> F64:
    """(H, W) soft cloud cover, 0..1."""
    cover: F64 = np.zeros((height, width))
    for cells in (4, 8, 16, 32):
        noise = rng.normal(0, 1, (cells, cells * 2)).astype(np.float32)
        cover += enlarge(noise, (width, height), cv2.INTER_CUBIC) / cells**0.6
    return np.clip(cover * 0.9, 0, 1)


def enlarge(values: F64 | np.ndarray[tuple[int, ...], np.dtype[np.float32]], size: tuple[int, int],
            how: int = cv2.INTER_LINEAR) -> F64:  # fmt: skip
    return np.asarray(cv2.resize(values, size, interpolation=how), dtype=np.float64)


def paint_ground(sheet: Sheet, rng: np.random.Generator, areas: list[Area]) -> None:
    """The areas one over another, then grain and fog over all of them."""
    rough: U8 = np.zeros_like(sheet.lit)
    for area in areas:
        polygon = sheet.camera.polygon(np.array([(x, y, 0.0) for x, y in area.corners]))
        if polygon is not None:
            colour = shade(area.colour, sheet.mood.wet)
            cv2.fillPoly(sheet.image, [fixed(polygon)], colour, cv2.LINE_AA, SHIFT)
            cv2.fillPoly(rough, [fixed(polygon)], (area.texture * 8,), cv2.LINE_8, SHIFT)
    height, width = rough.shape
    top = int(np.clip(sheet.camera.horizon_px + 4, 0, height - 2))
    rows, columns = np.mgrid[top:height:2, 0:width:2]
    pixels = np.column_stack([columns.ravel(), rows.ravel()]).astype(np.float64)
    where = sheet.camera.ground(pixels).reshape(*rows.shape, 2)
    depth = np.hypot(*(where - sheet.camera.origin[:2]).transpose(2, 0, 1))
    size = (width, height - top)
    level = rough[top:] / 8 * enlarge(grain(rng, where, depth), size) * 0.45
    veil = enlarge(1 - np.exp(-depth / sheet.mood.sun.fog_reach_m), size)[..., None]
    fog = np.array(sheet.mood.sun.fog)
    ground = (sheet.image[top:] + level[..., None]) * (1 - veil) + fog * veil
    sheet.image[top:] = np.clip(ground, 0, 255).astype(np.uint8)


def grain(rng: np.random.Generator, where: F64, depth: F64) -> F64:
    """Noise that lies on the ground in perspective: at ground points (h, w, 2), about unit size."""
    total = np.zeros(depth.shape)
    for metres, weight, fade in GRAINS:
        tile = rng.normal(0, 1, (256, 256)).astype(np.float32)
        soft = cv2.GaussianBlur(tile, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT)
        at = ((where / metres) % 256).astype(np.float32)
        value = cv2.remap(
            soft, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        total += np.asarray(value, dtype=np.float64) * 2.6 * weight * np.exp(-depth / fade)
    return total


def paint_tree(sheet: Sheet, rng: np.random.Generator, tree: Tree) -> None:
    """A trunk and a crown of leafy blobs, lighter towards the top."""
    foot, tip = [tree.x, tree.y, 0.0], [tree.x, tree.y, tree.height_m]
    seen = sheet.camera.view(np.array([foot, tip]))
    if seen[:, 2].min() < 1:
        return
    (x, low), (_, high) = sheet.camera.flatten(seen).tolist()
    scale = sheet.camera.focal_px / float(seen[:, 2].mean())
    veil, fog = sheet.veil(float(seen[0, 2])), sheet.mood.sun.fog
    half = 0.018 * tree.height_m * scale
    trunk = [(x - half, low), (x - half * 0.6, high), (x + half * 0.6, high), (x + half, low)]
    sheet.shape(np.array(trunk), mix(BARK, fog, veil))
    leaves, spread, centre = (
        pick(rng, LEAVES),
        0.3 * tree.height_m * scale,
        high * 0.72 + low * 0.28,
    )
    for layer in range(LEAF_BLOBS):
        turn, out = rng.uniform(0, 2 * np.pi), spread * np.sqrt(rng.random())
        cx, cy = x + out * np.cos(turn), centre + out * np.sin(turn) * 0.92
        light = 0.68 + 0.34 * layer / LEAF_BLOBS - 0.22 * (cy - centre) / spread
        radius = spread * rng.uniform(0.16, 0.34) * (1 - 0.4 * layer / LEAF_BLOBS)
        sheet.dot((cx, cy), radius, mix(shade(leaves, light), fog, veil))
    sheet.lit[sheet.mask > 127] = 0


def paint_post(sheet: Sheet, post: Post) -> None:
    """A street lamp; at night its head shines."""
    h = post.height_m
    head = (post.x + post.dx, post.y + post.dy, h + 0.25)
    seen = sheet.camera.view(np.array([(post.x, post.y, 0.0), (post.x, post.y, h), head]))
    if seen[:, 2].min() < 1:
        return
    pixels = sheet.camera.flatten(seen)
    wide = max(1, round(0.11 * sheet.camera.focal_px / float(seen[0, 2])))
    cv2.polylines(sheet.image, [fixed(pixels)], False, STEEL, wide, cv2.LINE_AA, SHIFT)
    cv2.polylines(sheet.mask, [fixed(pixels)], False, (255,), wide, cv2.LINE_AA, SHIFT)
    size = max(1.0, 0.1 * sheet.camera.focal_px / float(seen[2, 2]))
    x, y = pixels[2].tolist()
    sheet.dot((x, y), size, LAMP_ON if sheet.mood.lamps_on else LAMP_OFF)
    if sheet.mood.lamps_on:
        at = (int(x * 16), int(y * 16))
        cv2.circle(sheet.lit, at, int(size * 20), (255,), -1, cv2.LINE_8, SHIFT)
