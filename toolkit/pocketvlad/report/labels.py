"""Names beside points so that none touches another: pure geometry, pixels, y upwards."""

from __future__ import annotations

import math
from collections.abc import Sequence

Box = tuple[float, float, float, float]  # left, bottom, right, top
_DIRECTIONS = (90, 270, 0, 180, 45, 135, 315, 225)  # degrees, the first is liked best
_RINGS = (0, 8, 18, 30, 44, 60)  # pixels from a point's edge to its name's
_CLEAR = 2.0  # pixels between names


def place_labels(
    points: Sequence[Box], sizes: Sequence[tuple[float, float]], taken: Sequence[Box], inside: Box
) -> list[Box]:
    """A box for each name: near its point, free of points, of what is taken and of each other where that is possible.

    Args:
        points: what each name belongs to; names keep out of all of them.
        sizes: width and height of each name.
        taken: other boxes to keep out of.
        inside: that no name leaves.
    """
    found: list[Box] = []
    for point, size in zip(points, sizes, strict=True):
        blocked = [*points, *taken, *found]
        candidates = [_beside(point, size, way, ring) for ring in _RINGS for way in _DIRECTIONS]
        held = [_moved_inside(box, inside) for box in candidates]
        found.append(min(held, key=lambda box: sum(overlap(box, other) for other in blocked)))
    return found


def overlap(one: Box, other: Box) -> float:
    """Area that two boxes share, square pixels, with a little room around."""
    width = min(one[2], other[2]) - max(one[0], other[0]) + _CLEAR
    height = min(one[3], other[3]) - max(one[1], other[1]) + _CLEAR
    return max(width, 0.0) * max(height, 0.0)


def _beside(point: Box, size: tuple[float, float], degrees: float, ring: float) -> Box:
    """The box of ``size`` beside a point's own in a direction, ``ring`` pixels further than touching."""
    across, up = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    reach_x = (point[2] - point[0] + size[0]) / 2 + _CLEAR + ring
    reach_y = (point[3] - point[1] + size[1]) / 2 + _CLEAR + ring
    x = (point[0] + point[2]) / 2 + _sign(across) * reach_x
    y = (point[1] + point[3]) / 2 + _sign(up) * reach_y
    return x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2


def _sign(value: float) -> int:
    return 0 if abs(value) < 1e-9 else 1 if value > 0 else -1


def _moved_inside(box: Box, inside: Box) -> Box:
    right = max(inside[0] - box[0], 0.0) - max(box[2] - inside[2], 0.0)
    up = max(inside[1] - box[1], 0.0) - max(box[3] - inside[3], 0.0)
    return box[0] + right, box[1] + up, box[2] + right, box[3] + up
