"""What a place is known by. Each takes the corner's plan and returns solids and lamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from renderer.facades import GLASS, Style, paint_front, shade
from renderer.light import Lamp
from renderer.props import IRON
from renderer.raster import Solid
from renderer.solids import ball, beam, box, disc, mottled, panel, tiles, tube, wall
from renderer.texture import Canvas, Colour, Texture, from_layers, noise, plain

Parts = tuple[list[Solid], list[Lamp]]


@dataclass(frozen=True)
class Corner:
    """The landmark house's street corner (x, y), its top, and its style."""

    x: float
    y: float
    top: float
    style: Style


def _clock_face(side: float) -> Canvas:
    canvas = Canvas(side, side, 40)
    middle = side / 2
    canvas.rectangle(0, 0, side, side, (40, 36, 34))
    canvas.disc(middle, middle, side * 0.46, (240, 234, 214), lamps=(255, 255))
    for hour in range(12):
        angle = hour * np.pi / 6
        inner, outer = side * 0.36, side * 0.43
        canvas.line(
            [(middle + r * np.cos(angle), middle + r * np.sin(angle)) for r in (inner, outer)],
            (30, 28, 28),
            0.08,
        )
    canvas.line([(middle, middle), (middle + 0.2 * side, middle + 0.12 * side)], (30, 28, 28), 0.1)
    canvas.line([(middle, middle), (middle - 0.08 * side, middle + 0.36 * side)], (30, 28, 28), 0.07)
    return canvas


def clock_tower(corner: Corner, random: np.random.Generator) -> Parts:
    style = corner.style
    half, top = 2.3, corner.top + 7
    x, y = corner.x + half - 0.8, corner.y + half - 0.8
    shaft = paint_front(
        Style(**{**vars(style), "floors": int(top / 3.4), "ground": "doors", "window": "arched"}),
        2 * half,
        random,
    )
    solids = box((x - half, y - half, 0), (x + half, y + half, top), shaft)
    solids += box(
        (x - half - 0.4, y - half - 0.4, top), (x + half + 0.4, y + half + 0.4, top + 0.5), style.trim
    )
    face = _clock_face(3.0)
    solids.append(disc((x, y - half - 0.06, top - 2.2), (1.5, 0, 0), (0, 0, 1.5), face))
    solids.append(disc((x - half - 0.06, y, top - 2.2), (0, -1.5, 0), (0, 0, 1.5), _clock_face(3.0)))
    solids.append(
        tube((x, y, top + 0.5), 5.0, half * 1.25, tiles(style.roof_colour, random), taper=0.02, repeat=(3, 1))
    )
    return [*solids, ball((x, y, top + 5.6), 0.25, plain((214, 178, 80)))], []


def turret(corner: Corner, random: np.random.Generator, *, dome: bool = False) -> Parts:
    """A round bay from the first floor up, under a cone or a dome."""
    style, radius = corner.style, 2.1
    face = paint_front(
        Style(**{**vars(style), "ground": "same" if style.wall == "curtain" else "doors", "bay": 2.2}),
        2 * np.pi * radius,
        random,
    )
    low, top = style.ground_height, corner.top + 1.6
    centre = (corner.x + 0.7, corner.y + 0.7)
    body = tube((*centre, low), top - low, radius, face)
    cone = tube((*centre, low - 1.0), 1.0, 0.5, plain(shade(style.colour, 0.7)), taper=radius / 0.5)
    rim = tube((*centre, top - 0.1), 0.5, radius + 0.3, plain(style.trim))
    if dome:
        roof = [
            ball((*centre, top + 0.3), (radius + 0.1, radius + 0.1, 2.6), plain(style.roof_colour)),
            tube((*centre, top + 2.6), 1.8, 0.25, plain((220, 190, 100)), taper=0.1),
        ]
    else:
        roof = [
            tube(
                (*centre, top + 0.3),
                4.2,
                radius + 0.35,
                tiles(style.roof_colour, random),
                taper=0.02,
                repeat=(3, 1),
            )
        ]
    return [body, cone, rim, *roof], []


