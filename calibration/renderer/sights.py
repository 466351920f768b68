"""More of what a place is known by; see landmarks."""

from __future__ import annotations

import numpy as np

from renderer.facades import GLASS, Style, paint_front, shade
from renderer.landmarks import (
    Corner,
    Parts,
    church,
    clock_tower,
    cross_sign,
    domed,
    fountain,
    hotel_sign,
    market,
    marquee,
    tram,
    turret,
    viaduct,
    water_tower,
)
from renderer.light import Lamp
from renderer.props import IRON, umbrella
from renderer.raster import Solid
from renderer.solids import ball, beam, box, foliage, mottled, panel, tiles, tube, wall
from renderer.texture import Canvas, Colour, noise, plain


def city_gate(corner: Corner, random: np.random.Generator) -> Parts:
    """Two round towers and an arch across the northern street."""
    stone = Style(
        wall="stone", colour=(170, 156, 130), floors=4, window="arched", ground="doors", bay=6, cornice=False
    )
    x, y, radius = corner.x - 8.5, corner.y + 22, 2.8
    solids: list[Solid] = []
    for side in (-1, 1):
        centre = (x + side * 6.2, y)
        solids.append(tube((*centre, 0), 14, radius, paint_front(stone, 2 * np.pi * radius, random)))
        solids.append(
            tube((*centre, 14), 5, radius + 0.4, tiles((150, 80, 60), random), taper=0.02, repeat=(3, 1))
        )
    face = Canvas(12.4, 12)
    face.fill(np.array(stone.colour) * (0.8 + 0.35 * noise(face.shape, random, 6))[..., None])
    face.arch(3.2, 0, 9.2, 7.2, shade(stone.trim, 0.8))
    angles = np.linspace(0, np.pi, 16)
    face.cut([(3.6, 0), (8.8, 0), *((6.2 + 2.6 * np.cos(a), 4.2 + 2.6 * np.sin(a)) for a in angles)])
    for t in np.arange(0, 12.4, 1.6):
        face.cut([(t, 11.2), (t + 0.8, 11.2), (t + 0.8, 12), (t, 12)])
    face.disc(6.2, 9.2, 0.9, (190, 60, 50))
    solids += [wall((x - 6.2, y + d), (x + 6.2, y + d), 0, 12, face.texture()) for d in (-1.2, 1.2)]
    return solids, []


def pediment(corner: Corner, random: np.random.Generator) -> Parts:
    """A row of columns under a triangular gable, before the south front."""
    style = corner.style
    stone = mottled(style.trim, random, 0.2)
    x0, y, high = corner.x + 1.2, corner.y - 1.5, 8.4
    solids = [tube((x, y, 0.6), high - 0.6, 0.42, stone, taper=0.85) for x in np.arange(x0, x0 + 10.5, 2.05)]
    solids += [
        s
        for step in range(3)
        for s in box((x0 - 1, y - 1 - step * 0.4, 0), (x0 + 11.2, corner.y, 0.6 - 0.2 * step), stone)
    ]
    solids += box((x0 - 0.8, y - 0.7, high), (x0 + 11, corner.y + 0.2, high + 1.0), stone)
    gable = Canvas(11.8, 2.9)
    gable.rectangle(0, 0, 11.8, 2.9, style.trim)
    gable.polygon([(1.2, 0.3), (10.6, 0.3), (5.9, 2.4)], shade(style.trim, 0.82))
    gable.disc(5.9, 1.1, 0.6, shade(style.trim, 0.7))
    gable.clear()
    gable.keep([(0, 0), (11.8, 0), (5.9, 2.9)])
    solids.append(wall((x0 - 0.8, y - 0.75), (x0 + 11, y - 0.75), high + 1, high + 3.9, gable.texture()))
    return solids, [Lamp((x0 + 5, y - 2, 1.0), (9, 8, 6))]


