"""Light on what the camera sees: sun with shadows, sky, lamps, glass, wet streets, snow, fog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from renderer.light import Lamp, Light, Sky, lamp_light
from renderer.raster import NOTHING, Solid, View, cast, local_rays, normals, surface_uv, texel_size
from renderer.texture import CHANNELS

_SHADOW_PIXELS = 900
_SHADOW_METRES = 84.0  # side of the square the shadow map covers
_TO_LINEAR = ((np.arange(256) / 255) ** 2.2).astype(np.float32)
_WINDOW_LIGHT = np.array([1.0, 0.72, 0.40])


@dataclass(frozen=True)
class Scene:
    """Everything that does not depend on the light: solids, lamps, dark patches under vehicles and people.

    ``patches`` are (x, y, half length, half width, heading) ellipses on the ground.
    """

    solids: Sequence[Solid]
    lamps: Sequence[Lamp]
    patches: Sequence[tuple[float, float, float, float, float]] = ()


@dataclass
class Surface:
    """Visible points: [n] or [n, 3] arrays over the pixels that see a solid."""

    pixel: np.ndarray  # flat index
    point: np.ndarray
    normal: np.ndarray  # turned towards the camera
    texel: np.ndarray  # uint8 [n, CHANNELS]
    ground: np.ndarray
    distance: np.ndarray
    ray: np.ndarray  # unit direction from the camera


def render(view: View, scene: Scene, light: Light, sky: Sky) -> np.ndarray:
    """Linear radiance float32 [H, W, 3], wet streets mirroring the scene above them."""
    mirror = None
    if light.wet > 0.3:
        above = [solid for solid in scene.solids if not solid.ground]
        mirror = _render_once(_mirrored(view), Scene(above, scene.lamps), light, sky, None)
    return _render_once(view, scene, light, sky, mirror)


def _mirrored(view: View) -> View:
    """The view from under the street: what a perfect puddle shows in each pixel."""
    flip = np.array([1.0, 1.0, -1.0])
    return View(
        view.width,
        view.height,
        view.origin * flip,
        view.origin_dx,
        view.origin_dy,
        view.direction * flip,
        view.direction_dx * flip,
        view.direction_dy * flip,
    )


def _render_once(view: View, scene: Scene, light: Light, sky: Sky, mirror: np.ndarray | None) -> np.ndarray:
    hits = cast(view, scene.solids)
    image = np.empty((view.height * view.width, 3), np.float32)
    empty = np.flatnonzero(hits.solid.ravel() == NOTHING)
    image[empty] = sky(_directions(view, empty))
    surface = _surface(view, scene.solids, hits.solid.ravel(), hits.depth.ravel())
    if surface is not None:
        image[surface.pixel] = _shade(surface, scene, light, sky, mirror)
    return image.reshape(view.height, view.width, 3)


def _directions(view: View, pixels: np.ndarray) -> np.ndarray:
    x, y = pixels % view.width, pixels // view.width
    ray = view.direction + x[:, None] * view.direction_dx + y[:, None] * view.direction_dy
    return ray / np.linalg.norm(ray, axis=1, keepdims=True)


def _surface(view: View, solids: Sequence[Solid], seen: np.ndarray, depth: np.ndarray) -> Surface | None:
    order = np.argsort(seen, kind="stable")
    order = order[np.searchsorted(seen[order], 0) :]
    if not len(order):
        return None
    count = len(order)
    normal, texel = np.empty((count, 3), np.float32), np.empty((count, CHANNELS), np.uint8)
    ground = np.zeros(count, bool)
    starts = np.flatnonzero(np.diff(seen[order], prepend=NOTHING))
    for start, stop in zip(starts, [*starts[1:], count], strict=True):
        solid, pixels, part = solids[seen[order[start]]], order[start:stop], slice(start, stop)
        t = depth[pixels]
        origin, direction = local_rays(view, solid, pixels % view.width, pixels // view.width)
        local = np.stack([(o + t * d).ravel() for o, d in zip(origin, direction, strict=True)], 1)
        normal[part] = normals(solid, local)
        u, v = surface_uv(solid, list(local.T))
        texel[part] = solid.texture.sample(u, v, t * np.linalg.norm(view.direction_dx) / texel_size(solid))
        ground[part] = solid.ground
    ray = _directions(view, order)
    stretch = np.linalg.norm(
        view.direction
        + (order % view.width)[:, None] * view.direction_dx
        + (order // view.width)[:, None] * view.direction_dy,
        axis=1,
    )
    distance = depth[order] * stretch
    normal *= -np.sign(np.einsum("ij,ij->i", normal, ray))[:, None]
    return Surface(order, view.origin + ray * distance[:, None], normal, texel, ground, distance, ray)


def _shade(s: Surface, scene: Scene, light: Light, sky: Sky, mirror: np.ndarray | None) -> np.ndarray:
    albedo = _TO_LINEAR[s.texel[:, :3]]
    glass, lit_a, lit_b = (s.texel[:, channel].astype(np.float32) / 255 for channel in (4, 5, 6))
    if light.snow:
        albedo, glass = _snow(s, albedo, glass, light.snow)
    if light.wet:
        albedo = albedo * np.where(s.ground, 1 - 0.55 * light.wet, 1 - 0.2 * light.wet)[:, None]
    up = s.normal[:, 2]
    low = 0.62 + 0.38 * np.clip(s.point[:, 2] / 5, 0, 1)  # street canyons see less of the sky near the ground
    low = np.where(s.ground, 0.86 * _patches(s, scene), low)
    incoming = np.array(light.ambient) * ((0.62 + 0.38 * up) * low)[:, None]
    if sum(light.sun) > 0.3:
        facing = np.clip(s.normal @ light.towards_sun, 0, 1)
        incoming = incoming + np.array(light.sun) * (facing * _sunlit(s, scene, light))[:, None]
        incoming = incoming + np.array(light.sun) * (0.07 * (1 - up) * np.sin(light.elevation))[:, None]
    if light.lamps[2]:
        incoming = incoming + lamp_light(s.point, s.normal, list(scene.lamps)) * light.lamps[2]
    colour = albedo * incoming
    colour = _reflections(s, colour, glass, light, sky, mirror)
    lit = lit_a * light.lamps[0] + lit_b * light.lamps[1]
    colour = colour + lit[:, None] * _WINDOW_LIGHT * (0.35 + albedo * 1.5) * 1.1
    seen = np.exp(-light.fog * s.distance)[:, None]
    return colour * seen + np.array(light.horizon) * 0.95 * (1 - seen)


def _snow(s: Surface, albedo: np.ndarray, glass: np.ndarray, amount: float) -> tuple[np.ndarray, np.ndarray]:
    """White where a surface looks up, in patches where feet and wheels go."""
    x, y = s.point[:, 0], s.point[:, 1]
    trodden = 0.5 + 0.28 * np.sin(x * 1.7 + np.sin(y * 1.3)) + 0.22 * np.sin(y * 2.3 + np.sin(x * 0.9))
    cover = np.clip((s.normal[:, 2] - 0.25) * 2.2, 0, 1) * amount
    cover = np.where(s.ground, cover * (0.45 + 0.5 * trodden), cover)
    return albedo + (0.82 - albedo) * cover[:, None], glass * (1 - cover)


def _patches(s: Surface, scene: Scene) -> np.ndarray:
    """The sky's share left under and beside vehicles and people."""
    open_sky = np.ones(len(s.pixel), np.float32)
    for x, y, length, width, heading in scene.patches:
        reach = 2 * length
        near = np.flatnonzero(
            s.ground & (np.abs(s.point[:, 0] - x) < reach) & (np.abs(s.point[:, 1] - y) < reach)
        )
        dx, dy = s.point[near, 0] - x, s.point[near, 1] - y
        along = (dx * np.cos(heading) + dy * np.sin(heading)) / length
        across = (dy * np.cos(heading) - dx * np.sin(heading)) / width
        open_sky[near] *= 1 - 0.75 * np.exp(-1.1 * np.hypot(along * along, across * across))
    return open_sky


