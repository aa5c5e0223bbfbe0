"""Black pictures: lens cap, no light, no signal."""

from typing import Final

import numpy as np

from stages.health.finding import Finding
from stages.health.sample import Sample

DARK: Final = 24
"""Levels, of 255: sensors amplify what little there is, and coders add some."""
LAMP: Final = 80
"""One spot as bright as this is light: a working camera at night."""


def judge_black(sample: Sample) -> Finding:
    """Bad: 99 % of the picture at most `DARK`, and nothing as bright as `LAMP`."""
    light, brightest = float(np.percentile(sample.grey, 99)), int(sample.grey.max())
    bad = light <= DARK and brightest < LAMP
    return Finding(bad, f"99% of the picture is at {light:.0f} of 255 or below", {"level": light})
