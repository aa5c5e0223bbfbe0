"""Detections with an identity. Not a kind of `Detections`: zones cannot be fed untracked boxes."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F32, I32, I64


@dataclass(frozen=True, slots=True)
class Tracks:
    """N confirmed tracks in one frame.

    - `xyxy` (N, 4) float32 source pixels: the matched detection's box, not the filter's.
    - `score` (N,) float32 of the matched detection.
    - `class_id` (N,) int32: the track's class by vote.
    - `track_id` (N,) int64 >= 1, unique in (stream, epoch), never reused.
    - `detection_index` (N,) int64: row of the detection given to `update`, -1 where the box is
      only predicted.
    - `ended`: ids of tracks that ended with this frame; they never come back.
    """

    xyxy: F32
    score: F32
    class_id: I32
    track_id: I64
    detection_index: I64
    ended: I64

    def __post_init__(self) -> None:
        count = len(self.track_id)
        if self.xyxy.shape != (count, 4):
            raise ValueError(f"Tracks: xyxy {self.xyxy.shape} for {count} tracks")
        for name in ("score", "class_id", "detection_index"):
            if getattr(self, name).shape != (count,):
                raise ValueError(f"Tracks: {name} {getattr(self, name).shape} for {count} tracks")

    def __len__(self) -> int:
        return len(self.track_id)

    @classmethod
    def empty(cls) -> "Tracks":
        """No track."""
        none = np.empty(0, np.int64)
        return cls(
            np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32),
            none, none, none,
        )  # fmt: skip
