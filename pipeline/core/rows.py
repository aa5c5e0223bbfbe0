"""Rows of arrays by calls that keep Python's lock while there are few.

NumPy lets go of the lock, and whoever waits for it takes it, in each look-up of rows of two
dimensions, in `take` and in `arange`, however short; in one of one dimension from 500 rows on.
"""

from functools import cache
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import I64, AnyArray

Value = TypeVar("Value", bound=np.generic)

_NUMBERS: Final = np.arange(1 << 14)
_NUMBERS.flags.writeable = False


def pick(table: NDArray[Value], rows: I64) -> NDArray[Value]:
    """(N, C) values, (K,) numbers of rows from 0 on -> (K, C), a copy: as `table[rows]`."""
    if not table.flags.c_contiguous:
        return table[rows]
    found: NDArray[Value] = _whole(table)[rows].view(table.dtype)
    return found.reshape(len(rows), table.shape[1])


def put(table: NDArray[Value], rows: I64, values: NDArray[Value]) -> None:
    """Write values (K, C) into these rows (K,) of a C-contiguous table (N, C), in place, as
    `table[rows] = values`; of the same dtype."""
    _whole(table)[rows] = _whole(np.ascontiguousarray(values, table.dtype))


def _whole(table: AnyArray) -> AnyArray:
    """The rows as values of bytes, a view of one dimension."""
    return table.view(_bytes(table.itemsize * table.shape[1]))[:, 0]


@cache
def _bytes(count: int) -> np.dtype[np.void]:
    return np.dtype((np.void, count))


def cells(matrix: NDArray[Value], rows: I64, columns: I64) -> NDArray[Value]:
    """(T, N) values and K pairs of a row and a column -> (K,), as `matrix[rows, columns]`."""
    found: NDArray[Value] = matrix.ravel()[rows * matrix.shape[1] + columns]
    return found


def numbers(count: int) -> I64:
    """(count,) 0, 1, 2 and so on; only to be read."""
    return _NUMBERS[:count] if count <= len(_NUMBERS) else np.arange(count)