def petrol(corner: Corner, random: np.random.Generator) -> Parts:
    """A filling station's canopy and price board before the corner."""
    x, y = corner.x - 0.5, corner.y - 0.5
    edge = Canvas(11, 0.9)
    edge.rectangle(0, 0, 11, 0.9, (246, 246, 244), lamps=(200, 200))
    edge.rectangle(0, 0, 11, 0.35, (210, 40, 40), lamps=(200, 200))
    edge.text(5.5, 0.62, "FUEL", 0.36, (20, 60, 140), lamp=200)
    solids = box((x, y - 3, 4.4), (x + 11, y + 3.5, 5.3), edge.texture())
    solids += [tube((x + dx, y + 0.2, 0), 4.4, 0.2, plain((236, 236, 236))) for dx in (1.2, 9.8)]
    for dx in (2.6, 5.0, 7.4):
        solids += box((x + dx, y - 0.4, 0), (x + dx + 0.8, y + 0.2, 1.7), (210, 40, 40))
        solids += box((x + dx + 0.1, y - 0.42, 1.0), (x + dx + 0.7, y - 0.4, 1.5), (210, 220, 225))
    board = Canvas(1.6, 3.2, 36)
    board.rectangle(0, 0, 1.6, 3.2, (20, 60, 140), lamps=(120, 120))
    for row, price in enumerate(("1.74", "1.81", "1.69")):
        board.text(0.8, 2.5 - row * 0.9, price, 0.42, (255, 250, 230), lamp=255)
    solids += [
        panel((x - 1.8, y - 1.2, 3), (1.1, -1.1, 0), (0, 0, 3.2), board.texture()),
        tube((x - 1.2, y - 1.75, 0), 3, 0.1, plain(IRON)),
    ]
    return solids, [Lamp((x + 3, y, 4.2), (16, 16, 15)), Lamp((x + 8, y, 4.2), (16, 16, 15))]


def kiosk(corner: Corner, random: np.random.Generator) -> Parts:
    """A flower kiosk on the pavement."""
    x, y, radius = corner.x - 3.2, corner.y - 3.2, 1.5
    face = Canvas(9.4, 2.6)
    face.rectangle(0, 0, 9.4, 2.6, (40, 96, 76))
    for t in np.arange(0.3, 9, 1.55):
        face.rectangle(t, 1.0, t + 1.2, 2.1, GLASS, glass=180, lamps=(220, 220))
        face.rectangle(t, 0.2, t + 1.2, 0.8, (30, 76, 60))
    solids = [
        tube((x, y, 0), 2.6, radius, face.texture()),
        tube((x, y, 2.6), 1.1, radius + 0.4, plain((52, 116, 96)), taper=0.05),
    ]
    for index in range(10):
        angle = 2.2 + index * 0.42
        spot = (x + 2.2 * np.cos(angle), y + 2.2 * np.sin(angle))
        bloom: Colour = tuple(int(c) for c in random.permutation((230, 80, 110)))
        solids += [
            tube((*spot, 0), 0.4, 0.16, plain((120, 120, 124)), taper=1.3),
            ball((*spot, 0.62), 0.3, foliage(bloom, random, 0.85)),
        ]
    return solids, [Lamp((x - 1.5, y - 1.5, 2.3), (7, 5.5, 3.4))]


def mural(corner: Corner, random: np.random.Generator) -> Parts:
    """A painted wall: hills, a sun and a bird over the whole south front."""
    width, low, high = 13.0, 4.2, corner.top - 0.8
    face = Canvas(width, high - low, 30)
    tall = high - low
    face.rectangle(0, 0, width, tall, (240, 196, 110))
    face.disc(width * 0.68, tall * 0.62, 1.7, (222, 84, 50))
    for layer, colour in enumerate(((60, 130, 140), (40, 96, 120), (30, 60, 92))):
        x = np.linspace(0, width, 40)
        ridge = tall * (0.5 - 0.15 * layer) + 0.7 * np.sin(x * (0.6 + 0.3 * layer) + random.uniform(0, 6))
        face.polygon([(0, 0), *zip(x, ridge, strict=True), (width, 0)], colour)
    face.polygon(
        [
            (2, tall * 0.7),
            (4.2, tall * 0.86),
            (4.8, tall * 0.72),
            (6.6, tall * 0.9),
            (5.2, tall * 0.62),
            (4.0, tall * 0.64),
        ],
        (246, 242, 232),
    )
    return [
        wall(
            (corner.x + 0.4, corner.y - 0.04),
            (corner.x + 0.4 + width, corner.y - 0.04),
            low,
            high,
            face.texture(),
        )
    ], []


