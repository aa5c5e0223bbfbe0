"""What is compared: the boxes of one sequence, and how true ones and tracks overlap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F64, I64
from pipeline.core.boxes import iou_matrix


@dataclass(frozen=True, slots=True)
class BoxSequence:
    """Boxes with identities in all frames of one sequence: M rows, parallel, by rising frame.

    - `frame` (M,) int64: 0 is the first frame.
    - `track_id` (M,) int64: any numbers; in one frame, each at most once.
    - `xyxy` (M, 4) float64 pixels.

    Raises `ValueError` when shapes do not fit, frames fall, or an id is twice in a frame.
    """

    frame: I64
    track_id: I64
    xyxy: F64

    def __post_init__(self) -> None:
        count = len(self.frame)
        if self.track_id.shape != (count,) or self.xyxy.shape != (count, 4):
            raise ValueError(
                f"BoxSequence: track_id {self.track_id.shape}, xyxy {self.xyxy.shape} for {count}"
            )
        if (np.diff(self.frame) < 0).any():
            raise ValueError("BoxSequence: frames fall")
        pairs = np.stack([self.frame, self.track_id], axis=1)
        unique, times = np.unique(pairs, axis=0, return_counts=True)
        if (times > 1).any():
            frame, ident = unique[times > 1][0].tolist()
            raise ValueError(f"BoxSequence: id {ident} is twice in frame {frame}")

    def __len__(self) -> int:
        return len(self.frame)

    @classmethod
    def of(cls, frames: Sequence[tuple[I64, F64]]) -> "BoxSequence":
        """From ids (N,) and boxes (N, 4) of every frame."""
        counts = [len(ids) for ids, _ in frames]
        return cls(
            np.repeat(np.arange(len(frames)), counts),
            np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in frames)]),
            np.concatenate([np.empty((0, 4)), *(boxes for _, boxes in frames)]),
        )


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Truth and tracks of one sequence, with ids renumbered from 0.

    - `frames`: of every frame that has both, the true ids (N,), track ids (M,), IoU (N, M).
    - `true_count`, `found_count`: boxes per id.
    """

    frames: list[tuple[I64, I64, F64]]
    true_count: I64
    found_count: I64

    @classmethod
    def of(cls, truth: BoxSequence, found: BoxSequence) -> "Overlaps":
        """Compare every frame."""
        _, true_id = np.unique(truth.track_id, return_inverse=True)
        _, found_id = np.unique(found.track_id, return_inverse=True)
        frames = [
            (true_id[a], found_id[b], iou_matrix(truth.xyxy[a], found.xyxy[b]))
            for a, b in shared_frames(truth, found)
        ]
        return cls(frames, np.bincount(true_id), np.bincount(found_id))


def shared_frames(a: BoxSequence, b: BoxSequence) -> Iterator[tuple[slice, slice]]:
    """Rows of both in every frame that both have, by rising frame."""
    for frame in np.intersect1d(a.frame, b.frame).tolist():
        yield _rows(a, frame), _rows(b, frame)


def _rows(boxes: BoxSequence, frame: int) -> slice:
    low, high = np.searchsorted(boxes.frame, [frame, frame + 1])
    return slice(int(low), int(high))
