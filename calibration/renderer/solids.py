"""Shapes a scene is put together from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from renderer.raster import BALL, PANEL, TUBE, Solid
from renderer.texture import Canvas, Colour, Texture, from_layers, noise, plain

Point = Sequence[float]
UP = np.array([0.0, 0.0, 1.0])


def panel(
    origin: Point, u: Point, v: Point, texture: Texture, repeat: tuple[float, float] = (1, 1), *, ground=False
) -> Solid:
    """A parallelogram from ``origin`` along ``u`` (texture right) and ``v`` (texture up)."""
    u, v = np.asarray(u, float), np.asarray(v, float)
    across = np.cross(u, v)
    axes = np.stack([u, v, across / np.linalg.norm(across)], axis=1)
    return Solid(PANEL, np.asarray(origin, float), axes, texture, repeat, ground=ground)


def wall(
    a: Point, b: Point, bottom: float, top: float, texture: Texture, repeat: tuple[float, float] = (1, 1)
) -> Solid:
    """An upright panel from (x, y) ``a`` to ``b``; seen from the right of it, it reads left to right."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return panel((*a, bottom), (*(b - a), 0), (0, 0, top - bottom), texture, repeat)


def box(
    low: Point, high: Point, texture: Texture | Colour, repeat: tuple[float, float] = (1, 1)
) -> list[Solid]:
    """Four sides, top and bottom of an axis-aligned box."""
    surface = texture if isinstance(texture, Texture) else plain(texture)
    (x0, y0, z0), (x1, y1, z1) = low, high
    ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    sides = [wall(ring[i], ring[(i + 1) % 4], z0, z1, surface, repeat) for i in range(4)]
    caps = [panel((x0, y0, z), (x1 - x0, 0, 0), (0, y1 - y0, 0), surface) for z in (z0, z1)]
    return sides + caps


def ball(
    centre: Point, radii: float | Point, texture: Texture, repeat: tuple[float, float] = (1, 1)
) -> Solid:
    """An ellipsoid with axis-aligned radii."""
    return Solid(
        BALL,
        np.asarray(centre, float),
        np.diag(np.broadcast_to(np.asarray(radii, float), 3)),
        texture,
        repeat,
    )


def tube(
    foot: Point,
    height: float,
    radius: float,
    texture: Texture,
    *,
    taper: float = 1.0,
    repeat: tuple[float, float] = (1, 1),
) -> Solid:
    """An upright cylinder, or a cone where ``taper`` < 1."""
    return Solid(TUBE, np.asarray(foot, float), np.diag([radius, radius, height]), texture, repeat, taper)


def beam(a: Point, b: Point, radius: float, texture: Texture) -> Solid:
    """A round bar between two points."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    along = b - a
    helper = UP if abs(along[2]) < 0.9 * np.linalg.norm(along) else np.array([1.0, 0, 0])
    side = np.cross(along, helper)
    side *= radius / np.linalg.norm(side)
    other = np.cross(along, side)
    other *= radius / np.linalg.norm(other)
    return Solid(TUBE, a, np.stack([side, other, along], axis=1), texture)


def disc(centre: Point, u: Point, v: Point, canvas: Canvas) -> Solid:
    """A round panel with half axes ``u`` and ``v``, cut from a square canvas."""
    side = canvas.width
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    canvas.clear()
    canvas.keep([(side / 2 * (1 + np.cos(a)), side / 2 * (1 + np.sin(a))) for a in angles])
    u, v = np.asarray(u, float), np.asarray(v, float)
    return panel(np.asarray(centre, float) - u - v, 2 * u, 2 * v, canvas.texture())


def foliage(colour: Colour, random: np.random.Generator, density: float = 0.6) -> Texture:
    """Leaves with gaps: ``density`` is the covered share."""
    shape = (96, 96)
    patches = noise(shape, random, 2) * 0.5 + random.random(shape) * 0.5
    light = 0.55 + 0.75 * random.random(shape) ** 1.5
    tint = (
        np.array(colour) * light[..., None] * (1 + 0.15 * random.normal(size=(*shape, 3)) * (0.6, 0.3, 0.6))
    )
    alpha = np.where(patches < np.quantile(patches, density), 255, 0)
    return from_layers(tint, alpha)


def mottled(colour: Colour, random: np.random.Generator, contrast: float = 0.3) -> Texture:
    """A rough surface of one colour: bark, concrete, hedge."""
    tone = 1 - contrast / 2 + contrast * noise((64, 64), random, 5) + random.normal(0, contrast / 8, (64, 64))
    return from_layers(tone[..., None] * np.array(colour))


def tiles(colour: Colour, random: np.random.Generator, rows: int = 12) -> Texture:
    """Rows of roof tiles."""
    size = 96
    y = np.arange(size) * rows / size
    tone = random.normal(1, 0.07, (rows + 1, 24))[y.astype(int)][:, np.arange(size) * 24 // size]
    tone = tone * np.where(y % 1 > 0.75, 0.7, 1.0)[:, None]
    return from_layers(tone[..., None] * np.array(colour))
