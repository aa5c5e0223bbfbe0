"""The parameters of a tracker, with the ranges in which they make sense."""

from dataclasses import dataclass
from numbers import Integral, Real

_SHARES = (
    "high_score", "low_score", "birth_score", "least_iou", "least_iou_low", "least_iou_last",
    "least_iou_wide", "class_penalty", "direction_weight", "duplicate_iou", "look_weight",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerParams:
    """Settings of one tracker. Raises `ValueError`, or `TypeError` for what is no number, that
    names the field and shows the value.

    Scores, in [0, 1], with `low_score <= high_score <= birth_score`:

    - `high_score`: detections from here on are associated first.
    - `low_score`: those between `low_score` and `high_score` may continue a track that is left
      over, and start none; those below are ignored.
    - `birth_score`: an unmatched detection from here on starts a tentative track.

    Least overlaps for a match, in [0, 1]; `docs/tracking.md` tells the rounds:

    - `least_iou`: of expected boxes with high scores; of overlap times score when `fuse_score`.
    - `least_iou_low`: of expected boxes with low scores; strict, for those boxes are often wrong.
    - `least_iou_last`: of the box where a track was last seen.
    - `least_iou_wide`: of boxes widened by `widen` of their size on each side, so that small and
      fast objects meet again although their boxes do not touch.
    - `class_penalty`: taken off the overlap when the classes differ; 1 forbids such a match.
    - `direction_weight`: most that going on in the same direction adds to an overlap.
    - `duplicate_iou`: an unmatched detection that overlaps a matched one of its class by more
      starts no track.

    Camera and appearance:

    - `camera_from_boxes`: where the caller tells no camera motion, find it in the boxes.
    - `look_weight`: how much alike features add to an overlap.
    - `same_look`: cosine of features from which a lost track is taken up again within reach.
    - `other_look`: cosine below which a match is refused while there is another candidate.

    Life:

    - `confirm_hits`: matched frames in a row until a track is reported, the first one included.
      Tracks born in the very first frame, or the first after a reset, are reported at once.
    - `lost_s`: media time after which a confirmed track without detection ends.
    - `frame_s`: time between two frames when `update` is not told the time.
    """

    high_score: float = 0.5
    low_score: float = 0.1
    birth_score: float = 0.6
    least_iou: float = 0.2
    least_iou_low: float = 0.5
    least_iou_last: float = 0.2
    least_iou_wide: float = 0.3
    widen: float = 0.5
    class_penalty: float = 0.3
    fuse_score: bool = True
    direction_weight: float = 0.2
    duplicate_iou: float = 0.7
    camera_from_boxes: bool = True
    look_weight: float = 0.3
    same_look: float = 0.7
    other_look: float = 0.3
    confirm_hits: int = 2
    lost_s: float = 1.0
    frame_s: float = 1 / 20

    def __post_init__(self) -> None:
        for name in _SHARES:
            self._demand(name, 0.0, 1.0)
        for name in ("same_look", "other_look"):
            self._demand(name, -1.0, 1.0)
        self._demand("widen", 0.0, 2.0)
        self._demand("confirm_hits", 1, 1000)
        self._demand("lost_s", 0.0, 3600.0)
        self._demand("frame_s", 1e-4, 60.0)
        for name in ("fuse_score", "camera_from_boxes"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(
                    f"TrackerParams: {name} {getattr(self, name)!r} is not true or false"
                )
        if not self.low_score <= self.high_score <= self.birth_score:
            raise ValueError(
                f"TrackerParams: low_score {self.low_score} <= high_score {self.high_score} "
                f"<= birth_score {self.birth_score} does not hold"
            )

    def _demand(self, name: str, least: float, most: float) -> None:
        value = getattr(self, name)
        whole = name == "confirm_hits"
        if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
            kind = "whole number" if whole else "number"
            raise TypeError(f"TrackerParams: {name} {value!r} is no {kind}")
        if not least <= float(value) <= most:
            raise ValueError(f"TrackerParams: {name} {value} is not in [{least:g}, {most:g}]")
