"""Visibility: which solid each pixel sees, and where on it.

Every solid is a unit shape under an affine map, so a pixel's ray is intersected in the solid's own space and
the ray parameter stays the same in world space. Perspective-correct by construction; no clipping is needed.
World: x east, y north, z up, metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from renderer.texture import Texture

PANEL, BALL, TUBE = 0, 1, 2  # z = 0 over [0,1]^2 · unit sphere · |xy| = 1 + (taper - 1) z over z in [0,1]
NEAR = 0.3  # metres
NOTHING = -1


@dataclass(frozen=True)
class Solid:
    """A textured shape.

    Attributes:
        shape: PANEL, BALL or TUBE.
        origin: float64 [3], world position of the local origin.
        axes: float64 [3, 3], columns are the local axes in world coordinates.
        texture: its surface; drawn ``repeat`` times along u and v.
        taper: radius of a tube's top relative to its bottom.
        ground: takes rain, snow and reflections as a street does.
    """

    shape: int
    origin: np.ndarray
    axes: np.ndarray
    texture: Texture
    repeat: tuple[float, float] = (1.0, 1.0)
    taper: float = 1.0
    ground: bool = False

    def corners(self) -> np.ndarray:
        """World corners of the bounding box, [n, 3]."""
        low, high = _BOUNDS[self.shape]
        wide = max(1.0, self.taper) if self.shape == TUBE else 1.0
        grid = np.array(
            [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
        )
        grid = grid * (wide, wide, 1.0)
        return self.origin + np.unique(grid, axis=0) @ self.axes.T


_BOUNDS = {
    PANEL: ((0, 0, 0), (1, 1, 0)),
    BALL: ((-1, -1, -1), (1, 1, 1)),
    TUBE: ((-1, -1, 0), (1, 1, 1)),
}


@dataclass(frozen=True)
class View:
    """Rays of a pixel grid: origin + x * origin_dx + y * origin_dy, and the same for the direction.

    A perspective view has one origin; a parallel one (the sun's) has one direction.
    """

    width: int
    height: int
    origin: np.ndarray
    origin_dx: np.ndarray
    origin_dy: np.ndarray
    direction: np.ndarray
    direction_dx: np.ndarray
    direction_dy: np.ndarray

    @property
    def parallel(self) -> bool:
        return not self.direction_dx.any()

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points [n, 3] -> pixel coordinates [n, 2] and ray parameters [n]."""
        if self.parallel:
            basis = np.stack([self.origin_dx, self.origin_dy, self.direction], axis=1)
            solved = np.linalg.solve(basis, (points - self.origin).T).T
            return solved[:, :2], solved[:, 2]
        basis = np.stack([self.direction_dx, self.direction_dy, self.direction], axis=1)
        solved = np.linalg.solve(basis, (points - self.origin).T).T
        depth = solved[:, 2]
        return solved[:, :2] / np.where(np.abs(depth) < 1e-9, 1e-9, depth)[:, None], depth

    def bounds(self, points: np.ndarray) -> tuple[int, int, int, int] | None:
        """Pixel box (x0, y0, x1, y1) that covers a convex hull of world points, or None."""
        if not self.parallel:
            points = self._in_front(points)
            if not len(points):
                return None
        pixels, _ = self.project(points)
        low, high = np.floor(pixels.min(0)).astype(int), np.ceil(pixels.max(0)).astype(int) + 1
        x0, y0 = max(low[0], 0), max(low[1], 0)
        x1, y1 = min(high[0], self.width), min(high[1], self.height)
        return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    def _in_front(self, points: np.ndarray) -> np.ndarray:
        """The hull's part beyond the near plane: its corners there and where its edges cross."""
        depth = self.project(points)[1]
        front, back = points[depth > NEAR], points[depth <= NEAR]
        if not len(back) or not len(front):
            return front
        d_front, d_back = depth[depth > NEAR], depth[depth <= NEAR]
        share = (d_front[:, None] - NEAR) / (d_front[:, None] - d_back[None, :])
        cuts = front[:, None] + share[..., None] * (back[None] - front[:, None])
        return np.concatenate([front, cuts.reshape(-1, 3)])


@dataclass
class Hits:
    """What each pixel sees: index of the solid (NOTHING: the sky) and the ray parameter, [H, W]."""

    solid: np.ndarray
    depth: np.ndarray


def cast(view: View, solids: Sequence[Solid]) -> Hits:
    """Nearest solid of every pixel."""
    hits = Hits(
        np.full((view.height, view.width), NOTHING, np.int32),
        np.full((view.height, view.width), np.inf, np.float32),
    )
    for index, solid in enumerate(solids):
        box = view.bounds(solid.corners())
        if box is not None:
            _cast_one(view, solid, index, box, hits)
    return hits


def _cast_one(view: View, solid: Solid, index: int, box: tuple[int, int, int, int], hits: Hits) -> None:
    x0, y0, x1, y1 = box
    origin, direction = local_rays(view, solid, np.arange(x0, x1)[None, :], np.arange(y0, y1)[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        t = _SHAPES[solid.shape](origin, direction, solid)
        seen = t < hits.depth[y0:y1, x0:x1]
    if view.parallel is False:
        seen &= t > NEAR
    if solid.texture.cutout:
        rows, columns = np.nonzero(seen)
        ray_t = t[rows, columns]
        local = [
            _pick(o, rows, columns) + ray_t * _pick(d, rows, columns)
            for o, d in zip(origin, direction, strict=True)
        ]
        u, v = surface_uv(solid, local)
        seen[rows, columns] = solid.texture.opaque(u, v, _level(view, solid, ray_t))
    hits.depth[y0:y1, x0:x1][seen] = t[seen]
    hits.solid[y0:y1, x0:x1][seen] = index


def _pick(value: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return value[np.minimum(rows, value.shape[0] - 1), np.minimum(columns, value.shape[1] - 1)]


def local_rays(view: View, solid: Solid, x: np.ndarray, y: np.ndarray) -> tuple[list, list]:
    """Ray origins and directions of pixels in a solid's own space: three arrays each."""
    inverse = np.linalg.inv(solid.axes)

    def affine(base: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> list[np.ndarray]:
        a, b, c = inverse @ base, inverse @ dx, inverse @ dy
        if not (b.any() or c.any()):
            return [np.full((1, 1), a[i], np.float32) for i in range(3)]
        return [(a[i] + b[i] * x + c[i] * y).astype(np.float32) for i in range(3)]

    return (
        affine(view.origin - solid.origin, view.origin_dx, view.origin_dy),
        affine(view.direction, view.direction_dx, view.direction_dy),
    )


def _hit_panel(o: list, d: list, solid: Solid) -> np.ndarray:
    t = -o[2] / d[2]
    u, v = o[0] + t * d[0], o[1] + t * d[1]
    return np.where((u >= 0) & (u <= 1) & (v >= 0) & (v <= 1), t, np.inf)


def _hit_ball(o: list, d: list, solid: Solid) -> np.ndarray:
    a = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    b = o[0] * d[0] + o[1] * d[1] + o[2] * d[2]
    c = o[0] * o[0] + o[1] * o[1] + o[2] * o[2] - 1
    square = b * b - a * c
    return np.where(square > 0, (-b - np.sqrt(square)) / a, np.inf)


def _hit_tube(o: list, d: list, solid: Solid) -> np.ndarray:
    slope = np.float32(solid.taper - 1)
    radius = 1 + slope * o[2]
    a = d[0] * d[0] + d[1] * d[1] - slope * slope * d[2] * d[2]
    b = o[0] * d[0] + o[1] * d[1] - slope * radius * d[2]
    c = o[0] * o[0] + o[1] * o[1] - radius * radius
    root = np.sqrt(b * b - a * c)
    best = np.full(np.broadcast(root, o[2], d[2]).shape, np.inf, np.float32)
    for t in ((-b - root) / a, (-b + root) / a):
        z = o[2] + t * d[2]
        best = np.where((z >= 0) & (z <= 1) & (t > 0) & (t < best), t, best)
    return best


_SHAPES = {PANEL: _hit_panel, BALL: _hit_ball, TUBE: _hit_tube}


def surface_uv(solid: Solid, local: list) -> tuple[np.ndarray, np.ndarray]:
    """Texture coordinates of local surface points, in repeats of the texture."""
    x, y, z = local
    if solid.shape == PANEL:
        return x * solid.repeat[0], y * solid.repeat[1]
    around = np.arctan2(y, x) / (2 * np.pi) + 0.5
    up = np.arcsin(np.clip(z, -1, 1)) / np.pi + 0.5 if solid.shape == BALL else z
    return around * solid.repeat[0], up * solid.repeat[1]


def _level(view: View, solid: Solid, t: np.ndarray) -> int:
    """One mip level for a whole solid, from its median distance."""
    if not len(t):
        return 0
    pixel = (
        np.linalg.norm(view.origin_dx) if view.parallel else np.linalg.norm(view.direction_dx) * np.median(t)
    )
    return int(np.clip(np.log2(max(pixel / texel_size(solid), 1e-6)), 0, len(solid.texture.levels) - 1))


def texel_size(solid: Solid) -> float:
    """Metres along u of one texel of level 0."""
    length = np.linalg.norm(solid.axes[:, 0]) * (1 if solid.shape == PANEL else 2 * np.pi)
    return float(length / (solid.repeat[0] * solid.texture.levels[0].shape[1]))


def normals(solid: Solid, local: np.ndarray) -> np.ndarray:
    """Unit world normals [n, 3] at local surface points [n, 3]."""
    if solid.shape == PANEL:
        outward = np.broadcast_to(np.array([0.0, 0.0, 1.0]), local.shape)
    elif solid.shape == BALL:
        outward = local
    else:
        outward = local.copy()
        outward[:, 2] = (1 - solid.taper) * (1 + (solid.taper - 1) * local[:, 2])
    world = outward @ np.linalg.inv(solid.axes)
    return world / np.maximum(np.linalg.norm(world, axis=1, keepdims=True), 1e-9)
