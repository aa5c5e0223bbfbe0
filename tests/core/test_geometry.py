"""Lines and anchors in a picture whose y points down."""

import numpy as np
import pytest

from pipeline.core.geometry import Line, bottom_centre


def test_a_line_without_length_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"line 'gate': start and end are both \(3, 4\)"):
        Line("gate", (3, 4), (3, 4))


def test_bottom_centre_is_where_the_object_stands() -> None:
    feet = bottom_centre(np.array([[10, 20, 30, 80], [0, 0, 1, 1]], np.float32))
    assert feet.dtype == np.float64
    assert feet.tolist() == [[20, 80], [0.5, 1]]
