"""A gated run against one that is always on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.motion_gate.scenes import Object
from benchmarks.motion_gate.sides import Outcome
from pipeline.core.arrays import F64, Bool

SAME_IOU = 0.5
JUST_BEFORE_S = 0.3
LEAST_WAY_PX = 2.0
LEAST_FRAMES = 5
"""Tracks of fewer frames are no objects, where the always-on run has to serve as the truth."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one video.

    - `moving`: share of frames in which an object moves, by the truth. `saved`: share of frames
      that the engine did not see.
    - `known_on`, `known`: share of objects in all frames that the newest message by then has in the
      right place. `found_on`, `found`: of how many objects a track was told; `lost_px`: heights of
      those that only the always-on run found.
    - `delays_s`: later than by the always-on run; `rest_delays_s`: of those whose track came while
      the stream was at rest, or just had been.
    """

    frames: int
    moving: float
    saved: float
    known_on: float
    known: float
    found_on: int
    found: int
    lost_px: list[float]
    delays_s: list[float]
    rest_delays_s: list[float]
    tracks_on: int
    tracks: int
    crossings_on: int
    crossings: int
    events_on: dict[str, int]
    events: dict[str, int]

    def row(self) -> dict[str, Any]:
        """For the result's file."""
        return {
            "frames": self.frames,
            "something_moves": round(self.moving, 4),
            "inference_saved": round(self.saved, 4),
            "recall_always_on": round(self.known_on, 4),
            "recall_gated": round(self.known, 4),
            "recall_loss_points": round(100 * (self.known_on - self.known), 2),
            "objects_found_always_on": self.found_on,
            "objects_found_gated": self.found,
            "heights_of_lost_px": [round(px) for px in self.lost_px],
            "delay_s": _percentiles(self.delays_s),
            "delay_at_rest_s": _percentiles(self.rest_delays_s),
            "tracks": [self.tracks_on, self.tracks],
            "crossings": [self.crossings_on, self.crossings],
            "events": {
                name: [self.events_on.get(name, 0), self.events.get(name, 0)]
                for name in sorted({*self.events_on, *self.events})
            },
        }


def judge(
    on: Outcome, gated: Outcome, truth: Sequence[Sequence[Object]] | None, fps: float
) -> Verdict:
    """`truth` None: what the always-on run tracked is taken for it."""
    objects = _tracked(on) if truth is None else truth
    first_on, known_on = _look(on, objects)
    first, known = _look(gated, objects)
    delays = {i: (first[i] - at) / fps for i, at in first_on.items() if i in first}
    before = round(fps * JUST_BEFORE_S)
    at_rest = {i for i, at in first_on.items() if any(gated.at_rest[max(at - before, 0) : at + 1])}
    heights = _heights(objects)
    return Verdict(
        frames=len(on.seen),
        moving=_moving(objects, round(fps)),
        saved=1 - sum(gated.seen) / len(gated.seen),
        known_on=known_on,
        known=known,
        found_on=len(first_on),
        found=len(first.keys() & first_on.keys()),
        lost_px=[heights[i] for i in first_on if i not in first],
        delays_s=list(delays.values()),
        rest_delays_s=[late for i, late in delays.items() if i in at_rest],
        tracks_on=_ids(on),
        tracks=_ids(gated),
        crossings_on=on.crossings.total(),
        crossings=gated.crossings.total(),
        events_on=dict(on.events),
        events=dict(gated.events),
    )


def _look(outcome: Outcome, objects: Sequence[Sequence[Object]]) -> tuple[dict[int, int], float]:
    """The frame in which a track of each object was first told; and the share of objects in all
    frames that were known."""
    first: dict[int, int] = {}
    known = total = 0
    for number, present in enumerate(objects[: len(outcome.seen)]):
        told, tracks = outcome.boxes[number], outcome.tracks[number]
        for one in present:
            same = _same(one.box, told)
            total += 1
            known += bool(same.any())
            if one.ident not in first and (same & (tracks > 0)).any():
                first[one.ident] = number
    return first, known / total if total else 1.0


def _moving(objects: Sequence[Sequence[Object]], second: int) -> float:
    """Share of frames in which somebody is where nobody was a second before, by `LEAST_WAY_PX`."""
    moving = 0
    for before, now in zip(objects, objects[second:], strict=False):
        was = {one.ident: one.box for one in before}
        moving += any(
            one.ident not in was or np.abs(one.box - was[one.ident]).max() > LEAST_WAY_PX
            for one in now
        )
    return moving / max(len(objects) - second, 1)


def _same(box: F64, told: F64) -> Bool:
    """(N,) which of the boxes (N, 4) overlap it enough."""
    shared = np.minimum(box[2:], told[:, 2:]) - np.maximum(box[:2], told[:, :2])
    both = np.prod(np.maximum(shared, 0), axis=1)
    either = np.prod(box[2:] - box[:2]) + np.prod(told[:, 2:] - told[:, :2], axis=1) - both
    same: Bool = both > SAME_IOU * either
    return same


def _tracked(on: Outcome) -> list[list[Object]]:
    ids = np.concatenate([*on.tracks, np.zeros(1)])
    often = {i for i, n in zip(*np.unique(ids, return_counts=True), strict=True)
             if i and n >= LEAST_FRAMES}  # fmt: skip
    return [
        [Object(int(i), box) for i, box in zip(ids, boxes, strict=True) if i in often]
        for ids, boxes in zip(on.tracks, on.boxes, strict=True)
    ]


def _heights(objects: Sequence[Sequence[Object]]) -> dict[int, float]:
    """Px, in the middle of its frames."""
    found: dict[int, list[float]] = {}
    for present in objects:
        for one in present:
            found.setdefault(one.ident, []).append(float(one.box[3] - one.box[1]))
    return {ident: float(np.median(heights)) for ident, heights in found.items()}


def _ids(outcome: Outcome) -> int:
    return len({i for ids in outcome.tracks for i in ids.tolist() if i})


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {"count": 0}
    p50, p95 = np.percentile(values, (50, 95)).tolist()
    return {
        "count": len(values), "p50": round(p50, 3), "p95": round(p95, 3),
        "worst": round(max(values), 3),
    }  # fmt: skip