def domed(corner: Corner, random: np.random.Generator) -> Parts:
    return turret(corner, random, dome=True)


def viaduct(corner: Corner, random: np.random.Generator) -> Parts:
    """A railway bridge on arches across both streets, behind the corner house."""
    y = corner.y + 17
    brick = Canvas(48, 9, 20)
    brick.fill(np.array((140, 84, 64)) * (0.85 + 0.3 * noise(brick.shape, random, 6))[..., None])
    for row in np.arange(0, 9, 0.3):
        brick.line([(0, row), (48, row)], (120, 74, 58), 0.05)
    for x in np.arange(1.5, 46, 7.5):
        angles = np.linspace(0, np.pi, 16)
        arch = [(x + 3 + 3 * np.cos(a), 3.6 + 3 * np.sin(a)) for a in angles]
        brick.polygon(
            [(x - 0.4, 0), (x + 6.4, 0), *((x + 3 + 3.4 * np.cos(a), 3.6 + 3.4 * np.sin(a)) for a in angles)],
            (196, 170, 140),
        )
        brick.cut([(x, 0), (x + 6, 0), *arch])
    brick.rectangle(0, 8.2, 48, 8.7, (190, 168, 140))
    texture = brick.texture()
    solids = [wall((corner.x - 34, y + dy), (corner.x + 14, y + dy), 0, 9, texture) for dy in (0.0, 3.5)]
    train = Canvas(22, 3.0)
    train.rectangle(0, 0.4, 22, 3, (190, 60, 40))
    for x in np.arange(0.8, 21, 2.1):
        train.rectangle(x, 1.5, x + 1.4, 2.5, GLASS, glass=220, lamps=(220, 220))
    offset = random.uniform(-30, -12)
    solids += box((corner.x + offset, y + 0.8, 8.6), (corner.x + offset + 22, y + 2.9, 11.6), train.texture())
    return solids, []


def cross_sign(corner: Corner, random: np.random.Generator) -> Parts:
    """A pharmacy's lit green cross over the corner."""
    glow = plain((30, 170, 70), lamp=230)
    x, y, z = corner.x - 0.9, corner.y - 0.9, 5.2
    arm = ((0.28, 0.9), (0.9, 0.28))
    solids = [s for half_w, half_h in arm for s in _slanted_box(x, y, z, half_w, half_h, glow)]
    return [*solids, beam((x, y, z), (corner.x + 0.3, corner.y + 0.3, z), 0.06, plain(IRON))], [
        Lamp((x, y, z), (0.8, 5.0, 1.6))
    ]


def _slanted_box(x: float, y: float, z: float, half_w: float, half_h: float, texture: Texture) -> list[Solid]:
    along = np.array((half_w, -half_w, 0)) * 0.7
    return [
        panel((x - along[0] + d, y - along[1] + d, z - half_h), 2 * along, (0, 0, 2 * half_h), texture)
        for d in (-0.14, 0.14)
    ]


def market(corner: Corner, random: np.random.Generator) -> Parts:
    """Stalls along both pavements."""
    solids: list[Solid] = []
    for index in range(5):
        colour: Colour = ((190, 40, 40), (30, 100, 60), (220, 170, 40), (40, 70, 150))[index % 4]
        for x, y in (
            (corner.x + 1.2 + index * 3.6, corner.y - 3.4),
            (corner.x - 3.4, corner.y + 1.2 + index * 3.6),
        ):
            solids += [
                tube((x + dx, y + dy, 0), 2.3, 0.04, plain(IRON)) for dx in (0, 2.4) for dy in (0, 1.6)
            ]
            solids.append(panel((x - 0.3, y - 0.4, 2.2), (3.0, 0, 0), (0, 1.2, 0.6), plain(colour)))
            solids.append(
                panel((x - 0.3, y + 2.0, 2.2), (3.0, 0, 0), (0, -1.2, 0.6), plain(shade(colour, 0.8)))
            )
            solids += box((x, y, 0), (x + 2.4, y + 1.5, 0.9), mottled((150, 120, 84), random, 0.6))
            solids.append(panel((x, y, 0.93), (2.4, 0, 0), (0, 1.5, 0), _produce(random)))
    return solids, []