def terrace(corner: Corner, random: np.random.Generator) -> Parts:
    """Café tables under parasols on both pavements."""
    solids: list[Solid] = []
    metal = plain((190, 190, 192))
    for index in range(5):
        for x, y in (
            (corner.x + 0.6 + 2.9 * index, corner.y - 1.9),
            (corner.x - 1.9, corner.y + 0.6 + 2.9 * index),
        ):
            solids += umbrella((x, y), corner.style.accent if index % 2 else (238, 230, 210), 1.25, 2.6)
            solids += box((x - 0.4, y - 0.4, 0.7), (x + 0.4, y + 0.4, 0.75), metal)
            for dx, dy in ((0.8, 0), (-0.8, 0)):
                solids += box(
                    (x + dx - 0.2, y + dy - 0.2, 0.42), (x + dx + 0.2, y + dy + 0.2, 0.47), (150, 110, 70)
                )
                solids += box(
                    (x + dx * 1.25 - 0.04, y - 0.2, 0.0), (x + dx * 1.25 + 0.04, y + 0.2, 0.9), (150, 110, 70)
                )
    return solids, []


def obelisk(corner: Corner, random: np.random.Generator) -> Parts:
    x, y = corner.x - 7.0, corner.y - 2.0
    stone = mottled((184, 168, 150), random)
    solids = [
        s
        for step in range(3)
        for s in box(
            (x - 2 + 0.5 * step, y - 2 + 0.5 * step, 0),
            (x + 2 - 0.5 * step, y + 2 - 0.5 * step, 0.35 * (step + 1)),
            stone,
        )
    ]
    solids += box((x - 0.8, y - 0.8, 1.0), (x + 0.8, y + 0.8, 2.8), stone)
    turned = tube((x, y, 2.8), 9.5, 0.85, mottled((196, 170, 140), random, 0.4), taper=0.5)
    return [*solids, turned, tube((x, y, 12.3), 1.1, 0.43, plain((214, 180, 90)), taper=0.02)], []


def crane(corner: Corner, random: np.random.Generator) -> Parts:
    """A tower crane and scaffolding before the south front."""
    yellow, x, y, top = plain((226, 170, 40)), corner.x + 10, corner.y + 13, 31.0
    legs = [(-0.7, -0.7), (0.7, -0.7), (0.7, 0.7), (-0.7, 0.7)]
    solids = [beam((x + a, y + b, 0), (x + a, y + b, top), 0.09, yellow) for a, b in legs]
    for z in np.arange(8, top, 2.0):
        for i in range(4):
            (a, b), (c, d) = legs[i], legs[(i + 1) % 4]
            solids.append(beam((x + a, y + b, z), (x + c, y + d, z + 2), 0.05, yellow))
    swing = random.uniform(2.6, 3.6)
    out = np.array((np.cos(swing), np.sin(swing), 0))
    mast, peak = np.array((x, y, top)), np.array((x, y, top + 4))
    solids += [
        beam(mast - out * 9, mast + out * 24, 0.16, yellow),
        beam(peak, mast + out * 22, 0.04, yellow),
    ]
    solids += [
        beam(mast, peak, 0.2, yellow),
        beam(mast + out * 16, mast + out * 16 - (0, 0, 14), 0.03, plain(IRON)),
    ]
    steel, plank = plain((150, 154, 160)), plain((180, 140, 90))
    for px in np.arange(corner.x, corner.x + 13, 2.4):
        solids.append(beam((px, corner.y - 1.2, 0), (px, corner.y - 1.2, corner.top), 0.05, steel))
    for z in np.arange(2.2, corner.top, 2.2):
        solids += box((corner.x, corner.y - 1.3, z), (corner.x + 12.5, corner.y - 0.3, z + 0.08), plank)
        solids.append(
            beam((corner.x, corner.y - 1.2, z + 1), (corner.x + 12.5, corner.y - 1.2, z + 1), 0.03, steel)
        )
    return solids, []


def lighthouse(corner: Corner, random: np.random.Generator) -> Parts:
    """A striped lighthouse at the end of the northern street."""
    x, y = corner.x - 7.5, corner.y + 34
    bands = Canvas(8, 18, 12)
    for index in range(6):
        bands.rectangle(0, 3 * index, 8, 3 * index + 3, (206, 52, 44) if index % 2 else (244, 242, 236))
    solids = [
        tube((x, y, 0), 19, 3.0, bands.texture(), taper=0.62),
        tube((x, y, 19), 0.4, 2.4, plain((60, 60, 64))),
    ]
    solids += [
        tube((x, y, 19.4), 2.2, 1.2, plain((250, 240, 190), lamp=255, glass=120)),
        tube((x, y, 21.6), 1.6, 1.5, plain((190, 44, 40)), taper=0.05),
    ]
    return solids, [Lamp((x, y - 3, 20), (40, 34, 20))]


