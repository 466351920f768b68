"""What stands and moves on a street: trees, lamps, vehicles, people, furniture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from renderer.facades import GLASS, shade
from renderer.light import Lamp
from renderer.raster import Solid
from renderer.solids import ball, beam, box, foliage, mottled, panel, tube, wall
from renderer.texture import Canvas, Colour, plain

BARK: Colour = (88, 68, 52)
IRON: Colour = (46, 48, 52)
Spot = tuple[float, float]


def tree(at: Spot, kind: str, height: float, random: np.random.Generator) -> list[Solid]:
    """round, tall, fir, palm, bare or autumn."""
    return _TREES[kind](at, height, random)


def _round(
    at: Spot, height: float, random: np.random.Generator, colour: Colour = (78, 116, 52)
) -> list[Solid]:
    leaves = [foliage(shade(colour, random.uniform(0.8, 1.15)), random) for _ in range(2)]
    solids = [tube((*at, 0), height * 0.6, 0.17, mottled(BARK, random), taper=0.6)]
    for index in range(11):
        angle, out = random.uniform(0, 2 * np.pi), random.uniform(0, 0.24) * height
        centre = (
            at[0] + out * np.cos(angle),
            at[1] + out * np.sin(angle),
            height * random.uniform(0.55, 0.88),
        )
        size = height * random.uniform(0.12, 0.2)
        solids.append(ball(centre, (size, size, size * 0.85), leaves[index % 2], (3, 2)))
    return solids


def _autumn(at: Spot, height: float, random: np.random.Generator) -> list[Solid]:
    return _round(at, height, random, (178, 106, 38))


def _tall(at: Spot, height: float, random: np.random.Generator) -> list[Solid]:
    leaves = foliage((58, 92, 48), random, 0.75)
    trunk = tube((*at, 0), height * 0.4, 0.14, mottled(BARK, random))
    return [
        trunk,
        *(
            ball((*at, height * z), (height * r, height * r, height * 0.24), leaves, (4, 3))
            for z, r in ((0.4, 0.12), (0.6, 0.13), (0.8, 0.09))
        ),
    ]


def _fir(at: Spot, height: float, random: np.random.Generator) -> list[Solid]:
    needles = foliage((44, 78, 56), random, 0.8)
    solids = [tube((*at, 0), height * 0.3, 0.15, mottled(BARK, random))]
    for layer in range(4):
        z = height * (0.14 + 0.21 * layer)
        solids.append(
            tube((*at, z), height * 0.3, height * (0.24 - 0.05 * layer), needles, taper=0.05, repeat=(4, 1))
        )
    return solids


def _bare(at: Spot, height: float, random: np.random.Generator) -> list[Solid]:
    bark = mottled(shade(BARK, 0.9), random)
    foot = np.array((*at, height * 0.4))
    solids = [tube((*at, 0), height * 0.45, 0.18, bark, taper=0.7)]
    for _ in range(9):
        angle, rise = random.uniform(0, 2 * np.pi), random.uniform(0.25, 0.5) * height
        out = random.uniform(0.15, 0.3) * height
        tip = foot + np.array((out * np.cos(angle), out * np.sin(angle), rise))
        solids.append(beam(foot, tip, 0.06, bark))
        for _ in range(3):
            side = tip + random.uniform(-0.13, 0.13, 3) * height + (0, 0, 0.09 * height)
            solids.append(beam((foot + tip) / 2 + random.uniform(-0.1, 0.1, 3), side, 0.03, bark))
    return solids


def _palm(at: Spot, height: float, random: np.random.Generator) -> list[Solid]:
    frond = Canvas(3.0, 1.0, 24)
    frond.rectangle(0, 0, 3, 1, (86, 120, 56))
    frond.clear()
    frond.keep([(0, 0.46), (3, 0.42), (3, 0.5), (0, 0.54)])
    for x in np.arange(0.3, 2.9, 0.16):
        reach = 0.5 * np.sin(np.pi * (x / 3.3 + 0.08))
        frond.keep([(x, 0.5), (x + 0.14, 0.5), (x + 0.3, 0.5 + reach), (x + 0.22, 0.5 + reach)])
        frond.keep([(x, 0.5), (x + 0.14, 0.5), (x + 0.3, 0.5 - reach), (x + 0.22, 0.5 - reach)])
    texture = frond.texture()
    solids = [tube((*at, 0), height, 0.2, mottled((134, 112, 84), random, 0.5), taper=0.7, repeat=(1, 6))]
    for index in range(11):
        angle, droop = index * 2 * np.pi / 11 + random.uniform(-0.2, 0.2), random.uniform(-1.1, 0.9)
        out = np.array((2.4 * np.cos(angle), 2.4 * np.sin(angle), droop))
        side = np.array((-0.75 * np.sin(angle), 0.75 * np.cos(angle), 0.12))
        solids.append(panel(np.array((*at, height)) - side / 2, out, side, texture))
    return solids


_TREES = {"round": _round, "tall": _tall, "fir": _fir, "palm": _palm, "bare": _bare, "autumn": _autumn}


def street_lamp(at: Spot, style: str = "lantern") -> tuple[list[Solid], Lamp]:
    """A lantern on an iron post, or a modern arm over the street."""
    iron = plain(IRON)
    glow = plain((250, 236, 200), lamp=255)
    if style == "arm":
        x, y = at
        solids = [tube((x, y, 0), 6.5, 0.08, iron), beam((x, y, 6.5), (x - 1.2, y - 1.2, 6.9), 0.05, iron)]
        solids.append(ball((x - 1.2, y - 1.2, 6.8), (0.35, 0.35, 0.1), glow))
        return solids, Lamp((x - 1.2, y - 1.2, 6.4), (15.0, 11.5, 7.6))
    solids = [tube((*at, 0), 0.6, 0.16, iron, taper=0.5), tube((*at, 0), 3.7, 0.06, iron)]
    solids += [ball((*at, 3.95), (0.2, 0.2, 0.26), glow), tube((*at, 4.15), 0.2, 0.26, iron, taper=0.1)]
    return solids, Lamp((*at, 3.9), (8.5, 6.0, 3.4))


@dataclass(frozen=True)
class Body:
    """Side view of a vehicle: outline from the rear bottom round the top to the front bottom, metres."""

    outline: tuple[Spot, ...]
    windows: tuple[tuple[Spot, ...], ...]
    wheels: tuple[float, float]
    width: float

    @property
    def length(self) -> float:
        return max(x for x, _ in self.outline)


_CAR = Body(
    (
        (0, 0.3),
        (0.02, 0.85),
        (0.35, 0.98),
        (0.85, 1.42),
        (2.35, 1.44),
        (3.15, 0.98),
        (4.05, 0.85),
        (4.15, 0.3),
    ),
    (
        ((0.62, 0.98), (0.95, 1.34), (1.6, 1.36), (1.6, 0.98)),
        ((1.7, 0.98), (1.7, 1.36), (2.3, 1.36), (2.9, 0.98)),
    ),
    (0.8, 3.3),
    1.75,
)
_VAN = Body(
    ((0, 0.35), (0, 2.25), (0.15, 2.35), (3.4, 2.35), (4.2, 1.35), (5.0, 1.15), (5.05, 0.35)),
    (((3.0, 1.35), (3.0, 2.1), (3.45, 2.1), (4.0, 1.35)),),
    (0.95, 4.1),
    1.95,
)
_BUS = Body(
    ((0, 0.35), (0, 3.0), (10.4, 3.0), (10.6, 2.8), (10.6, 0.35)),
    tuple(
        ((x, 1.35), (x, 2.5), (x + 1.3, 2.5), (x + 1.3, 1.35)) for x in (0.3, 1.8, 3.3, 4.8, 6.3, 7.8, 9.1)
    ),
    (2.3, 8.3),
    2.5,
)
BODIES = {"car": _CAR, "van": _VAN, "bus": _BUS}


def vehicle(kind: str, at: Spot, heading: float, colour: Colour) -> list[Solid]:
    """A vehicle whose middle is over ``at``; heading in radians, 0 east."""
    body = BODIES[kind]
    forward = np.array((np.cos(heading), np.sin(heading), 0.0))
    side = np.array((-np.sin(heading), np.cos(heading), 0.0)) * body.width
    rear = np.array((*at, 0.0)) - forward * body.length / 2 - side / 2
    top = max(y for _, y in body.outline)
    face = _vehicle_side(body, top, colour).texture()
    up = np.array((0, 0, top))
    solids = [
        panel(rear, forward * body.length, up, face),
        panel(rear + side, forward * body.length, up, face),
    ]
    for (xa, ya), (xb, yb) in zip(body.outline, body.outline[1:], strict=False):
        strip = plain(colour, glass=40)
        if (kind == "car" and abs(yb - ya) > 0.3 and min(ya, yb) > 0.9) or (
            kind != "car" and xa > 3 and yb < ya - 0.6 and kind == "van"
        ):
            strip = plain(GLASS, glass=230)
        a, b = (rear + forward * x + (0, 0, y) for x, y in ((xa, ya), (xb, yb)))
        solids.append(panel(a, side, b - a, strip))
    for end, lamp_colour in ((0.0, (190, 40, 34)), (body.length, (250, 246, 226))):
        for across in (0.1, 0.75):
            foot = rear + forward * (end + (0.03 if end else -0.03)) + side * across + (0, 0, 0.62)
            solids.append(panel(foot, side * 0.15, (0, 0, 0.16), plain(lamp_colour, lamp=200)))
    return solids


def _vehicle_side(body: Body, top: float, colour: Colour) -> Canvas:
    canvas = Canvas(body.length, top, 32)
    canvas.rectangle(0, 0, body.length, top, colour, glass=30)
    canvas.rectangle(0, 0, body.length, 0.45, shade(colour, 0.45))
    for window in body.windows:
        canvas.polygon(window, GLASS, glass=220)
    middle = sum(body.wheels) / 2
    canvas.line([(middle, 0.4), (middle, 0.95)], shade(colour, 0.6), 0.03)
    canvas.clear()
    canvas.keep(body.outline)
    for x in body.wheels:
        canvas.disc(x, 0.34, 0.34, (24, 24, 26))
        canvas.disc(x, 0.34, 0.18, (150, 152, 156), glass=60)
        angles = np.linspace(0, 2 * np.pi, 20)
        canvas.keep([(x + 0.34 * np.cos(a), 0.34 + 0.34 * np.sin(a)) for a in angles])
    return canvas


def person(at: Spot, heading: float, random: np.random.Generator) -> list[Solid]:
    """A walking figure, 1.6 to 1.9 m; at times with an umbrella's worth of hat or a bag."""
    x, y = at
    size = random.uniform(0.92, 1.06)
    coat, legs = (tuple(int(c) for c in random.integers(25, 190, 3)) for _ in range(2))
    skin = shade((224, 176, 144), random.uniform(0.4, 1.05))
    cloth, dark = plain(coat), plain(shade(legs, 0.55))
    stride = np.array((np.cos(heading), np.sin(heading))) * random.uniform(0.12, 0.3)
    hip = np.array((x, y, 0.88 * size))
    solids = [beam((x + s * stride[0], y + s * stride[1], 0.02), hip, 0.085, dark) for s in (-1, 1)]
    solids.append(ball((x, y, 1.17 * size), (0.2, 0.2, 0.34 * size), cloth))
    side = np.array((-stride[1], stride[0])) / np.linalg.norm(stride) * 0.24
    for s in (-1, 1):
        shoulder = (x + s * side[0] * 0.8, y + s * side[1] * 0.8, 1.4 * size)
        hand = (x + s * (side[0] + stride[0] * 0.6), y + s * (side[1] + stride[1] * 0.6), 0.85 * size)
        solids.append(beam(hand, shoulder, 0.06, cloth))
    solids.append(ball((x, y, 1.62 * size), (0.105, 0.105, 0.13), plain(skin)))
    hair = tuple(int(c) for c in random.integers(20, 110, 1)) * 3
    back = -0.03 * np.array((np.cos(heading), np.sin(heading)))
    solids.append(ball((x + back[0], y + back[1], 1.68 * size), (0.11, 0.11, 0.1), plain(hair)))
    return solids


