"""Speeds of tracks on a plane, with their uncertainty.

What is seen is the ground anchor of a box, its bottom centre. Its jitter in pixels becomes one in
metres by the homography's Jacobian J: R = J diag(sx^2, sy^2) J' (Hartley & Zisserman, section 5.2),
so what is far away is uncertain.

Errors of boxes last: they are alike in neighbouring frames. With a correlation r = exp(-dt / tau)
between two of them, n sightings are worth n (1 - r) / (1 + r) independent ones, so R is multiplied
by the inverse of that. Twice the frames a second then do not halve the stated variance.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F32, F64, I64, Bool
from stages.plane.filters import PlaneFilters, largest_variance, variance_along
from stages.plane.homography import Homography

_LEAST_SIGHTINGS = 3
_EDGE_SHARE = 0.002


@dataclass(frozen=True)
class SpeedParams:
    """The parameters of speeds: how boxes jitter and objects accelerate; see `docs/plane.md`.

    - `jitter`: standard deviation of the bottom of a box as a share of its height; `jitter_side`:
      of its middle, as a share of its width; both with `jitter_floor`, a share of the picture's
      height. `jitter_s`: how long such an error lasts.
    - `acceleration_m_s2`: by so many m/s has each component of a velocity changed after one second,
      standard deviation, and by `acceleration_by_speed` of the speed on top of it.
    - `history_s`: no speed before a track was seen for so long. `gap_s`: not seen for longer, it
      begins anew. `worst_m`: what is less certain than this has no place.
    """

    jitter: float = 0.03
    jitter_side: float = 0.06
    jitter_floor: float = 0.002
    jitter_s: float = 0.2
    acceleration_m_s2: float = 0.5
    acceleration_by_speed: float = 0.15
    history_s: float = 0.5
    gap_s: float = 2.0
    worst_m: float = 5.0


@dataclass(frozen=True, slots=True)
class Motion:
    """N tracks in one frame, float64, NaN where unknown.

    `position_m` (N, 2); `position_sd_m` (N,) in the least certain direction; `velocity_m_s` (N, 2);
    `speed_m_s` (N,), which is 0 where the velocity is as small as chance makes it: `speed_of`;
    `speed_sd_m_s` (N,) along the velocity.
    """

    position_m: F64
    position_sd_m: F64
    velocity_m_s: F64
    speed_m_s: F64
    speed_sd_m_s: F64

    @classmethod
    def unknown(cls, count: int) -> "Motion":
        """The motion of `count` tracks of which nothing is known."""
        pair, one = np.full((2, count, 2), np.nan), np.full((3, count), np.nan)
        return cls(pair[0], one[0], pair[1], one[1], one[2])


class SpeedMeter:
    """Places and speeds of the tracks of one stream. Holds as many filters as there are tracks that
    were seen within `gap_s`."""

    def __init__(
        self, homography: Homography, params: SpeedParams, width: int, height: int
    ) -> None:
        """`width`, `height`: pixels of the pictures."""
        self._homography, self._params = homography, params
        self._width, self._height = width, height
        self.reset()

    def reset(self) -> None:
        """Forget all tracks, at a gap of the stream."""
        self._slots: dict[int, int] = {}
        self._filters = PlaneFilters()
        self._free = list(range(len(self._filters)))
        self._swept_s: float | None = None

    def __len__(self) -> int:
        """The number of filters."""
        return len(self._slots)

    def update(
        self, xyxy: F32 | F64, track_id: I64, time_s: float, rested_s: float = 0.0
    ) -> Motion:
        """Take the next frame, at media time `time_s`: boxes (N, 4) of tracks (N,) that were seen
        in it, no id twice. Boxes that the picture's edge cuts, and those on or beyond the horizon,
        tell nothing of where they stand. Since the last update nothing moved for `rested_s`, by
        which `gap_s` is longer. Raises `ValueError` for a time that is none."""
        if not np.isfinite(time_s):
            raise ValueError(f"SpeedMeter: {time_s} s is no time")
        found = Motion.unknown(len(track_id))
        gap_s = self._params.gap_s + max(rested_s, 0.0)
        self._sweep(time_s, gap_s)
        boxes = np.asarray(xyxy, np.float64)
        rows = np.flatnonzero(self._usable(boxes))
        if not rows.size:
            return found
        places, noise = self._measured(boxes[rows])
        sharp = largest_variance(noise) <= self._params.worst_m**2
        rows, places, noise = rows[sharp], places[:, sharp], noise[:, :, sharp]
        slots = self._slots_of(track_id[rows].tolist())
        self._see(slots, places, noise, time_s, gap_s)
        self._tell(found, rows, slots)
        return found

    def forget(self, track_ids: I64) -> None:
        """Forget these tracks, which are over; unknown ones are fine."""
        for track_id in track_ids.tolist():
            if (slot := self._slots.pop(track_id, None)) is not None:
                self._release(slot)

    def _usable(self, boxes: F64) -> Bool:
        """(N,) whether the bottom centre is where the object stands: no side but the top is at the
        picture's edge, and it is this side of the horizon."""
        edge_px = _EDGE_SHARE * self._height
        inside = (boxes[:, 0] > edge_px) & (boxes[:, 2] < self._width - edge_px)
        inside &= boxes[:, 3] < self._height - edge_px
        return np.asarray(inside & self._homography.in_front(_feet(boxes)))

    def _measured(self, boxes: F64) -> tuple[F64, F64]:
        """(2, N) places of usable boxes, and their covariances (2, 2, N)."""
        given, feet = self._params, _feet(boxes)
        floor_px = given.jitter_floor * self._height
        x1, y1, x2, y2 = boxes.T
        x_variance = ((x2 - x1) * given.jitter_side) ** 2 + floor_px**2
        y_variance = ((y2 - y1) * given.jitter) ** 2 + floor_px**2
        places = self._homography.to_plane(feet)
        slopes = self._homography.jacobian(feet, places).transpose(1, 2, 0)
        by_x, by_y = slopes[:, 0], slopes[:, 1]
        return places.T, by_x[:, None] * by_x * x_variance + by_y[:, None] * by_y * y_variance

    def _see(self, slots: I64, places: F64, noise: F64, time_s: float, gap_s: float) -> None:
        filters, given = self._filters, self._params
        step_s = time_s - filters.last_s[slots]
        known = (filters.sightings[slots] > 0) & (step_s <= gap_s)
        if not known.all():
            new = ~known
            filters.begin(slots[new], places[:, new], noise[:, :, new], time_s)
        old = known & (step_s > 0)
        alike = np.exp(-step_s[old] / given.jitter_s)
        lasting = noise[:, :, old] * ((1 + alike) / (1 - alike))
        slow, by_speed = given.acceleration_m_s2, given.acceleration_by_speed
        filters.see(slots[old], places[:, old], lasting, time_s, slow, by_speed)

    def _tell(self, found: Motion, rows: I64, slots: I64) -> None:
        filters = self._filters
        place, cov = filters.places(slots)
        found.position_m[rows] = place.T
        found.position_sd_m[rows] = np.sqrt(largest_variance(cov))
        seen_s = filters.last_s[slots] - filters.first_s[slots]
        enough = filters.sightings[slots] >= _LEAST_SIGHTINGS
        enough &= seen_s >= self._params.history_s - 1e-9
        rows, slots = rows[enough], slots[enough]
        velocity, cov = filters.velocities(slots)
        found.velocity_m_s[rows] = velocity.T
        sd_m_s = np.sqrt(variance_along(cov, velocity))
        found.speed_m_s[rows], found.speed_sd_m_s[rows] = speed_of(velocity, sd_m_s), sd_m_s

    def _slots_of(self, track_ids: list[int]) -> I64:
        found = []
        for track_id in track_ids:
            slot = self._slots.get(track_id)
            if slot is None:
                slot = self._slots[track_id] = self._taken()
            found.append(slot)
        return np.array(found, np.int64)

    def _taken(self) -> int:
        if not self._free:
            count = len(self._filters)
            self._filters.grow()
            self._free = list(range(count, 2 * count))
        return self._free.pop()

    def _release(self, slot: int) -> None:
        self._filters.sightings[slot] = 0
        self._free.append(slot)

    def _sweep(self, time_s: float, gap_s: float) -> None:
        """Once in `gap_s`: forget who was not seen for so long."""
        if self._swept_s is None or time_s < self._swept_s:
            self._swept_s = time_s
        if time_s - self._swept_s < gap_s:
            return
        self._swept_s = time_s
        last_s = self._filters.last_s
        for track_id in [t for t, slot in self._slots.items() if time_s - last_s[slot] > gap_s]:
            self._release(self._slots.pop(track_id))


def speed_of(velocity: F64, sd_m_s: F64) -> F64:
    """The speeds (N,) >= 0 of velocities (2, N) with a standard deviation (N,) along them.

    The length of a velocity that is all noise is never 0, so that who stands would seem to walk. It
    is shrunk by 1 - (sd / length)^4: to 0 within one sd, by 6 % at two, by 1 % at three.
    """
    length = np.hypot(velocity[0], velocity[1])
    found: F64 = length * (1 - (sd_m_s / np.maximum(length, np.maximum(sd_m_s, 1e-9))) ** 4)
    return found


def _feet(boxes: F64) -> F64:
    return np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)
