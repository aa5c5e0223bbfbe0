"""The plane of one stream: tracks to what its messages say of places and speeds."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from pipeline.core.arrays import F64, Bool
from pipeline.core.frame import FrameInfo
from pipeline.core.frame_record import PlaneRow
from pipeline.core.geometry import bottom_centre
from pipeline.core.log import get_logger
from pipeline.core.tracks import Tracks
from stages.plane.calibration import Calibration
from stages.plane.meter import Motion, SpeedMeter, SpeedParams

log = get_logger(__name__)

_DECIMALS: Final = 3
_BESIDE: Final = 1.2
"""Points of pixels may lie this far outside of the picture, as a share of it, without a word."""


class PlaneStage:
    """The places and speeds that `frame` messages tell: one object per stream, called by the
    publish thread once per frame. Blocks nowhere."""

    def __init__(self, calibration: Calibration, params: SpeedParams | None = None) -> None:
        """Raises `ValueError` for points that make no plane; see `Calibration.check`."""
        calibration.check()
        self._calibration, self._params = calibration, params or SpeedParams()
        self._size: tuple[int, int] | None = None
        self._meter: SpeedMeter | None = None
        self._area: F64 | None = None
        self._rows: dict[int, PlaneRow] = {}

    def update(
        self, info: FrameInfo, tracks: Tracks, rested_s: float = 0.0
    ) -> Mapping[int, PlaneRow]:
        """Take the next frame -> what is known, by the `detection_index` of a track. Left out is
        one that is only predicted, cut by the picture's edge, outside of the area, or too far away.
        `rested_s`: see `Tracker.update`."""
        meter = self._meter_for(info)
        meter.forget(tracks.ended)
        seen = np.flatnonzero((tracks.detection_index >= 0) & self._in_area(tracks))
        track_ids = tracks.track_id[seen]
        motion = meter.update(tracks.xyxy[seen], track_ids, info.pts_ns / 1e9, rested_s)
        indices, told = tracks.detection_index[seen].tolist(), rows(motion)
        self._rows = {t: row for t, row in zip(track_ids.tolist(), told, strict=True) if row}
        return {i: row for i, row in zip(indices, told, strict=True) if row}

    def at(self, track_id: int) -> PlaneRow | None:
        """The place and speed of a track as the last `update` told them; None: not known."""
        return self._rows.get(track_id)

    def reset(self) -> None:
        """Forget all tracks, at a gap of the stream."""
        self._rows = {}
        if self._meter is not None:
            self._meter.reset()

    def _meter_for(self, info: FrameInfo) -> SpeedMeter:
        size = (info.width, info.height)
        if self._meter is None or size != self._size:
            self._size, points = size, self._calibration
            homography = points.homography(*size)
            self._meter = SpeedMeter(homography, self._params, *size)
            self._area = points.area_px(*size)
            if points.units == "px" and (points.picture > np.multiply(size, _BESIDE)).any():
                log.warning(
                    "stream %r: points of its plane lie far outside of its pictures of %dx%d: "
                    "measure them in such a picture, or give plane.units: normalised",
                    info.stream_id, *size,
                )  # fmt: skip
        return self._meter

    def _in_area(self, tracks: Tracks) -> Bool:
        if self._area is None:
            return np.ones(len(tracks), np.bool_)
        import cv2  # only here: the configuration asks this package, and must load fast

        polygon = self._area.astype(np.float32)
        feet = bottom_centre(tracks.xyxy).tolist()
        return np.array([cv2.pointPolygonTest(polygon, p, False) >= 0 for p in feet], np.bool_)


def rows(motion: Motion) -> list[PlaneRow | None]:
    """The rows as messages have them, to a millimetre and a millimetre a second; None: no place is
    known."""
    table = np.column_stack(
        [
            motion.position_m, motion.position_sd_m,
            motion.speed_m_s, motion.speed_sd_m_s, motion.velocity_m_s,
        ]
    )  # fmt: skip
    found: list[PlaneRow | None] = []
    for x, y, sd, speed, speed_sd, vx, vy in table.round(_DECIMALS).tolist():
        if x != x:
            found.append(None)
        elif speed != speed:
            found.append(PlaneRow([x, y], sd))
        else:
            found.append(PlaneRow([x, y], sd, speed, speed_sd, [vx, vy]))
    return found
