"""The best one-to-one pairing of true boxes and tracks."""

import lap
import numpy as np

from pipeline.core.arrays import F64, I64


def best_pairs(worth: F64) -> tuple[I64, I64]:
    """Rows and columns that maximise the total of (N, M) `worth`, each at most once: min(N, M)
    pairs, also of no worth."""
    if not worth.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    _, column_of_row, _ = lap.lapjv(worth.max() - worth, extend_cost=True)
    columns = np.asarray(column_of_row, np.int64)
    rows = np.flatnonzero(columns >= 0)
    return rows, columns[rows]
