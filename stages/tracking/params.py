"""What can be set on a tracker, with the ranges in which it makes sense."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerParams:
    """Settings of one tracker. Raises `ValueError` that names the field and shows the value.

    Scores, in [0, 1], with `low_score <= high_score <= birth_score`:

    - `high_score`: detections from here on are associated first, with every confirmed track.
    - `low_score`: those between `low_score` and `high_score` may only continue a track that was
      seen in the frame before; those below are ignored.
    - `birth_score`: an unmatched detection from here on starts a tentative track.

    Least overlaps for a match, in [0, 1]:

    - `least_iou`: first round; of IoU times score when `fuse_score`.
    - `least_iou_low`: second round, with low scores; strict, for those boxes are often wrong.
    - `least_iou_wide`: last round, over boxes widened by `widen` of their size on each side, so
      that small and fast objects meet again although their boxes do not touch.
    - `class_penalty`: taken off the overlap when the classes differ; 1 forbids such a match.

    Life:

    - `confirm_hits`: matched frames in a row until a track is reported, the first one included.
      Tracks born in the very first frame, or the first after a reset, are reported at once.
    - `lost_s`: media time after which a confirmed track without detection ends.
    - `frame_s`: time between two frames when `update` is not told the time.
    """

    high_score: float = 0.5
    low_score: float = 0.1
    birth_score: float = 0.5
    least_iou: float = 0.2
    least_iou_low: float = 0.5
    least_iou_wide: float = 0.3
    widen: float = 0.5
    class_penalty: float = 0.3
    fuse_score: bool = True
    confirm_hits: int = 2
    lost_s: float = 1.0
    frame_s: float = 1 / 30

    def __post_init__(self) -> None:
        for name in (
            "high_score", "low_score", "birth_score",
            "least_iou", "least_iou_low", "least_iou_wide", "class_penalty",
        ):  # fmt: skip
            self._demand(name, 0.0, 1.0)
        self._demand("widen", 0.0, 2.0)
        self._demand("confirm_hits", 1, 1000)
        self._demand("lost_s", 0.0, 3600.0)
        self._demand("frame_s", 1e-4, 60.0)
        if not self.low_score <= self.high_score <= self.birth_score:
            raise ValueError(
                f"TrackerParams: low_score {self.low_score} <= high_score {self.high_score} "
                f"<= birth_score {self.birth_score} does not hold"
            )

    def _demand(self, name: str, least: float, most: float) -> None:
        value = getattr(self, name)
        if not least <= value <= most:
            raise ValueError(f"TrackerParams: {name} {value} is not in [{least:g}, {most:g}]")
