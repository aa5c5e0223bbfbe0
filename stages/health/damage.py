"""Pictures that are damaged on the way or by the camera."""

from typing import Final

from stages.base import Counts
from stages.health.finding import Finding
from stages.health.window import Window

DAMAGED: Final = 0.05
"""Share of damaged pictures and packets that is too much; one now and then is only counted."""


class Damage:
    """Watches the share of damage in what comes."""

    def __init__(self) -> None:
        self._window = Window()

    def judge(self, time_s: float, counts: Counts) -> Finding | None:
        """Judge what came up to now; None: nothing came for a while."""
        clean_total = counts.decoded_total - counts.withheld_total
        _, (damaged, clean) = self._window.grown(time_s, counts.corrupt_total, clean_total)
        if damaged + clean == 0:
            return None
        share = damaged / (damaged + clean)
        why = f"{share:.0%} of the pictures are damaged"
        return Finding(share >= DAMAGED, why, {"damaged": round(share, 3)})

    def reset(self) -> None:
        """A new connection begins."""
        self._window.reset()
