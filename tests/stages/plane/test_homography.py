import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.arrays import F64
from stages.plane import Calibration, Homography
from stages.sources.street.camera import Camera

GROUND = np.array([(-4.0, 8.0), (4.0, 8.0), (8.0, 30.0), (-8.0, 30.0)])
cameras = st.builds(
    Camera,
    st.just(1920),
    st.just(1080),
    st.tuples(st.floats(-5, 5), st.floats(-3, 3), st.floats(2, 15)),
    st.floats(-10, 10),
    st.floats(10, 50),
    st.floats(40, 100),
)


def seen(camera: Camera, ground: F64) -> F64:
    return camera.project(np.column_stack([ground, np.zeros(len(ground))]))


@given(cameras, st.lists(st.tuples(st.floats(-10, 10), st.floats(6, 60)), min_size=1, max_size=9))
def test_four_points_give_every_other_point_of_the_ground(
    camera: Camera, points: list[tuple[float, float]]
) -> None:
    found = Homography.fit(seen(camera, GROUND), GROUND)
    ground = np.array(points)
    assert found.residual_px < 1e-6
    assert np.allclose(found.to_plane(seen(camera, ground)), ground, atol=1e-6)
    assert np.allclose(found.to_picture(ground), seen(camera, ground), atol=1e-6)


@given(cameras)
def test_jacobian_is_the_slope_of_the_map(camera: Camera) -> None:
    found, step = Homography.fit(seen(camera, GROUND), GROUND), 1e-3
    at = seen(camera, np.array([(1.0, 15.0), (-3.0, 25.0)]))
    slopes = found.jacobian(at, found.to_plane(at))
    for axis in (0, 1):
        ahead, behind = at.copy(), at.copy()
        ahead[:, axis] += step
        behind[:, axis] -= step
        rise = (found.to_plane(ahead) - found.to_plane(behind)) / (2 * step)
        assert np.allclose(slopes[:, :, axis], rise, rtol=1e-4, atol=1e-7)


def test_horizon_is_where_depth_ends() -> None:
    camera = Camera(1920, 1080, (0.0, 0.0, 6.0), 0.0, 10.0, 70.0)
    found = Homography.fit(seen(camera, GROUND), GROUND)
    row = camera.horizon_px
    points = np.array([(900.0, row + 1), (900.0, row - 1), (900.0, 20.0)])
    assert found.in_front(points).tolist() == [True, False, False]
    assert abs(found.depth(np.array([(300.0, row)]))[0]) < 1e-9


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_more_points_are_better_than_four(seed: int) -> None:
    """Least squares in the picture: the error of twelve points is below that of their corners."""
    rng = np.random.default_rng(seed)
    camera = Camera(1920, 1080, (0.0, 0.0, 6.0), 0.0, 20.0, 70.0)
    ground = np.stack(np.meshgrid((-5.0, 0.0, 5.0), (8.0, 13.0, 20.0, 30.0)), -1).reshape(-1, 2)
    noisy = seen(camera, ground) + rng.normal(0, 2, (12, 2))
    found = Homography.fit(noisy, ground)
    assert 0.5 < found.residual_px < 4
    for change in np.eye(9).reshape(9, 3, 3) * 1e-7:
        inverse = np.linalg.inv(found.matrix) / np.linalg.norm(np.linalg.inv(found.matrix))
        other = Homography(np.linalg.inv(inverse + change))
        off = other.to_picture(ground) - noisy
        assert np.sqrt(np.square(off).sum(axis=1).mean()) >= found.residual_px - 1e-6