def umbrella(at: Spot, colour: Colour, radius: float = 0.55, height: float = 2.0) -> list[Solid]:
    """An open umbrella or a café parasol."""
    pole = tube((*at, 0), height, 0.03, plain(IRON))
    return [pole, tube((*at, height - 0.25 * radius), 0.5 * radius, radius, plain(colour), taper=0.05)]


def traffic_light(at: Spot) -> list[Solid]:
    canvas = Canvas(0.32, 0.95, 60)
    canvas.rectangle(0, 0, 0.32, 0.95, (34, 36, 36))
    for y, colour, lamp in ((0.78, (220, 50, 40), 255), (0.48, (90, 74, 30), 0), (0.18, (30, 84, 50), 0)):
        canvas.disc(0.16, y, 0.11, colour, lamps=(lamp, lamp))
    x, y = at
    pole = tube((x, y, 0), 2.6, 0.06, plain(IRON))
    heads = [*box((x - 0.16, y - 0.15, 2.6), (x + 0.16, y + 0.15, 3.55), (34, 36, 36))]
    heads.append(wall((x - 0.16, y - 0.16), (x + 0.16, y - 0.16), 2.6, 3.55, canvas.texture()))
    heads.append(wall((x - 0.17, y + 0.16), (x - 0.17, y - 0.16), 2.6, 3.55, canvas.texture()))
    return [pole, *heads]


