"""A place's scene, and the photos taken of it: where the camera stands, who walks by, what the weather is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from renderer.camera import Camera, camera_view, develop, jpeg, random_lens
from renderer.facades import shade
from renderer.houses import house, street_row
from renderer.landmarks import Corner
from renderer.light import Lamp, Sky, light
from renderer.places import PLACES, Place
from renderer.props import person, planter, road_sign, street_lamp, traffic_light, tree, umbrella, vehicle
from renderer.raster import Solid
from renderer.shading import Scene, render
from renderer.sights import LANDMARKS
from renderer.solids import panel
from renderer.texture import Canvas, noise

VIEWS = 6
SEED = 2017
_PAINTS = (
    (190, 192, 196),
    (36, 38, 42),
    (150, 30, 34),
    (40, 66, 120),
    (230, 230, 226),
    (60, 88, 70),
    (196, 150, 60),
)
_PAVEMENT = 3.2  # metres
_GROUND = 110.0  # side of the ground
_CROSSING = 35.0  # where the street crossing's centre lies on it


@dataclass(frozen=True)
class Photo:
    """One rendered view as JPEG bytes."""

    name: str
    place: str
    data: bytes


@dataclass(frozen=True)
class Street:
    """What stays the same in every photo of a place; ``half`` are the street's half widths (x, y)."""

    place: Place
    half: tuple[float, float]
    solids: tuple[Solid, ...]
    lamps: tuple[Lamp, ...]


def photos(index: int) -> Iterator[Photo]:
    """The VIEWS photos of place ``index``, always the same."""
    random = np.random.default_rng([SEED, index])
    place = f"p{index + 1:02d}_{PLACES[index].name}"
    street = build_street(PLACES[index], random)
    for number, weather in enumerate(_weathers(random), 1):
        image, quality = take_photo(street, weather, random)
        yield Photo(f"{place}_{number}_{weather}.jpg", place, jpeg(image, quality))


def _weathers(random: np.random.Generator) -> list[str]:
    """A clear day, a low sun, two more days, bad weather, and a dark one."""
    days = [str(name) for name in random.permutation(["clear", "overcast", "golden"])[:2]]
    return [
        "clear",
        "golden",
        *days,
        str(random.choice(["rain", "fog", "snow"])),
        str(random.choice(["night", "dusk"])),
    ]


def build_street(place: Place, random: np.random.Generator) -> Street:
    half = (float(random.uniform(7.0, 10.0)), float(random.uniform(7.0, 9.5)))
    hx, hy = half
    wide, deep = float(random.uniform(12, 16)), float(random.uniform(12, 16))
    solids = [ground(place.paving, half, random)]
    solids += house((hx, hy, hx + wide, hy + deep), place.house, "SW", random)
    styles = list(place.neighbours)
    solids += street_row((hx + wide, hy), (1, 0), 42, 10, "S", styles, random)
    solids += street_row((hx, hy + deep), (0, 1), 42, 10, "W", styles, random)
    first = styles[int(random.integers(len(styles)))]
    solids += house((-hx - 11, hy, -hx, hy + 12), first, "SE", random)
    solids += street_row((-hx, hy + 12), (0, 1), 40, 10, "E", styles, random)
    solids += house((hx, -hy - 12, hx + 12, -hy), styles[int(random.integers(len(styles)))], "NW", random)
    solids += street_row((hx + 12, -hy), (1, 0), 40, 10, "N", styles, random)
    solids += street_row((-14, hy + 66), (1, 0), 28, 10, "S", styles, random)
    solids += street_row((hx + 66, -14), (0, 1), 28, 10, "W", styles, random)
    lamps: list[Lamp] = []
    corner = Corner(hx, hy, place.house.height, place.house)
    for name in (place.landmark, *place.extra):
        parts, shining = LANDMARKS[name](corner, random)
        solids, lamps = solids + parts, lamps + shining
    furniture, shining = furnish(place, half, random)
    if place.house.ground in ("shop", "arcade", "columns"):
        shining += [
            Lamp((hx + 5, hy - 1.5, 2.4), (5.0, 3.6, 2.0)),
            Lamp((hx - 1.5, hy + 5, 2.4), (5.0, 3.6, 2.0)),
        ]
    return Street(place, half, tuple(solids + furniture), tuple(lamps + shining))


