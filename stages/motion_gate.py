"""The motion gate: the engine sees all frames while something moves, few while nothing does.

    awake ──no change for hold_s──► at rest ──a change──► awake
                                    every interval_s: `looks` frames in a row

Time is media time, so that the same pictures give the same decisions. `docs/motion_gate.md` tells
what a rest means for those who read the messages.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.core.picture import Picture
from stages.base import Rest
from stages.picture_change import PictureChange, Region, luma_size

__all__ = ["GateSettings", "MotionGate", "luma_size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """The rules of when a stream rests and is looked at.

    - `interval_s`: the longest time at rest without a look.
    - `hold_s`: how long a stream stays awake behind the last change.
    - `looks`: frames in a row of one look, as many as confirm a track.
    - `sensitivity` 0 to 1 and `ignore`: see `PictureChange`.
    """

    interval_s: float = 5.0
    hold_s: float = 2.0
    looks: int = 2
    sensitivity: float = 0.5
    ignore: Sequence[Region] = ()


class MotionGate:
    """The gate of one stream. One thread calls `admit`; `owe` may come from another."""

    def __init__(self, settings: GateSettings, rest: Rest | None = None) -> None:
        """`rest`: counts that are gone on with."""
        self.rest = rest or Rest()
        self._settings = settings
        self._change = PictureChange(settings.sensitivity, settings.ignore)
        self._epoch: int | None = None
        self._before_ns = self._changed_ns = self._looked_ns = 0
        self._rested_ns = 0
        self._looks = 0
        self._owed = False

    @property
    def rested_ns(self) -> int:
        """The media time in ns of this epoch that was spent at rest, up to the last frame."""
        return self._rested_ns

    def owe(self) -> None:
        """Let the next frame through whatever it shows: one that was let through did not reach the
        engine."""
        self._owed = True

    def admit(self, picture: Picture, epoch: int, pts_ns: int, captured_ns: int) -> bool:
        """Offer the next frame -> True if it is let through. For every frame; media time ascends in
        an epoch, whose first frames always are."""
        if epoch != self._epoch:
            self._begin(epoch, pts_ns)
        step_ns = max(pts_ns - self._before_ns, 1)
        self._before_ns = pts_ns
        luma = picture.luma(*luma_size(picture.height, picture.width))
        if self._change.update(luma, step_ns / 1e9):
            self.rest.changes_total += self.rest.at_rest
            self.rest.changed_ns, self._changed_ns = captured_ns, pts_ns
        if self._passes(pts_ns):
            return True
        self._rested_ns += step_ns
        self.rest.frames_total += 1
        return False

    def _begin(self, epoch: int, pts_ns: int) -> None:
        self._epoch, self._rested_ns, self._owed = epoch, 0, False
        self._before_ns = self._changed_ns = self._looked_ns = pts_ns
        self._looks = 0
        self._change.reset()

    def _passes(self, pts_ns: int) -> bool:
        given = self._settings
        at_rest = pts_ns - self._changed_ns > given.hold_s * 1e9
        self.rest.at_rest = at_rest
        if not at_rest:
            self._looked_ns, self._looks = pts_ns, 0
        elif self._looks == 0 and pts_ns - self._looked_ns >= given.interval_s * 1e9:
            self._looks = given.looks
        if at_rest and not self._looks and not self._owed:
            return False
        if self._looks:
            self._looks, self._looked_ns = self._looks - 1, pts_ns
        self._owed = False
        return True