def _sunlit(s: Surface, scene: Scene, light: Light) -> np.ndarray:
    """0 in shadow .. 1 in the sun, from a depth map seen by the sun, averaged over 4 neighbours."""
    view = _sun_view(light, scene_centre=np.array([8.0, 12.0, 4.0]))
    depth = cast(view, scene.solids).depth
    pixel, t = view.project(s.point + s.normal * 0.06)
    lit = np.zeros(len(t), np.float32)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = (np.floor(pixel[:, 0]) + dx).astype(int), (np.floor(pixel[:, 1]) + dy).astype(int)
        inside = (x >= 0) & (y >= 0) & (x < view.width) & (y < view.height)
        near = depth[np.clip(y, 0, view.height - 1), np.clip(x, 0, view.width - 1)]
        weight = np.abs(1 - dx - pixel[:, 0] % 1) * np.abs(1 - dy - pixel[:, 1] % 1)
        lit += weight * (~inside | (t < near + 0.15))
    return lit


def _sun_view(light: Light, scene_centre: np.ndarray) -> View:
    toward = light.towards_sun
    right = np.cross([0.0, 0.0, 1.0], toward)
    right /= np.linalg.norm(right)
    up = np.cross(toward, right)
    step = _SHADOW_METRES / _SHADOW_PIXELS
    corner = scene_centre + toward * 150 - (right + up) * _SHADOW_METRES / 2
    zero = np.zeros(3)
    return View(_SHADOW_PIXELS, _SHADOW_PIXELS, corner, right * step, up * step, -toward, zero, zero)


def _reflections(
    s: Surface, colour: np.ndarray, glass: np.ndarray, light: Light, sky: Sky, mirror: np.ndarray | None
) -> np.ndarray:
    """Windows mirror the sky (darker below the horizon), wet streets what stands on them."""
    cosine = np.abs(np.einsum("ij,ij->i", s.normal, s.ray))
    fresnel = 0.06 + 0.94 * (1 - cosine) ** 4
    panes = np.flatnonzero(glass > 0.02)
    if len(panes):
        ray, normal = s.ray[panes], s.normal[panes]
        bounce = ray - 2 * np.einsum("ij,ij->i", ray, normal)[:, None] * normal
        houses = np.clip(0.35 + 2.2 * bounce[:, 2], 0.22, 1)  # the houses opposite, darker than the sky
        share = glass[panes] * np.clip(fresnel[panes] * 1.2 + 0.22, 0, 0.85)
        colour[panes] += share[:, None] * (sky(bounce) * houses[:, None] - colour[panes])
    if mirror is not None:
        puddles = np.flatnonzero(s.ground)
        x, y = s.point[puddles, 0], s.point[puddles, 1]
        depth = 0.55 + 0.45 * np.sin(x * 0.9 + 1.3 * np.sin(y * 0.7)) * np.sin(y * 1.1 + np.sin(x * 0.6))
        share = light.wet * depth * np.clip(fresnel[puddles] * 1.1 + 0.05, 0, 0.9)
        seen = mirror.reshape(-1, 3)[s.pixel[puddles]]
        colour[puddles] += share[:, None] * (seen - colour[puddles])
    return colour