def _produce(random: np.random.Generator) -> Texture:
    crates = random.integers(50, 235, (3, 5, 3)).repeat(16, 0).repeat(16, 1).astype(float)
    return from_layers(crates * (0.7 + 0.5 * random.random((48, 80, 1))))


def hotel_sign(corner: Corner, random: np.random.Generator) -> Parts:
    """Letters above each other on a lit blade sign."""
    word = corner.style.sign.split()[0][:6]
    height = 0.95 * len(word) + 0.5
    canvas = Canvas(1.1, height, 40)
    canvas.rectangle(0, 0, 1.1, height, (150, 30, 50), lamps=(60, 60))
    for index, letter in enumerate(word):
        canvas.text(0.55, height - 0.7 - index * 0.95, letter, 0.62, (255, 236, 190), lamp=255)
    low = corner.style.ground_height + 0.6
    u = np.array((1.0, -1.0, 0))
    foot = np.array((corner.x - 0.5, corner.y - 0.5, low))
    sign = panel(foot - u / 2, u, (0, 0, height), canvas.texture())
    x, y, _ = foot
    back = beam((x + 0.1, y + 0.1, low), (x + 0.1, y + 0.1, low + height), 0.1, plain(IRON))
    return [sign, back], [Lamp((x - 0.6, y - 0.6, low + 2), (7, 2.5, 2.4))]


def church(corner: Corner, random: np.random.Generator) -> Parts:
    """A nave with a spired tower at the end of the northern street."""
    x, y = corner.x - 8.5, corner.y + 30
    stone = Style(
        wall="stone",
        colour=(176, 166, 148),
        window="arched",
        floors=3,
        floor_height=4.5,
        bay=3.5,
        ground="doors",
        cornice=False,
    )
    front = paint_front(stone, 7, random)
    solids = box((x - 3.5, y, 0), (x + 3.5, y + 7, 21), front)
    solids.append(disc((x, y - 0.05, 17.5), (1.6, 0, 0), (0, 0, 1.6), _clock_face(3.2)))
    solids.append(
        tube((x, y + 3.5, 21), 15, 4.4, tiles((84, 104, 96), random, 30), taper=0.01, repeat=(4, 2))
    )
    solids += box((x - 0.1, y + 3.4, 35.6), (x + 0.1, y + 3.6, 38), (214, 180, 90))
    solids += box((x - 0.7, y + 3.4, 36.8), (x + 0.7, y + 3.6, 37.1), (214, 180, 90))
    return solids, []


def tram(corner: Corner, random: np.random.Generator) -> Parts:
    """Wires over the street, a shelter, a tram."""
    wire, x = plain((40, 40, 42)), corner.x - 8.5
    solids = [beam((x + dx, -30, 6.2), (x + dx, 70, 6.2), 0.03, wire) for dx in (-1.2, 1.2)]
    for y in (2.0, 20.0, 38.0):
        solids.append(tube((corner.x - 2.6, y, 0), 7.2, 0.12, plain((70, 90, 84))))
        solids.append(beam((corner.x - 2.6, y, 6.6), (x - 1.5, y, 6.6), 0.04, wire))
    body = Canvas(18, 3.2)
    body.rectangle(0, 0.3, 18, 3.2, (214, 196, 70))
    body.rectangle(0, 0.3, 18, 1.2, (170, 40, 40))
    for t in np.arange(0.5, 17, 1.8):
        body.rectangle(t, 1.35, t + 1.4, 2.6, GLASS, glass=220, lamps=(200, 200))
    solids += box((x - 1.2, 17, 0.2), (x + 1.2, 35, 3.4), body.texture())
    shelter = Canvas(4, 2.4)
    shelter.rectangle(0, 0, 4, 2.4, (170, 190, 196), glass=160)
    shelter.rectangle(0.2, 0.5, 1.4, 2.1, (220, 90, 60), lamps=(180, 180))
    y = corner.y + 5
    solids += [wall((corner.x - 2.2, y + 4), (corner.x - 2.2, y), 0.1, 2.5, shelter.texture())]
    solids += box((corner.x - 3.6, y - 0.1, 2.5), (corner.x - 2.1, y + 4.1, 2.62), (60, 70, 74))
    return solids, [Lamp((corner.x - 3, y + 2, 2.3), (3, 3, 2.6))]


