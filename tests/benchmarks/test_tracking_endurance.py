"""The short form of the endurance run: what lives is bounded, and nothing is kept of the rest."""

import gc
import tracemalloc

from benchmarks.tracking_endurance import churn, endure
from stages.tracking import Tracker


def test_living_tracks_stay_few_through_churn() -> None:
    for part in endure(900, parts=3, objects=12):
        assert part.ids > 0
        assert part.most_alive <= 40


def test_a_tracker_keeps_nothing_of_what_is_gone() -> None:
    tracker, scene, held_bytes = Tracker(), churn(12, seed=0), list[int]()
    tracemalloc.start()
    try:
        for _ in range(3):
            for _ in range(400):
                tracker.update(*next(scene))
            gc.collect()
            held = tracemalloc.take_snapshot().filter_traces(
                [tracemalloc.Filter(True, "*/stages/tracking/*")]
            )
            held_bytes.append(sum(trace.size for trace in held.traces))
    finally:
        tracemalloc.stop()
    assert 0 < held_bytes[-1] <= held_bytes[0] + 8_000
