"""Surfaces: eight-bit layers with mip levels, and a canvas in metres to paint them on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
CHANNELS = 7  # red, green, blue (sRGB), alpha, glass, lamp group a, lamp group b
_SIDE_OF_NOISE = 8


@dataclass(frozen=True)
class Texture:
    """uint8 [h, w, CHANNELS] and its halvings; row 0 is v = 0, the bottom."""

    levels: tuple[np.ndarray, ...]

    @cached_property
    def cutout(self) -> bool:
        """Whether any texel is transparent."""
        return bool((self.levels[0][..., 3] < 128).any())

    def opaque(self, u: np.ndarray, v: np.ndarray, level: int) -> np.ndarray:
        return _nearest(self.levels[level], u, v)[:, 3] >= 110

    def sample(self, u: np.ndarray, v: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """Texels [n, CHANNELS] at the mip level that suits a pixel's footprint (in texels of level 0)."""
        level = np.clip(np.log2(np.maximum(footprint, 1e-6)) + 0.2, 0, len(self.levels) - 1).astype(int)
        out = np.empty((len(u), CHANNELS), np.uint8)
        for wanted in np.unique(level):
            chosen = level == wanted
            out[chosen] = _nearest(self.levels[wanted], u[chosen], v[chosen])
        return out


def _nearest(level: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    height, width = level.shape[:2]
    column = np.minimum(((u - np.floor(u)) * width).astype(np.int32), width - 1)
    row = np.minimum(((v - np.floor(v)) * height).astype(np.int32), height - 1)
    return level[row, column]


def with_levels(base: np.ndarray) -> Texture:
    """A texture from its finest level, by averaging 2 x 2 texels until a side is under 4."""
    levels = [np.ascontiguousarray(base)]
    while min(levels[-1].shape[:2]) >= 4:
        last = levels[-1][: levels[-1].shape[0] // 2 * 2, : levels[-1].shape[1] // 2 * 2].astype(np.uint16)
        mean = (last[::2, ::2] + last[1::2, ::2] + last[::2, 1::2] + last[1::2, 1::2] + 2) // 4
        levels.append(mean.astype(np.uint8))
    return Texture(tuple(levels))


def from_layers(rgb: np.ndarray, alpha: np.ndarray | None = None) -> Texture:
    """A texture without glass or lamps from float or uint8 [h, w, 3] in 0..255, top row first."""
    base = np.zeros((*rgb.shape[:2], CHANNELS), np.uint8)
    base[..., :3] = np.clip(rgb, 0, 255)
    base[..., 3] = 255 if alpha is None else np.clip(alpha, 0, 255)
    return with_levels(base[::-1])


def plain(colour: Colour, *, lamp: int = 0, glass: int = 0) -> Texture:
    """One colour; ``lamp`` and ``glass`` are 0..255."""
    base = np.empty((4, 4, CHANNELS), np.uint8)
    base[:] = (*colour, 255, glass, lamp, lamp)
    return with_levels(base)


def noise(shape: tuple[int, int], random: np.random.Generator, octaves: int = 4) -> np.ndarray:
    """Smooth noise in 0..1, [h, w]: bicubic octaves, each twice as fine and half as strong."""
    total, weight = np.zeros(shape, np.float32), 0.0
    for octave in range(octaves):
        cells = _SIDE_OF_NOISE * 2**octave
        grid = Image.fromarray(random.random((cells, cells)).astype(np.float32))
        total += np.asarray(grid.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)) * 0.5**octave
        weight += 0.5**octave
    return np.clip(total / weight, 0, 1)


class Canvas:
    """A wall to paint in metres: x to the right, y upwards from the ground."""

    def __init__(self, width: float, height: float, pixels_per_metre: float = 28):
        self.scale = pixels_per_metre
        self.width, self.height = width, height
        size = (max(4, round(width * self.scale)), max(4, round(height * self.scale)))
        self.rgb = Image.new("RGB", size)
        self.layers = [Image.new("L", size, value) for value in (255, 0, 0, 0)]
        self._draw = ImageDraw.Draw(self.rgb)
        self._masks = [ImageDraw.Draw(layer) for layer in self.layers]

    def fill(self, rgb: np.ndarray) -> None:
        """Paint the whole wall with [h, w, 3] in 0..255."""
        self.rgb.paste(Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8)))

    @property
    def shape(self) -> tuple[int, int]:
        return self.rgb.height, self.rgb.width

    def _points(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x * self.scale, (self.height - y) * self.scale) for x, y in points]

    def polygon(
        self,
        points: Sequence[tuple[float, float]],
        colour: Colour,
        *,
        glass: int = 0,
        lamps: tuple[int, int] = (0, 0),
    ) -> None:
        corners = self._points(points)
        self._draw.polygon(corners, fill=colour)
        for mask, value in zip(self._masks[1:], (glass, *lamps), strict=True):
            mask.polygon(corners, fill=value)

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, **layers) -> None:
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, **layers)

    def arch(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, **layers) -> None:
        """A rectangle under a half circle whose top is y1."""
        radius = (x1 - x0) / 2
        angles = np.linspace(0, np.pi, 14)
        top = [(x0 + radius + radius * np.cos(a), y1 - radius + radius * np.sin(a)) for a in angles]
        self.polygon([(x0, y0), (x1, y0), *top], colour, **layers)

    def disc(self, x: float, y: float, radius: float, colour: Colour, **layers) -> None:
        angles = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        self.polygon([(x + radius * np.cos(a), y + radius * np.sin(a)) for a in angles], colour, **layers)

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, width: float) -> None:
        self._draw.line(self._points(points), fill=colour, width=max(1, round(width * self.scale)))

    def cut(self, points: Sequence[tuple[float, float]]) -> None:
        """Make a polygon transparent."""
        self._masks[0].polygon(self._points(points), fill=0)

    def clear(self) -> None:
        """Make everything transparent; :meth:`keep` brings parts back."""
        self.layers[0].paste(0, (0, 0, *self.layers[0].size))

    def keep(self, points: Sequence[tuple[float, float]]) -> None:
        self._masks[0].polygon(self._points(points), fill=255)

    def text(self, x: float, y: float, words: str, size: float, colour: Colour, *, lamp: int = 0) -> None:
        """Words centred at (x, y), capitals ``size`` metres high."""
        font = ImageFont.load_default(max(6, round(size * 1.35 * self.scale)))
        at = self._points([(x, y)])[0]
        self._draw.text(at, words, fill=colour, font=font, anchor="mm")
        if lamp:
            for mask in self._masks[2:]:
                mask.text(at, words, fill=lamp, font=font, anchor="mm")

    def texture(self) -> Texture:
        base = np.dstack([np.asarray(self.rgb), *(np.asarray(layer) for layer in self.layers)])
        return with_levels(base[::-1])
