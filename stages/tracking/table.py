"""The table of all living tracks of one tracker, as parallel arrays."""

from dataclasses import dataclass, field

import numpy as np

from pipeline.core.arrays import F32, F64, I32, I64, AnyArray, Bool
from stages.tracking.found import Found
from stages.tracking.history import History
from stages.tracking.look import Look
from stages.tracking.motion import Motion

_COLUMNS = ("track_id", "class_id", "class_lead", "hits", "seen_s", "lost")


@dataclass(slots=True)
class TrackTable:
    """T tracks, one a row, oldest first.

    - `track_id` (T,): 0 while tentative, then >= 1.
    - `class_id` (T,), `class_lead` (T,): the class by vote and the score by which it leads.
    - `hits` (T,): frames with a matched detection.
    - `seen_s` (T,): when the last match was, on the tracker's own clock.
    - `lost` (T,): confirmed, but without a detection in the frame before.
    - `motion`: where they are expected. `history`: where they were seen. `look`: their appearance.
    """

    track_id: I64 = field(default_factory=lambda: np.empty(0, np.int64))
    class_id: I32 = field(default_factory=lambda: np.empty(0, np.int32))
    class_lead: F64 = field(default_factory=lambda: np.empty(0))
    hits: I64 = field(default_factory=lambda: np.empty(0, np.int64))
    seen_s: F64 = field(default_factory=lambda: np.empty(0))
    lost: Bool = field(default_factory=lambda: np.empty(0, np.bool_))
    motion: Motion = field(default_factory=Motion)
    history: History = field(default_factory=History)
    look: Look = field(default_factory=Look)

    def __len__(self) -> int:
        return len(self.track_id)

    def add(self, born: Found, now_s: float) -> None:
        """Append tentative tracks for N detections."""
        count = len(born)
        self.track_id = np.concatenate([self.track_id, np.zeros(count, np.int64)])
        self.class_id = np.concatenate([self.class_id, born.class_id])
        self.class_lead = np.concatenate([self.class_lead, born.score])
        self.hits = np.concatenate([self.hits, np.ones(count, np.int64)])
        self.seen_s = np.concatenate([self.seen_s, np.full(count, now_s)])
        self.lost = np.concatenate([self.lost, np.zeros(count, np.bool_)])
        self.motion.add(born.xyxy)
        self.history.add(born.xyxy, now_s)
        self.look.add(count, born.features)

    def hit(self, rows: I64 | slice, seen: Found, now_s: float) -> None:
        """Take in one detection for each of `rows` (K,); a slice takes a third of the time."""
        self.motion.correct(rows, seen.xyxy)
        self.history.hit(rows, seen.xyxy, now_s)
        self.look.hit(rows, seen.features, seen.score)
        self.hits[rows] += 1
        self.seen_s[rows] = now_s
        self._vote(rows, seen.score, seen.class_id)

    def keep(self, rows: AnyArray) -> None:
        """Keep these rows (mask), forget the others."""
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name)[rows])
        self.motion.keep(rows)
        self.history.keep(rows)
        self.look.keep(rows)

    def warp(self, affine: F64) -> None:
        """Move all tracks with the camera: `affine` (2, 3), pixels before -> pixels now."""
        self.motion.warp(affine)
        self.history.warp(affine)

    def _vote(self, rows: AnyArray | slice, score: F32, class_id: I32) -> None:
        """Weighted majority vote in constant memory (Boyer and Moore, 1981): a class that holds
        more than half of the score seen so far always wins."""
        held = self.class_id[rows]
        agrees = held == class_id
        if np.count_nonzero(agrees) == len(agrees):
            self.class_lead[rows] += score
            return
        lead = self.class_lead[rows] + np.where(agrees, score, -score)
        self.class_id[rows] = np.where(lead < 0, class_id, held)
        self.class_lead[rows] = np.abs(lead)
