"""The finding of one look at a stream about one condition."""

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
    """The number of the start of this condition in this stream that this is, or ends, from 1."""
