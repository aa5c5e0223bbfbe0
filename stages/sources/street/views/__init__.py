"""The views: where each camera hangs, and the street in front of it. Each is a file of placements,
in metres, and its `layout` places what is drawn by chance: (generator, width and height in pixels)
-> `Layout`."""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from stages.sources.street.layout import Layout
from stages.sources.street.views import corridor, highway, junction, overhead, pavement, street

View = Literal["pavement", "street", "junction", "highway", "overhead", "corridor"]
VIEWS: tuple[View, ...] = get_args(View)

LAYOUTS: dict[View, Callable[[np.random.Generator, int, int], Layout]] = {
    "pavement": pavement.layout,
    "street": street.layout,
    "junction": junction.layout,
    "highway": highway.layout,
    "overhead": overhead.layout,
    "corridor": corridor.layout,
}
