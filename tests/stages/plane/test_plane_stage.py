from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.arrays import F64
from pipeline.core.frame import FrameInfo
from pipeline.core.frame_record import PlaneRow
from pipeline.core.messages import PlanePoint
from pipeline.core.tracks import Tracks
from stages.plane import Calibration, PlaneStage
from tests.stages.plane.plane_world import CAMERA, CORNERS, boxes, project

NONE = np.empty(0, np.int64)


def info(seq: int, fps: float = 10, width: int = 1920, height: int = 1080) -> FrameInfo:
    return FrameInfo(
        stream_id="gate", epoch=0, seq=seq, pts_ns=round(seq / fps * 1e9), captured_ns=0,
        arrived_ns=0, clock="file", uncertainty_ns=0, width=width, height=height,
    )  # fmt: skip


def tracks(ground: F64, *, index: list[int] | None = None, scale: float = 1) -> Tracks:
    count = len(ground)
    return Tracks(
        (boxes(CAMERA, ground) * scale).astype(np.float32),
        np.ones(count, np.float32),
        np.zeros(count, np.int32),
        np.arange(1, count + 1, dtype=np.int64),
        np.array(range(count) if index is None else index, np.int64),
        NONE,
    )


def stage(area: F64 | None = None) -> PlaneStage:
    return PlaneStage(Calibration(project(CAMERA, CORNERS), CORNERS, area=area))


def test_rows_are_those_of_the_contract_by_detection() -> None:
    plane, found = stage(), dict[int, PlaneRow]()
    for seq in range(12):
        x = 0.12 * seq
        seen = tracks(np.array([(x, 12.0), (3.0, 15.0)]), index=[7, -1])
        found = dict(plane.update(info(seq), seen))
        assert set(found) == {7}
        point = PlanePoint.model_validate(
            {name: getattr(found[7], name) for name in found[7].__struct_fields__}
        )
        assert point.position_m == pytest.approx((x, 12), abs=0.05)
        assert (point.speed_m_s is None) == (seq < 5)
        assert (point.velocity_m_s is None) == (point.speed_uncertainty_m_s is None) == (seq < 5)
    assert plane.at(1) is found[7]
    assert plane.at(2) is None
    assert found[7].velocity_m_s == pytest.approx([1.2, 0], abs=0.05)


def test_area_leaves_out_what_is_beyond() -> None:
    area = project(CAMERA, np.array([(-9.0, 9.0), (0.0, 9.0), (0.0, 30.0), (-9.0, 30.0)]))
    found = stage(area).update(info(0), tracks(np.array([(-2.0, 12.0), (2.0, 12.0)])))
    assert set(found) == {0}


def test_new_epoch_and_ended_tracks_begin_anew() -> None:
    plane, ground = stage(), np.array([(0.0, 12.0)])
    for seq in range(10):
        plane.update(info(seq), tracks(ground))
    plane.reset()
    assert plane.at(1) is None
    assert plane.update(info(10), tracks(ground))[0].speed_m_s is None
    for seq in range(11, 20):
        plane.update(info(seq), tracks(ground))
    plane.update(info(20), replace(tracks(np.empty((0, 2))), ended=np.array([1])))
    assert plane.update(info(21), tracks(ground))[0].speed_m_s is None


def test_normalised_points_follow_the_size_of_the_picture() -> None:
    share = project(CAMERA, CORNERS) / (1920, 1080)
    plane, ground = PlaneStage(Calibration(share, CORNERS, "normalised")), np.array([(2.0, 12.0)])
    for size in (1, 0.5):
        seen = info(0, width=round(1920 * size), height=round(1080 * size))
        found = plane.update(seen, tracks(ground, scale=size))
        assert found[0].position_m == pytest.approx((2, 12), abs=0.01)


def test_points_of_another_size_are_told(caplog: pytest.LogCaptureFixture) -> None:
    stage().update(info(0, width=640, height=360), tracks(np.array([(0.0, 12.0)])))
    assert "stream 'gate': points of its plane lie far outside of its pictures" in caplog.text
