"""The cost of a frame grows far slower than zones times tracks: no loop in Python over both."""

import numpy as np

from benchmarks.zones import crowd, lines, times_ms, zones
from stages.zones import Rules


def test_a_hundred_times_the_pairs_cost_no_tenfold_and_some() -> None:
    """The least of several turns, in which large and small take turns on the same machine."""
    few, many = crowd(10, 120), crowd(100, 120)
    for small, large in (
        (Rules(zones=zones(5)), Rules(zones=zones(50))),
        (Rules(lines=lines(5)), Rules(lines=lines(50))),
    ):
        turns = [
            (float(np.median(times_ms(small, few))), float(np.median(times_ms(large, many))))
            for _ in range(3)
        ]
        least_small, least_large = (min(times) for times in zip(*turns, strict=True))
        assert least_large < 15 * least_small