def furnish(
    place: Place, half: tuple[float, float], random: np.random.Generator
) -> tuple[list[Solid], list[Lamp]]:
    """Trees, lamps, lights, signs and planters along the kerbs."""
    hx, hy = half
    solids: list[Solid] = []
    lamps: list[Lamp] = []
    kerb_x, kerb_y = hx - _PAVEMENT + 0.6, hy - _PAVEMENT + 0.6
    for step in range(4):
        far = 5 + 13 * step + random.uniform(-1, 1)
        for at in ((hx + far, kerb_y), (kerb_x, hy + far), (-kerb_x, hy + far + 4), (hx + far + 4, -kerb_y)):
            if place.trees and random.random() < 0.62:
                height = random.uniform(5, 7.5) * (1.35 if place.trees in ("tall", "fir", "palm") else 1)
                solids += tree(
                    (at[0] + random.uniform(-1, 1), at[1] + random.uniform(-0.3, 0.3)),
                    place.trees,
                    height,
                    random,
                )
    for at in (
        (kerb_x, kerb_y + 9),
        (kerb_x + 11, kerb_y),
        (-kerb_x, hy + 13),
        (hx + 18, -kerb_y),
        (kerb_x, hy + 26),
        (hx + 30, kerb_y),
    ):
        parts, lamp = street_lamp(at, place.lamp)
        solids, lamps = solids + parts, [*lamps, lamp]
    if random.random() < 0.55:
        solids += traffic_light((kerb_x, kerb_y))
        solids += traffic_light((-kerb_x, hy + 1.0))
    for _ in range(int(random.integers(1, 4))):
        solids += road_sign(
            (kerb_x - 0.1 + random.uniform(0, 0.3), hy + random.uniform(1, 14)), int(random.integers(3))
        )
    for _ in range(int(random.integers(0, 4))):
        solids += planter((hx + random.uniform(1, 12), kerb_y + 0.4), random)
    return solids, lamps


def ground(paving: str, half: tuple[float, float], random: np.random.Generator) -> Solid:
    """Streets, pavements, kerbs, markings and crossings, seen from above."""
    size = _GROUND
    canvas = Canvas(size, size, 16)
    grain = 0.8 + 0.25 * noise(canvas.shape, random, 7) + 0.05 * random.normal(size=canvas.shape)
    tone = np.array({"asphalt": (82, 82, 84), "cobbles": (112, 102, 94), "setts": (138, 130, 120)}[paving])
    metres = np.arange(canvas.shape[0]) / canvas.scale
    if paving != "asphalt":
        side = 0.3 if paving == "cobbles" else 0.75
        joints = (metres % side < 0.07)[:, None] | (
            (metres[None] + side / 2 * ((metres[:, None] / side).astype(int) % 2)) % side < 0.07
        )
        grain = grain * np.where(joints, 0.8, 1.0)
    canvas.fill(grain[..., None] * tone)
    _pavements(canvas, half, shade((168, 164, 156), random.uniform(0.85, 1.05)))
    if paving == "asphalt" or random.random() < 0.4:
        _markings(canvas, half)
    corner = (-_CROSSING, -_CROSSING, 0)
    return panel(corner, (size, 0, 0), (0, size, 0), canvas.texture(), ground=True)


def _pavements(canvas: Canvas, half: tuple[float, float], colour) -> None:
    """The four blocks with their pavements."""
    x = y = _CROSSING
    inner = half[0] - _PAVEMENT, half[1] - _PAVEMENT
    for sx in (-1, 1):
        for sy in (-1, 1):
            xs = sorted((x + sx * inner[0], x + sx * 200))
            ys = sorted((y + sy * inner[1], y + sy * 200))
            canvas.rectangle(xs[0], ys[0], xs[1], ys[1], colour)
            for shrink, tint in ((0.0, 0.62), (0.14, 1.12)):
                near = (x + sx * (inner[0] + shrink), y + sy * (inner[1] + shrink))
                canvas.line([near, (near[0], ys[1] if sy > 0 else ys[0])], shade(colour, tint), 0.16)
                canvas.line([near, (xs[1] if sx > 0 else xs[0], near[1])], shade(colour, tint), 0.16)
    for offset in np.arange(0.0, 60, 0.9):
        for far in (half[0] - _PAVEMENT, half[0]):
            canvas.line(
                [(x + far, y + half[1] + offset), (x + half[0] - 0.1, y + half[1] + offset)],
                shade(colour, 0.8),
                0.04,
            )
        canvas.line(
            [(x + half[0] + offset, y + inner[1] + 0.2), (x + half[0] + offset, y + half[1])],
            shade(colour, 0.8),
            0.04,
        )