def marquee(corner: Corner, random: np.random.Generator) -> Parts:
    """A cinema's canopy with bulbs and a title board."""
    board = Canvas(9, 1.3, 30)
    board.rectangle(0, 0, 9, 1.3, (246, 240, 222), lamps=(200, 200))
    board.text(
        4.5, 0.65, ("NIGHT TRAIN", "THE LONG ROAD", "STARLIGHT")[int(random.integers(3))], 0.62, (160, 24, 30)
    )
    for x in np.arange(0.15, 9, 0.3):
        for y in (0.1, 1.2):
            board.disc(x, y, 0.06, (255, 226, 140), lamps=(255, 255))
    texture = board.texture()
    x, y, z = corner.x - 1.8, corner.y - 1.8, 4.0
    solids = [wall((x, y), (x + 9, y), z, z + 1.3, texture), wall((x, y + 9), (x, y), z, z + 1.3, texture)]
    solids += [
        panel((x, y, h), (9, 0, 0), (0, 9, 0), plain((190, 60, 50), lamp=lamp))
        for h, lamp in ((z, 120), (z + 1.3, 0))
    ]
    return solids, [Lamp((x + 2, y, 3.6), (16, 11, 6)), Lamp((x, y + 4, 3.6), (9, 6, 3))]


def fountain(corner: Corner, random: np.random.Generator) -> Parts:
    """A round basin, a bowl on a column, jets."""
    x, y = corner.x - 6.5, corner.y - 5.0
    stone, water = mottled((190, 184, 170), random), plain((90, 130, 150), glass=200)
    pool = Canvas(4, 4)
    pool.rectangle(0, 0, 4, 4, (96, 136, 156), glass=200)
    solids = [
        tube((x, y, 0), 0.8, 3.4, stone, repeat=(6, 1)),
        disc((x, y, 0.7), (3.3, 0, 0), (0, 3.3, 0), pool),
        tube((x, y, 0), 3.4, 0.5, stone),
        tube((x, y, 2.6), 0.5, 0.6, stone, taper=3.0),
        tube((x, y, 3.1), 1.6, 0.42, stone, taper=0.5),
        ball((x, y, 4.9), (0.36, 0.36, 0.7), water),
    ]
    spray = plain((216, 228, 236))
    for angle in np.arange(0, 2 * np.pi, np.pi / 5):
        out = np.array((np.cos(angle), np.sin(angle), 0))
        tip = np.array((x, y, 3.0)) + 1.75 * out
        solids.append(beam(tip, tip + 0.6 * out - (0, 0, 2.3), 0.05, spray))
    return solids, []


def water_tower(corner: Corner, random: np.random.Generator) -> Parts:
    x, y, z = corner.x + 4, corner.y + 4, corner.top
    legs = [
        beam((x + dx, y + dy, z - 1), (x + dx * 0.8, y + dy * 0.8, z + 4), 0.12, plain(IRON))
        for dx in (-1.7, 1.7)
        for dy in (-1.7, 1.7)
    ]
    planks = Canvas(14, 3.6, 16)
    planks.fill(np.array((134, 98, 70)) * (0.8 + 0.4 * noise(planks.shape, random, 3))[..., None])
    for t in np.arange(0, 14, 0.35):
        planks.line([(t, 0), (t, 3.6)], (92, 66, 48), 0.05)
    tank = tube((x, y, z + 4), 3.6, 2.2, planks.texture())
    return [*legs, tank, tube((x, y, z + 7.6), 1.6, 2.4, plain((90, 84, 80)), taper=0.03)], []
