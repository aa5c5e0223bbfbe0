"""The section of the motion gate, which keeps frames of a stream at rest from the engine."""

from typing import Annotated, Any

from pydantic import Field

from pipeline.config.values import Fraction, Seconds, Section, Whole

Region = Annotated[tuple[tuple[Fraction, Fraction], ...], Field(min_length=3, max_length=1000)]


class MotionGateConfig(Section):
    """A gate for streams at rest; see `stages.motion_gate` and `docs/motion_gate.md`. `hold_s`
    None: one second more than `tracking.lost_s`. `looks` None: as many as `tracking.confirm_hits`.
    `ignore`: polygons in shares of the picture's width and height."""

    enabled: bool = True
    interval_s: Seconds = 5
    hold_s: Seconds | None = None
    sensitivity: Fraction = 0.5
    looks: Annotated[Whole, Field(ge=1, le=1000)] | None = None
    ignore: tuple[Region, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """The keys that are fields of `stages.motion_gate.GateSettings` and not None."""
        return self.model_dump(exclude={"enabled"}, exclude_none=True)
