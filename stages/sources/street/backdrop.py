"""The still picture behind everything that moves."""

from dataclasses import dataclass

import numpy as np

from stages.sources.street.camera import F64, U8
from stages.sources.street.houses import paint_ceiling, paint_house, paint_indoor_wall
from stages.sources.street.layout import House, Layout, Post, Tree
from stages.sources.street.mood import Mood
from stages.sources.street.painter import Cover
from stages.sources.street.scenery import paint_ground, paint_post, paint_sky, paint_tree
from stages.sources.street.sheet import Sheet

COVER_REACH_M = 75.0

Thing = House | Tree | Post


@dataclass(frozen=True, slots=True)
class Backdrop:
    """`image` (H, W, 3) RGB by daylight; `glow` (H, W) how brightly windows and lamps shine at
    night; `covers` the still things near enough to hide others."""

    image: U8
    glow: U8
    covers: list[Cover]


def paint_backdrop(layout: Layout, mood: Mood, rng: np.random.Generator) -> Backdrop:
    """Everything that stands still, painted once, far to near."""
    sheet = Sheet(layout.camera, mood)
    paint_sky(sheet, rng)
    if layout.indoor:
        paint_ceiling(sheet)
    paint_ground(sheet, rng, layout.areas)
    covers: list[Cover] = []
    eye = layout.camera.origin
    things: list[Thing] = [*layout.houses, *layout.trees, *layout.posts]
    for thing in sorted(things, key=lambda thing: -distance_m(thing, eye)):
        sheet.mask[:] = 0
        paint_thing(sheet, rng, thing, indoor=layout.indoor)
        if distance_m(thing, eye) < COVER_REACH_M:
            cover = sheet.cover(ground_of(thing))
            covers += [cover] if cover is not None else []
    image, glow = sheet.reduced()
    return Backdrop(image, glow, covers)


def paint_thing(sheet: Sheet, rng: np.random.Generator, thing: Thing, *, indoor: bool) -> None:
    if isinstance(thing, Tree):
        paint_tree(sheet, rng, thing)
    elif isinstance(thing, Post):
        paint_post(sheet, thing)
    elif indoor:
        paint_indoor_wall(sheet, rng, thing)
    else:
        paint_house(sheet, rng, thing)


def ground_of(thing: Thing) -> F64:
    """(4, 2) corners of the ground a thing stands on."""
    if isinstance(thing, House):
        x0, y0, x1, y1 = thing.x0, thing.y0, thing.x1, thing.y1
    else:
        x0, y0, x1, y1 = thing.x - 0.12, thing.y - 0.12, thing.x + 0.12, thing.y + 0.12
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def distance_m(thing: Thing, eye: F64) -> float:
    """From below the camera to the nearest ground of a thing."""
    ground = ground_of(thing)
    nearest = np.clip(eye[:2], ground.min(axis=0), ground.max(axis=0))
    return float(np.hypot(*(nearest - eye[:2])))