def garden(corner: Corner, random: np.random.Generator) -> Parts:
    """A hedge with a white gate round the corner plot."""
    hedge = foliage((62, 104, 56), random, 1.0)
    x, y = corner.x - 2.0, corner.y - 2.0
    solids = box((x, y, 0), (x + 13, y + 0.8, 1.3), hedge, (8, 1)) + box(
        (x, y + 0.8, 0), (x + 0.8, y + 13, 1.3), hedge, (8, 1)
    )
    gate = Canvas(2.2, 1.3, 40)
    gate.rectangle(0, 0, 2.2, 1.3, (244, 244, 240))
    for t in np.arange(0.12, 2.2, 0.3):
        gate.cut([(t, 0), (t + 0.16, 0), (t + 0.16, 1.0), (t, 1.0)])
    solids.append(wall((x + 5, y - 0.06), (x + 7.2, y - 0.06), 0, 1.3, gate.texture()))
    return solids, []


def flags(corner: Corner, random: np.random.Generator) -> Parts:
    """Three flags on tall poles."""
    solids: list[Solid] = []
    for index in range(3):
        x, y = corner.x + 1.5 + 2.6 * index, corner.y - 2.6
        cloth = Canvas(1.9, 1.2, 24)
        for row, colour in enumerate(
            random.permutation([(200, 40, 46), (244, 240, 230), (36, 70, 150), (230, 180, 50)])[:3]
        ):
            cloth.rectangle(0, 0.4 * row, 1.9, 0.4 * row + 0.4, tuple(int(c) for c in colour))
        solids += [
            tube((x, y, 0), 9.5, 0.06, plain((226, 228, 230))),
            panel((x, y, 8.1), (1.5, -0.9, -0.15), (0, 0, 1.2), cloth.texture()),
        ]
    return solids, []


def school_fence(corner: Corner, random: np.random.Generator) -> Parts:
    """A railing and a bicycle rack's worth of posts along the pavement, a bell tower on the roof."""
    rail = Canvas(13, 1.5, 24)
    rail.rectangle(0, 0, 13, 1.5, (40, 70, 60))
    rail.clear()
    for t in np.arange(0, 13, 0.22):
        rail.keep([(t, 0), (t + 0.07, 0), (t + 0.07, 1.5), (t, 1.5)])
    for level in (0.2, 1.3):
        rail.keep([(0, level), (13, level), (13, level + 0.08), (0, level + 0.08)])
    texture, x, y = rail.texture(), corner.x - 1.6, corner.y - 1.6
    solids = [wall((x, y), (x + 13, y), 0, 1.5, texture), wall((x, y + 13), (x, y), 0, 1.5, texture)]
    bx, by, z = corner.x + 5, corner.y + 5, corner.top + 2.0
    solids += [
        tube((bx + dx, by + dy, z - 2), 4.2, 0.14, plain((240, 238, 230))) for dx in (-1, 1) for dy in (-1, 1)
    ]
    solids += [
        tube((bx, by, z + 2.2), 1.9, 2.0, plain((70, 90, 96)), taper=0.03),
        tube((bx, by, z + 0.9), 0.9, 0.55, plain((180, 140, 60)), taper=0.5),
    ]
    return solids, []


def hose_tower(corner: Corner, random: np.random.Generator) -> Parts:
    """A fire station's tower."""
    style = Style(**{**vars(corner.style), "ground": "doors", "floors": 6, "sign": "", "bay": 3.8})
    x, y = corner.x + 8.5, corner.y + 0.1
    solids = box((x, y - 0.6, 0), (x + 3.8, y + 3.2, corner.top + 6), paint_front(style, 3.8, random))
    return solids + box(
        (x - 0.3, y - 0.9, corner.top + 6), (x + 4.1, y + 3.5, corner.top + 6.5), style.trim
    ), []


def nothing(corner: Corner, random: np.random.Generator) -> Parts:
    return [], []


LANDMARKS = {
    function.__name__: function
    for function in (
        clock_tower,
        turret,
        domed,
        viaduct,
        cross_sign,
        market,
        hotel_sign,
        church,
        tram,
        marquee,
        fountain,
        water_tower,
        city_gate,
        pediment,
        petrol,
        kiosk,
        mural,
        terrace,
        obelisk,
        crane,
        lighthouse,
        garden,
        flags,
        school_fence,
        hose_tower,
        nothing,
    )
}
