"""What one look at a stream says about one condition."""

from dataclasses import dataclass, field

from pipeline.core.messages import Condition


@dataclass(frozen=True, slots=True)
class Finding:
    """`why` and `metrics` are for messages."""

    bad: bool
    why: str
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """A condition has started (`active`) or is over."""

    condition: Condition
    active: bool
    reason: str
    metrics: dict[str, float]
    start: int
    """Which start of this condition in this stream it is, or ends, from 1."""
