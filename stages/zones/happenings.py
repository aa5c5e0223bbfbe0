"""The happenings at lines and in zones, before they are messages. Times are media time unless they
say otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.core.messages import EndCause, Phase
from stages.zones.line import Crossing

StayKind = Literal["dwell", "loitering", "stopped", "direction_violation"]
CrowdKind = Literal["occupancy", "overcrowding"]


@dataclass(frozen=True, slots=True)
class InZone:
    """A track in a zone; `point`: where its anchor is, in pixels."""

    zone: str
    track_id: int
    class_id: int
    point: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Entered(InZone):
    """A track is inside a zone: it crossed the edge at `point`, or appeared there."""

    entered_ns: int
    cause: Literal["crossed", "appeared"]


@dataclass(frozen=True, slots=True)
class Left(InZone):
    """A track is no longer inside."""

    entered_ns: int
    exited_ns: int
    cause: EndCause


@dataclass(frozen=True, slots=True)
class Way:
    """Degrees clockwise from the right: how a track goes, and how it should, give or take."""

    heading_deg: float
    allowed_deg: float
    tolerance_deg: float


@dataclass(frozen=True, slots=True)
class Stay(InZone):
    """Something that lasts for a track in a zone, from `started_ns` to `now_ns` so far. `cause` of
    the end, None before."""

    kind: StayKind
    phase: Phase
    started_ns: int
    now_ns: int
    limit_ns: int
    cause: EndCause | None = None
    way: Way | None = None


@dataclass(frozen=True, slots=True)
class Crowd:
    """The number of tracks in a zone, by class id. `limit` of overcrowding, else None."""

    kind: CrowdKind
    phase: Phase
    zone: str
    by_class: Mapping[int, int]
    peak: int
    started_ns: int
    now_ns: int
    limit: int | None = None
    cause: EndCause | None = None

    @property
    def count(self) -> int:
        """The number of tracks of all classes."""
        return sum(self.by_class.values())


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts of a line or a zone from `from_ns` to `to_ns` of capture time, UTC, of which
    `observed_ns` of media time were seen: (in, out) by class id. `number`: how many intervals there
    were before, since it is watched. `peak`: of a zone."""

    name: str
    is_zone: bool
    number: int
    from_ns: int
    to_ns: int
    observed_ns: int
    by_class: Mapping[int, tuple[int, int]]
    peak: int | None


ZoneEvent = Crossing | Entered | Left | Stay | Crowd | Tally
