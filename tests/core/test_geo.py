import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.geo import GeoReference

references = st.builds(GeoReference, st.floats(-80, 80), st.floats(-180, 180), st.floats(-180, 360))


@given(references, st.tuples(st.floats(-500, 500), st.floats(-500, 500)))
def test_there_and_back(reference: GeoReference, point: tuple[float, float]) -> None:
    plane = np.array([point])
    globe = reference.to_globe(plane)
    assert (np.abs(globe) <= (180, 90)).all()
    assert np.allclose(reference.to_plane(globe[:, ::-1]), plane, atol=1e-5)


def test_known_lengths_of_a_degree() -> None:
    """WGS 84: at 45 degrees one of latitude is 111,132 m, of longitude 78,847 m."""
    found = GeoReference(45.0, 10.0).to_globe(np.array([(78.847, 0.0), (0.0, 111.132)]))
    assert found == pytest.approx(np.array([(10.001, 45.0), (10.0, 45.001)]), abs=2e-8)


def test_bearing_turns_y_from_north() -> None:
    ((longitude, latitude),) = (
        GeoReference(0.0, 0.0, 90.0).to_globe(np.array([(0.0, 100.0)])).tolist()
    )
    assert longitude > 0.0008
    assert math.isclose(latitude, 0, abs_tol=1e-12)


def test_middle_of_points_across_the_date_line() -> None:
    around = GeoReference.around(np.array([(10.0, 179.999), (10.0, -179.999)]))
    assert abs(around.longitude) == pytest.approx(180)
    assert np.allclose(around.to_plane(np.array([(10.0, -179.999)])), [[109.6, 0]], atol=0.1)


@pytest.mark.parametrize("place", [(91.0, 0.0), (0.0, 181.0), (float("nan"), 0.0)])
def test_no_place_on_the_globe(place: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="latitude first"):
        GeoReference(*place)
