"""Tracks that stand where a test wants them, and a site that they walk through."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.core.tracks import Tracks
from stages.zones import Rules, Site, ZoneEvent
from stages.zones.sight import Moment

Point = tuple[float, float]
FRAME_NS = 40_000_000
SECOND_NS = 10**9
SIZE = (400, 300)
UP_LEFT, RIGHT = np.array([10, 50], np.float32), np.array([10, 0], np.float32)


def tracks(feet: Mapping[int, Point], ended: Sequence[int] = (), **changed: Any) -> Tracks:
    """Boxes 20 x 50 whose bottom centres are `feet`, by track id."""
    at = np.array(list(feet.values()), np.float32).reshape(-1, 2)
    count = len(feet)
    parts: dict[str, Any] = {
        "xyxy": np.concatenate([at - UP_LEFT, at + RIGHT], axis=1),
        "score": np.ones(count, np.float32),
        "class_id": np.zeros(count, np.int32),
        "track_id": np.array(list(feet), np.int64),
        "detection_index": np.arange(count),
        "ended": np.array(ended, np.int64),
    }
    return Tracks(**(parts | changed))


class Walkers:
    """A site, fed frame by frame; capture time is media time and `START_NS`."""

    START_NS = 1_767_225_600 * SECOND_NS  # Thursday, 2026-01-01T00:00:00Z

    def __init__(self, rules: Rules, size: tuple[int, int] = SIZE) -> None:
        self.site = Site(rules)
        self.site.fit(size)
        self.now_ns = -FRAME_NS
        self.told: list[ZoneEvent] = []

    def step(
        self, feet: Mapping[int, Point], ended: Sequence[int] = (), *, after_ns: int = FRAME_NS,
        **changed: Any,
    ) -> list[ZoneEvent]:  # fmt: skip
        """One frame more."""
        self.now_ns += after_ns
        moment = Moment(self.now_ns, self.START_NS + self.now_ns)
        told = self.site.update(tracks(feet, ended, **changed), moment)
        self.told += told
        return told

    def walk(
        self, way: Sequence[Point], track_id: int = 1, *, after_ns: int = FRAME_NS
    ) -> list[ZoneEvent]:
        """One track, a frame for each point."""
        return [one for at in way for one in self.step({track_id: at}, after_ns=after_ns)]

    def of(self, kind: type[Any]) -> Iterator[Any]:
        """What was told so far, of one kind."""
        return (one for one in self.told if isinstance(one, kind))
