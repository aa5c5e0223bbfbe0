"""Rows are those that plain look-ups give."""

import numpy as np
import pytest

from pipeline.core.arrays import AnyArray
from pipeline.core.rows import cells, numbers, pick, put


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_pick_gives_the_rows_bit_by_bit(dtype: type) -> None:
    table: AnyArray = np.arange(20).reshape(5, 4).astype(dtype)
    if dtype is not np.int64:
        table[1] = [np.nan, -0.0, np.inf, -np.nan]
    rows = np.array([4, 1, 1, 0])
    for form in (table, np.asfortranarray(table), table[:, :3]):
        found = pick(form, rows)
        assert found.dtype == form.dtype
        assert found.tobytes() == form[rows].tobytes()
        assert found.flags.writeable


def test_pick_of_none_has_the_form_of_some() -> None:
    none = np.empty(0, np.int64)
    for table in (np.zeros((3, 4), np.float32), np.zeros((0, 4), np.float32)):
        assert pick(table, none).shape == (0, 4)


def test_cells_are_those_of_pairs() -> None:
    matrix = np.arange(12).reshape(3, 4)
    rows, columns = np.array([0, 2, 2]), np.array([3, 0, 1])
    assert cells(matrix, rows, columns).tolist() == [3, 8, 9]
    assert cells(matrix, rows[:, None], columns).tolist() == matrix[rows[:, None], columns].tolist()


def test_numbers_count_from_0_and_cannot_be_written_to() -> None:
    for count in (0, 3, 20_000):
        np.testing.assert_array_equal(numbers(count), np.arange(count))
    with pytest.raises(ValueError, match="read-only"):
        numbers(3)[0] = 1


def test_put_writes_the_rows_and_no_others() -> None:
    table = np.zeros((5, 4), np.float32)
    values = np.arange(8, dtype=np.float32).reshape(4, 2).T
    put(table, np.array([3, 1]), values)
    wanted = np.zeros((5, 4), np.float32)
    wanted[[3, 1]] = values
    np.testing.assert_array_equal(table, wanted)
    put(table, np.empty(0, np.int64), np.empty((0, 4), np.float32))
    np.testing.assert_array_equal(table, wanted)
