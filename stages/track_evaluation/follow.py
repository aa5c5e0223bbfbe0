"""Detections of a file through a tracker."""

import numpy as np

from pipeline.core.arrays import F64
from pipeline.core.tracks import Tracks
from stages.base import Tracker
from stages.track_evaluation.mot_files import MotTable

_LEAST, _SPAN = 0.3, 0.65


def follow(tracker: Tracker, found: MotTable, frames: int, fps: float) -> list[Tracks]:
    """Tracks of each of `frames` frames, at 1 / `fps` s from one to the next. See `as_scores`."""
    score = as_scores(found.conf).astype(np.float32)
    xyxy = found.xyxy.astype(np.float32)
    return [
        tracker.update(xyxy[rows], score[rows], found.class_id[rows], frame / fps)
        for frame, rows in enumerate(found.by_frame(frames))
    ]


def as_scores(conf: F64) -> F64:
    """Confidences (M,) as scores in [0, 1]. Where one is outside, as those of older detectors that
    are no probabilities, each becomes 0.3 + 0.65 x its rank among all, 0 the lowest, 1 the highest.
    """
    if not len(conf) or (conf.min() >= 0 and conf.max() <= 1):
        return conf
    _, group, count = np.unique(conf, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2 - 1) / max(len(conf) - 1, 1)
    scores: F64 = _LEAST + _SPAN * rank[group]
    return scores


def table_of(tracks: list[Tracks]) -> MotTable:
    """Tracks of every frame as the lines of a file."""
    counts = [len(some) for some in tracks]
    return MotTable(
        frame=np.repeat(np.arange(len(tracks)), counts),
        track_id=np.concatenate([some.track_id for some in tracks] or [np.empty(0, np.int64)]),
        xyxy=np.concatenate([np.empty((0, 4)), *(some.xyxy for some in tracks)]).astype(np.float64),
        conf=np.concatenate([np.empty(0), *(some.score for some in tracks)]).astype(np.float64),
        class_id=np.concatenate([some.class_id for some in tracks] or [np.empty(0, np.int32)]),
    )
