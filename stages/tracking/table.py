"""All living tracks of one tracker, as parallel arrays."""

from dataclasses import dataclass, field

import numpy as np

from pipeline.core.arrays import F32, F64, I32, I64, AnyArray, Bool
from stages.tracking.motion import Motion


@dataclass(slots=True)
class TrackTable:
    """T tracks, one a row, oldest first.

    - `track_id` (T,): 0 while tentative, then >= 1.
    - `class_id` (T,), `class_lead` (T,): the class by vote and the score by which it leads.
    - `hits` (T,): frames with a matched detection.
    - `seen_s` (T,): when the last match was, on the tracker's own clock.
    - `lost` (T,): confirmed, but without a detection in the frame before.
    - `motion`: where they are expected.
    """

    track_id: I64 = field(default_factory=lambda: np.empty(0, np.int64))
    class_id: I32 = field(default_factory=lambda: np.empty(0, np.int32))
    class_lead: F64 = field(default_factory=lambda: np.empty(0))
    hits: I64 = field(default_factory=lambda: np.empty(0, np.int64))
    seen_s: F64 = field(default_factory=lambda: np.empty(0))
    lost: Bool = field(default_factory=lambda: np.empty(0, np.bool_))
    motion: Motion = field(default_factory=Motion)

    def __len__(self) -> int:
        return len(self.track_id)

    def add(self, xyxy: F32, score: F32, class_id: I32, now_s: float) -> None:
        """Append tentative tracks for detections (N, 4), (N,), (N,)."""
        count = len(score)
        self.track_id = np.concatenate([self.track_id, np.zeros(count, np.int64)])
        self.class_id = np.concatenate([self.class_id, class_id])
        self.class_lead = np.concatenate([self.class_lead, score])
        self.hits = np.concatenate([self.hits, np.ones(count, np.int64)])
        self.seen_s = np.concatenate([self.seen_s, np.full(count, now_s)])
        self.lost = np.concatenate([self.lost, np.zeros(count, np.bool_)])
        self.motion.add(xyxy)

    def hit(self, rows: AnyArray, xyxy: F32, score: F32, class_id: I32, now_s: float) -> None:
        """Take in one detection for each of `rows` (K,)."""
        self.motion.correct(rows, xyxy)
        self.hits[rows] += 1
        self.seen_s[rows] = now_s
        self._vote(rows, score, class_id)

    def keep(self, rows: AnyArray) -> None:
        """Keep these rows (mask), forget the others."""
        for name in ("track_id", "class_id", "class_lead", "hits", "seen_s", "lost"):
            setattr(self, name, getattr(self, name)[rows])
        self.motion.keep(rows)

    def _vote(self, rows: AnyArray, score: F32, class_id: I32) -> None:
        """Weighted majority vote in constant memory (Boyer and Moore, 1981): a class that holds
        more than half of the score seen so far always wins."""
        held, lead = self.class_id[rows], self.class_lead[rows]
        lead = lead + np.where(held == class_id, score, -score)
        self.class_id[rows] = np.where(lead < 0, class_id, held)
        self.class_lead[rows] = np.abs(lead)