def _markings(canvas: Canvas, half: tuple[float, float]) -> None:
    paint = (206, 204, 196)
    x = y = _CROSSING
    for far in np.arange(0, 60, 4.0):
        canvas.line([(x, y + half[1] + 5 + far), (x, y + half[1] + 7 + far)], paint, 0.15)
        canvas.line([(x + half[0] + 5 + far, y), (x + half[0] + 7 + far, y)], paint, 0.15)
    inner = half[0] - _PAVEMENT, half[1] - _PAVEMENT
    for offset in np.arange(-inner[0] + 0.4, inner[0] - 0.5, 1.0):
        canvas.rectangle(x + offset, y + inner[1] + 0.4, x + offset + 0.5, y + inner[1] + 3.2, paint)
    for offset in np.arange(-inner[1] + 0.4, inner[1] - 0.5, 1.0):
        canvas.rectangle(x + inner[0] + 0.4, y + offset, x + inner[0] + 3.2, y + offset + 0.5, paint)


def take_photo(street: Street, weather: str, random: np.random.Generator) -> tuple[Image.Image, int]:
    """One view with its own camera, light, passers-by and lens; also the JPEG quality."""
    state = light(weather, random)
    camera = random_camera(street, random)
    movers, patches = passers_by(street, camera, weather, random)
    scene = Scene([*street.solids, *movers], street.lamps, patches)
    radiance = render(camera_view(camera), scene, state, Sky(state, random))
    lens = random_lens(state, random)
    return develop(radiance, state, lens, random), lens.quality


def random_camera(street: Street, random: np.random.Generator) -> Camera:
    """On the far pavement or in the street, looking at the corner house, never quite straight."""
    hx, hy = street.half
    position = (random.uniform(-hx - 1, -1.5), random.uniform(-hy - 3, -2.5), random.uniform(1.5, 2.1))
    target = (hx + random.uniform(-2.5, 3.5), hy + random.uniform(-2.0, 3.5))
    away = np.hypot(target[0] - position[0], target[1] - position[1])
    high = min(street.place.house.height, 13) * random.uniform(0.34, 0.5)
    return Camera(
        position,
        yaw=float(np.arctan2(target[1] - position[1], target[0] - position[0])),
        pitch=float(np.arctan2(high - position[2], away)),
        roll=float(random.normal(0, 0.018)),
        field_of_view=float(np.radians(random.uniform(56, 76))),
    )


def passers_by(
    street: Street, camera: Camera, weather: str, random: np.random.Generator
) -> tuple[list[Solid], list[tuple[float, float, float, float, float]]]:
    """Parked and moving vehicles, people on the pavements, now and then one right before the camera."""
    hx, hy = street.half
    solids: list[Solid] = []
    patches = []
    lane_x, lane_y = hx - _PAVEMENT - 1.1, hy - _PAVEMENT - 1.1
    slots = [(lane_x, hy + far, np.pi / 2) for far in (4, 10, 16, 23)] + [
        (hx + far, lane_y, 0.0) for far in (4, 10, 16, 23)
    ]
    slots += [(-lane_x, hy + 8, -np.pi / 2), (hx + 9, -lane_y, np.pi)]
    if street.place.landmark not in ("fountain", "obelisk"):
        slots += [(-1.5, 2.0, 0.1), (2.0, -1.0, 0.9)]
    for slot in random.permutation(len(slots))[: int(random.integers(1, 6))]:
        x, y, heading = slots[slot]
        kind = str(random.choice(["car", "car", "car", "van", "bus" if slot < 8 else "car"]))
        if np.hypot(x - camera.position[0], y - camera.position[1]) > (7 if kind == "car" else 12):
            solids += vehicle(
                kind, (x, y), heading + random.normal(0, 0.03), _PAINTS[int(random.integers(len(_PAINTS)))]
            )
            patches.append((x, y, 2.4 if kind == "car" else 3.0 if kind == "van" else 5.6, 1.1, heading))
    count = int(random.integers(0, 4 if weather in ("rain", "snow", "night") else 9))
    for index in range(count):
        at = _pavement_spot(street, random)
        if index == 0 and random.random() < 0.35:  # close by
            turn, away = camera.yaw + random.uniform(-0.5, 0.5), random.uniform(3.0, 5.5)
            at = (camera.position[0] + away * np.cos(turn), camera.position[1] + away * np.sin(turn))
        solids += person(at, random.uniform(0, 2 * np.pi), random)
        if weather == "rain":
            solids += umbrella(at, tuple(int(c) for c in random.integers(20, 200, 3)))
        patches.append((*at, 0.35, 0.35, 0.0))
    return solids, patches


def _pavement_spot(street: Street, random: np.random.Generator) -> tuple[float, float]:
    hx, hy = street.half
    aside, along = random.uniform(0.6, _PAVEMENT - 0.4), random.uniform(-1, 22)
    return (hx - aside, hy + along) if random.random() < 0.5 else (hx + along, hy - aside)