def road_sign(at: Spot, kind: int) -> list[Solid]:
    face = Canvas(0.7, 0.7, 60)
    outer, inner = (
        ((190, 36, 34), (245, 244, 238)),
        ((30, 76, 150), (245, 244, 238)),
        ((235, 190, 40), (30, 30, 30)),
    )[kind % 3]
    face.rectangle(0, 0, 0.7, 0.7, outer)
    face.disc(0.35, 0.35, 0.24, inner)
    face.clear()
    angles = np.linspace(0, 2 * np.pi, (24, 4, 3)[kind % 3], endpoint=False) + np.pi / 2
    face.keep([(0.35 + 0.35 * np.cos(a), 0.35 + 0.35 * np.sin(a)) for a in angles])
    x, y = at
    return [
        tube((x, y, 0), 2.9, 0.035, plain((150, 152, 154))),
        panel((x - 0.27, y + 0.2, 2.2), (0.52, -0.52, 0), (0, 0, 0.7), face.texture()),
    ]


def bollards(start: Spot, end: Spot, count: int) -> list[Solid]:
    points = np.linspace(start, end, count)
    return [tube((x, y, 0), 0.9, 0.09, plain(IRON)) for x, y in points]


def planter(at: Spot, random: np.random.Generator) -> list[Solid]:
    x, y = at
    flowers = foliage(tuple(int(c) for c in random.integers(90, 220, 3)), random, 0.8)
    tub = box((x - 0.6, y - 0.3, 0), (x + 0.6, y + 0.3, 0.55), (140, 120, 100))
    return [*tub, ball((x, y, 0.65), (0.6, 0.32, 0.3), flowers, (2, 1))]
