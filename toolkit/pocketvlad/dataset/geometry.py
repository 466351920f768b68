"""Ground truth from positions."""

from __future__ import annotations

import numpy as np

RADIUS = 25.0  # metres; the threshold of Pitts30k/250k, Tokyo 24/7 and their successors


def positives_within(queries: np.ndarray, database: np.ndarray, radius: float = RADIUS) -> list[np.ndarray]:
    """Database rows at most ``radius`` from each query.

    Args:
        queries: float64 [q, 2], metres.
        database: float64 [n, 2], metres.
        radius: metres, inclusive.

    Returns:
        For each query the sorted int64 rows.
    """
    from sklearn.neighbors import KDTree

    rows = KDTree(np.asarray(database, np.float64)).query_radius(np.asarray(queries, np.float64), radius)
    return [np.sort(found) for found in rows]