@pytest.mark.parametrize(
    ("picture", "plane", "said"),
    [
        ([(0, 0), (9, 0), (9, 9)], [(0, 0), (1, 0), (1, 1)], "3 points: a plane needs 4"),
        ([(0, 0), (50, 0), (100, 0), (50, 80)], [(0, 0), (5, 0), (5, 5), (0, 5)],
         "points 1, 2, 3 lie on one line in the picture"),
        ([(0, 0), (99, 0), (99, 99), (0, 99)], [(0, 0), (5, 0), (10, 0.01), (0, 5)],
         "points 1, 2, 3 lie on one line in the plane"),
        ([(0, 0), (99, 0), (99, 0), (0, 99)], [(0, 0), (5, 0), (5, 5), (0, 5)],
         "points 2 and 3 are the same in the picture"),
        ([(0, 0), (99, 0), (0, 99), (99, 99)], [(0, 0), (5, 0), (5, 5), (0, 5)],
         "the horizon would run between the points"),
        ([(i, 2 * i) for i in range(0, 60, 10)], [(i, i * i % 7) for i in range(6)],
         "on one line"),
    ],
)  # fmt: skip
def test_points_that_are_no_plane(
    picture: list[tuple[float, float]], plane: list[tuple[float, float]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Homography.fit(np.array(picture, float), np.array(plane, float))


@pytest.mark.parametrize(
    ("picture", "plane", "said"),
    [
        ([(0, 0), (100, 0), (100, math.nan), (0, 100)], None, "point 3 is nowhere in the picture"),
        (None, [(0, 0), (8, 0), (1e200, 30), (0, 30)], r"point 3 is nowhere in the plane: \[1e\+2"),
        ([(5, 5)] * 4, None, r"all points are the same in the picture: \[5.0, 5.0\]"),
        (None, [(1e-161, 0), (0, 1e-161), (1e-161, 1e-161), (0, 0)], "all points are the same"),
        (  # the first guess has a point on the horizon itself
            [(2, 3), (1, 100), (2, 0), (100, 2), (0, 2), (100, 100)],
            [(640, 3), (1, 0), (640, 2), (640, 0), (640, 100), (640, 640)],
            "on or beyond it, which no camera can see",
        ),
    ],
)  # fmt: skip
def test_points_that_are_no_numbers_are_named_and_warned_of_by_nothing_else(
    picture: list[tuple[float, float]] | None, plane: list[tuple[float, float]] | None, said: str
) -> None:
    """A warning of NumPy would be an error in here."""
    given = [
        fine if points is None else np.array(points, np.float64)
        for fine, points in ((PICTURE, picture), (PLANE, plane))
    ]
    with pytest.raises(ValueError, match=said):
        Homography.fit(*given)


PICTURE = np.array([(400.0, 900.0), (1500.0, 900.0), (1200.0, 400.0), (700.0, 400.0)])
PLANE = np.array([(0.0, 0.0), (8.0, 0.0), (8.0, 30.0), (0.0, 30.0)])


@pytest.mark.parametrize(
    ("calibration", "said"),
    [
        (Calibration(PICTURE, PLANE * 1000), "span 30000 m"),
        (Calibration(PICTURE, PLANE / 1000), "span 0.03 m"),
        (
            Calibration(PICTURE, PLANE, area=np.array([(0.0, 999.0), (1900, 999.0), (900, -90)])),
            r"horizon runs through the area: its corner 3, \[900.0, -90.0\]",
        ),
        (
            Calibration(
                np.vstack([PICTURE, [(900.0, 600.0)]]), np.vstack([PLANE, [(0.0, 12.0)]])
            ),
            "do not fit a plane",
        ),
    ],
)  # fmt: skip
def test_calibrations_that_cannot_be(calibration: Calibration, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        calibration.check()


def test_normalised_points_fit_every_size() -> None:
    share = PICTURE / (1920, 1080)
    for width, height in ((1920, 1080), (640, 360), (1000, 1000)):
        found = Calibration(share, PLANE, "normalised").homography(width, height)
        assert np.allclose(found.to_plane(share * (width, height)), PLANE)


def test_mirrored_points_are_known() -> None:
    assert not Calibration(PICTURE, PLANE).mirrored
    assert Calibration(PICTURE, PLANE * (-1, 1)).mirrored
