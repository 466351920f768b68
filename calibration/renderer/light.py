"""Time of day and weather: the sun, the sky, fog, lamps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from renderer.texture import noise

Linear = tuple[float, float, float]  # linear-light colour
_SKY_SCALE = 0.35  # of the cloud pattern


@dataclass(frozen=True)
class Light:
    """One state of the sky.

    Attributes:
        azimuth, elevation: of the sun (or moon), radians; azimuth 0 is east, growing to the north.
        sun: its light on a surface facing it; black when it is covered.
        zenith, horizon: of the sky.
        ambient: the sky's light on an upward surface.
        clouds: 0 clear .. 1 covered.
        fog: share of light lost per metre.
        wet: 0 dry .. 1 mirroring puddles.
        snow: 0 none .. 1 white roofs and streets.
        lamps: brightness of the two groups of windows and of the street lamps; 0 by day.
        rain, flakes: streaks and snowflakes in front of the camera.
    """

    name: str
    azimuth: float = 0.0
    elevation: float = 0.8
    sun: Linear = (0.0, 0.0, 0.0)
    zenith: Linear = (0.5, 0.55, 0.6)
    horizon: Linear = (0.7, 0.72, 0.75)
    ambient: Linear = (0.6, 0.65, 0.7)
    clouds: float = 0.0
    fog: float = 0.0015
    wet: float = 0.0
    snow: float = 0.0
    lamps: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rain: float = 0.0
    flakes: float = 0.0

    @property
    def towards_sun(self) -> np.ndarray:
        flat = np.cos(self.elevation)
        return np.array([flat * np.cos(self.azimuth), flat * np.sin(self.azimuth), np.sin(self.elevation)])


_BASE = {
    "clear": Light(
        "clear",
        sun=(3.1, 2.85, 2.45),
        zenith=(0.13, 0.30, 0.74),
        horizon=(0.58, 0.74, 0.95),
        ambient=(0.46, 0.56, 0.74),
        clouds=0.35,
    ),
    "golden": Light(
        "golden",
        sun=(3.3, 1.95, 0.95),
        zenith=(0.17, 0.28, 0.55),
        horizon=(1.05, 0.68, 0.42),
        ambient=(0.36, 0.38, 0.50),
        clouds=0.45,
        fog=0.002,
    ),
    "overcast": Light(
        "overcast",
        zenith=(0.62, 0.66, 0.72),
        horizon=(0.80, 0.83, 0.87),
        ambient=(0.92, 0.96, 1.03),
        clouds=0.95,
        fog=0.003,
    ),
    "rain": Light(
        "rain",
        zenith=(0.36, 0.40, 0.46),
        horizon=(0.50, 0.54, 0.60),
        ambient=(0.58, 0.63, 0.70),
        clouds=1.0,
        fog=0.005,
        wet=0.75,
        rain=1.0,
        lamps=(0.5, 0.1, 0.25),
    ),
    "fog": Light(
        "fog",
        zenith=(0.66, 0.69, 0.72),
        horizon=(0.72, 0.74, 0.76),
        ambient=(0.78, 0.81, 0.85),
        clouds=1.0,
        fog=0.016,
        lamps=(0.35, 0.0, 0.3),
        wet=0.15,
    ),
    "snow": Light(
        "snow",
        zenith=(0.64, 0.68, 0.75),
        horizon=(0.78, 0.81, 0.86),
        ambient=(0.80, 0.86, 0.96),
        clouds=1.0,
        fog=0.006,
        snow=0.95,
        flakes=1.0,
        lamps=(0.3, 0.1, 0.1),
    ),
    "dusk": Light(
        "dusk",
        sun=(0.10, 0.05, 0.05),
        zenith=(0.06, 0.11, 0.26),
        horizon=(0.46, 0.30, 0.27),
        ambient=(0.16, 0.19, 0.28),
        clouds=0.4,
        fog=0.004,
        lamps=(1.0, 0.5, 0.8),
    ),
    "night": Light(
        "night",
        sun=(0.02, 0.03, 0.05),
        zenith=(0.006, 0.009, 0.022),
        horizon=(0.045, 0.036, 0.040),
        ambient=(0.035, 0.040, 0.065),
        clouds=0.3,
        fog=0.004,
        lamps=(1.0, 0.75, 1.4),
        wet=0.1,
    ),
}
NAMES = tuple(_BASE)
_ELEVATION = {"clear": (0.55, 1.05), "golden": (0.13, 0.30), "dusk": (0.02, 0.05), "night": (0.5, 0.9)}


def light(name: str, random: np.random.Generator) -> Light:
    """A sky of that name with its own sun position, clouds and lit windows."""
    base = _BASE[name]
    low, high = _ELEVATION.get(name, (0.7, 0.8))
    lamp_a, lamp_b, street = base.lamps
    swap = random.random() < 0.5
    return replace(
        base,
        azimuth=random.uniform(-2.6, 0.35),  # from behind the camera and its sides, at times ahead
        elevation=random.uniform(low, high),
        clouds=float(np.clip(base.clouds + random.uniform(-0.25, 0.25), 0, 1)),
        fog=base.fog * random.uniform(0.75, 1.25),
        wet=max(base.wet, 0.8) if name in ("night", "dusk") and random.random() < 0.35 else base.wet,
        lamps=(lamp_b, lamp_a, street) if swap else (lamp_a, lamp_b, street),
    )


class Sky:
    """Radiance of the sky by direction: gradient, clouds, the sun's glow, stars."""

    def __init__(self, state: Light, random: np.random.Generator):
        self.state = state
        self._clouds = noise((256, 256), random, 6)
        self._stars = random.random((256, 256)) > 0.9985

    def __call__(self, direction: np.ndarray) -> np.ndarray:
        """Unit directions [n, 3] -> linear colour [n, 3]."""
        state = self.state
        up = np.clip(direction[:, 2], 0, 1)
        colour = (
            np.array(state.horizon)
            + (np.array(state.zenith) - np.array(state.horizon)) * np.sqrt(up)[:, None]
        )
        height = up + 0.12
        column, row = (
            _mirrored((direction[:, axis] / height * _SKY_SCALE * 128).astype(int)) for axis in (0, 1)
        )
        if state.name == "night":
            fine = [
                _mirrored((direction[:, axis] / height * _SKY_SCALE * 700).astype(int)) for axis in (0, 1)
            ]
            colour = colour + (self._stars[fine[0], fine[1]] * up * 0.7)[:, None]
        cover = np.clip((self._clouds[row, column] - 0.72 + 0.45 * state.clouds) * 4, 0, 1) * np.clip(
            up * 6, 0, 1
        )
        bright = np.array(state.horizon) * 0.65 + np.array(state.ambient) * 0.4 + np.array(state.sun) * 0.09
        colour = (
            colour
            + (bright * (0.82 + 0.3 * self._clouds[row, column][:, None]) - colour) * 0.85 * cover[:, None]
        )
        toward = np.clip(direction @ state.towards_sun, 0, 1)
        glow = 0.9 * toward**400 * 6 + 0.25 * toward**24
        return colour + glow[:, None] * np.array(state.sun) * (1 - 0.7 * cover[:, None])


def _mirrored(index: np.ndarray) -> np.ndarray:
    """Indices into 256 cells that turn back at the ends, so that the clouds have no seams."""
    folded = index % 512
    return np.minimum(folded, 511 - folded)


@dataclass(frozen=True)
class Lamp:
    """A street lamp or a lit shop: position, linear colour times strength."""

    position: tuple[float, float, float]
    colour: Linear


def lamp_light(points: np.ndarray, normals: np.ndarray, lamps: list[Lamp]) -> np.ndarray:
    """Light of point lamps on surfaces, [n, 3]; no shadows, a soft fall-off near the lamp."""
    total = np.zeros_like(points)
    for lamp in lamps:
        to = np.asarray(lamp.position) - points
        square = np.einsum("ij,ij->i", to, to)
        facing = np.clip(np.einsum("ij,ij->i", to, normals) / np.sqrt(square + 1e-6), 0, 1)
        total += ((0.15 + 0.85 * facing) / (square + 3.0))[:, None] * np.asarray(lamp.colour)
    return total
