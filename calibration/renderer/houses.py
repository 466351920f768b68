"""Houses: four walls with painted fronts and a roof; rows of houses along a street."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from renderer.facades import Style, paint_front, shade
from renderer.raster import Solid
from renderer.solids import box, panel, tiles, tube, wall
from renderer.texture import Canvas, Colour, Texture, plain, with_levels

EAVES = 0.45  # metres a roof stands out
Box = tuple[float, float, float, float]  # x0, y0, x1, y1


def house(plan: Box, style: Style, fronts: str, random: np.random.Generator) -> list[Solid]:
    """A house over ``plan``; walls facing the compass letters in ``fronts`` have windows, others none."""
    x0, y0, x1, y1 = plan
    corners = {
        "S": ((x0, y0), (x1, y0)),
        "E": ((x1, y0), (x1, y1)),
        "N": ((x1, y1), (x0, y1)),
        "W": ((x0, y1), (x0, y0)),
    }
    solids = []
    for side, (a, b) in corners.items():
        width = abs(b[0] - a[0]) + abs(b[1] - a[1])
        texture = paint_front(style, width, random, blind=side not in fronts)
        solids.append(wall(a, b, 0, style.height, texture))
    solids += _ROOFS[style.roof](plan, style, fronts, random)
    if style.cornice and style.roof in ("flat", "mansard", "hip"):
        rim = shade(style.trim, 0.95)
        solids += box((x0 - 0.35, y0 - 0.35, style.height - 0.45), (x1 + 0.35, y1 + 0.35, style.height), rim)
    if style.awning:
        solids += awnings(plan, style, fronts)
    if style.balconies:
        solids += balconies(plan, style, fronts)
    return solids


def slope(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray, texture: Texture) -> Solid:
    """A roof plane over the trapezoid a, b (eaves), c, d (ridge above b, above a)."""
    u, normal_v = b - a, (d - a) - ((d - a) @ (b - a)) / ((b - a) @ (b - a)) * (b - a)
    left = ((d - a) @ u) / (u @ u)
    right = ((c - a) @ u) / (u @ u)
    base = texture.levels[0].repeat(2, 0).repeat(2, 1).copy()
    height, width = base.shape[:2]
    v, x = (np.arange(height) + 0.5)[:, None] / height, (np.arange(width) + 0.5)[None] / width
    base[..., 3] = np.where((x >= left * v) & (x <= 1 + (right - 1) * v), 255, 0)
    return panel(a, u, normal_v, with_levels(base))


def _four_slopes(
    plan: Box, low: float, high: float, inset: tuple[float, float], texture: Texture
) -> list[Solid]:
    x0, y0, x1, y1 = plan
    x0, y0, x1, y1 = x0 - EAVES, y0 - EAVES, x1 + EAVES, y1 + EAVES
    dx, dy = inset
    foot = [np.array(p) for p in ((x0, y0, low), (x1, y0, low), (x1, y1, low), (x0, y1, low))]
    top = [
        np.array((x, y, high))
        for x, y in ((x0 + dx, y0 + dy), (x1 - dx, y0 + dy), (x1 - dx, y1 - dy), (x0 + dx, y1 - dy))
    ]
    return [slope(foot[i], foot[(i + 1) % 4], top[(i + 1) % 4], top[i], texture) for i in range(4)]


def _flat(plan: Box, style: Style, fronts: str, random: np.random.Generator) -> list[Solid]:
    x0, y0, x1, y1 = plan
    deck = panel((x0, y0, style.height - 0.4), (x1 - x0, 0, 0), (0, y1 - y0, 0), plain((120, 116, 110)))
    x, y = random.uniform(x0 + 1, x1 - 3), random.uniform(y0 + 1, y1 - 3)
    return [
        deck,
        *box((x, y, style.height - 0.4), (x + 2, y + 2, style.height + 1.4), shade(style.colour, 0.8)),
    ]


def _hip(plan: Box, style: Style, fronts: str, random: np.random.Generator) -> list[Solid]:
    x0, y0, x1, y1 = plan
    half = min(x1 - x0, y1 - y0) / 2 + EAVES
    roof = _four_slopes(
        plan,
        style.height - 0.1,
        style.height + half * 0.62,
        (half - 0.02, half - 0.02),
        tiles(style.roof_colour, random),
    )
    return roof + _chimney(plan, style, random)


def _mansard(plan: Box, style: Style, fronts: str, random: np.random.Generator) -> list[Solid]:
    slate = tiles(style.roof_colour, random, 16)
    low, high = style.height, style.height + 2.7
    solids = _four_slopes(plan, low, high, (1.5, 1.5), slate)
    x0, y0, x1, y1 = plan
    solids.append(
        panel(
            (x0 + 1, y0 + 1, high),
            (x1 - x0 - 2, 0, 0),
            (0, y1 - y0 - 2, 0),
            plain(shade(style.roof_colour, 0.8)),
        )
    )
    face = Canvas(1.3, 1.7)
    face.rectangle(0, 0, 1.3, 1.7, style.trim)
    face.arch(0.22, 0.15, 1.08, 1.5, (44, 54, 64), glass=220, lamps=(150, 0))
    texture, cheek = face.texture(), plain(shade(style.roof_colour, 0.9))
    if "S" in fronts:
        for x in np.arange(x0 + 1.4, x1 - 1.8, style.bay):
            solids += box((x, y0 + 0.12, low + 0.2), (x + 1.3, y0 + 1.2, low + 1.9), cheek)
            solids.append(wall((x, y0 + 0.1), (x + 1.3, y0 + 0.1), low + 0.2, low + 1.9, texture))
    if "W" in fronts:
        for y in np.arange(y0 + 1.4, y1 - 1.8, style.bay):
            solids += box((x0 + 0.12, y, low + 0.2), (x0 + 1.2, y + 1.3, low + 1.9), cheek)
            solids.append(wall((x0 + 0.1, y + 1.3), (x0 + 0.1, y), low + 0.2, low + 1.9, texture))
    return solids + _chimney(plan, replace(style, floors=style.floors + 1), random)


def _gable(plan: Box, style: Style, fronts: str, random: np.random.Generator) -> list[Solid]:
    """Ridge along the longer side."""
    x0, y0, x1, y1 = plan
    low, tile = style.height - 0.15, tiles(style.roof_colour, random)
    along_x = (x1 - x0) >= (y1 - y0)
    half = (y1 - y0 if along_x else x1 - x0) / 2
    high = low + half * 0.8
    if along_x:
        run, across, ends = np.array((x1 - x0 + 2 * EAVES, 0, 0)), np.array((0, 1.0, 0)), ((x0, y0), (x1, y0))
        start = np.array((x0 - EAVES, y0, low))
        other = np.array((x0 - EAVES, y1, low))
    else:
        run, across, ends = np.array((0, y1 - y0 + 2 * EAVES, 0)), np.array((1.0, 0, 0)), ((x0, y0), (x0, y1))
        start = np.array((x0, y0 - EAVES, low))
        other = np.array((x1, y0 - EAVES, low))
    rise = np.array((0, 0, high - low))
    reach, lift = across * (half + EAVES), rise * (1 + EAVES / half)  # the eaves continue the slope outwards
    foot = across * EAVES, rise * EAVES / half
    solids = [
        panel(start - foot[0] - foot[1], run, reach + lift, tile),
        panel(other + foot[0] - foot[1], run, lift - reach, tile),
    ]
    gable = Canvas(2 * half, high - low)
    gable.fill(np.broadcast_to(np.array(style.colour, float), (*gable.shape, 3)))
    gable.disc(half, (high - low) * 0.45, 0.4, style.trim)
    gable.disc(half, (high - low) * 0.45, 0.28, (44, 54, 64), glass=200, lamps=(0, 160))
    for x in (half - 2.0, half + 1.0) if half > 4 else ():
        gable.rectangle(x - 0.12, 0.5, x + 1.12, 2.1, style.trim)
        gable.rectangle(x, 0.65, x + 1.0, 1.95, (44, 54, 64), glass=200, lamps=(140, 0))
    gable.clear()
    gable.keep([(0, 0), (2 * half, 0), (half, high - low)])
    texture = gable.texture()
    for end in ends:
        far = (end[0] + across[0] * 2 * half, end[1] + across[1] * 2 * half)
        solids.append(wall(end, far, low, high, texture))
    return solids + _chimney(plan, style, random)


def _stepped(plan: Box, style: Style, fronts: str, random: np.random.Generator) -> list[Solid]:
    """Narrow canal houses: a stepped gable on the street side of each unit."""
    x0, y0, x1, y1 = plan
    solids: list[Solid] = []
    facing_south = "S" in fronts
    length = x1 - x0 if facing_south else y1 - y0
    units = max(1, round(length / 5.5))
    unit = length / units
    for index in range(units):
        front = replace(style, colour=shade(style.colour, random.uniform(0.75, 1.15)))
        solids.append(_stepped_gable(plan, front, unit, index, facing_south))
    return solids + _gable(
        (x0 + 0.05, y0 + 0.05, x1 - 0.05, y1 - 0.05), replace(style, roof="gable"), fronts, random
    )


def _stepped_gable(plan: Box, style: Style, unit: float, index: int, facing_south: bool) -> Solid:
    x0, y0, _, y1 = plan
    steps, rise = 4, 0.85
    face = Canvas(unit, steps * rise)
    face.fill(np.broadcast_to(np.array(style.colour, float), (*face.shape, 3)))
    face.clear()
    for step in range(steps):
        inset = step * unit * 0.115
        face.rectangle(inset, (step + 1) * rise - 0.16, unit - inset, (step + 1) * rise, style.trim)
        face.keep(
            [(inset, 0), (unit - inset, 0), (unit - inset, (step + 1) * rise), (inset, (step + 1) * rise)]
        )
    face.arch(unit / 2 - 0.4, 0.5, unit / 2 + 0.4, 2.0, (44, 54, 64), glass=200, lamps=(160, 0))
    low = style.height
    if facing_south:
        a, b = (x0 + index * unit, y0 - 0.02), (x0 + (index + 1) * unit, y0 - 0.02)
    else:
        a, b = (x0 - 0.02, y1 - index * unit), (x0 - 0.02, y1 - (index + 1) * unit)
    return wall(a, b, low, low + steps * rise, face.texture())


_ROOFS = {"flat": _flat, "gable": _gable, "hip": _hip, "mansard": _mansard, "stepped": _stepped}


def _chimney(plan: Box, style: Style, random: np.random.Generator) -> list[Solid]:
    x0, y0, x1, y1 = plan
    x, y = random.uniform(x0 + 1, x1 - 2), y0 + (y1 - y0) * random.uniform(0.3, 0.7)
    top = style.height + 3.4
    stack = box((x, y, style.height), (x + 0.8, y + 0.8, top), (142, 84, 66))
    return [*stack, tube((x + 0.4, y + 0.4, top), 0.5, 0.18, plain((170, 96, 66)))]


def striped(accent: Colour, width: float) -> Texture:
    canvas = Canvas(width, 1.4, 16)
    canvas.rectangle(0, 0, width, 1.4, (240, 236, 226))
    for x in np.arange(0, width, 0.9):
        canvas.rectangle(x, 0, x + 0.45, 1.4, accent)
    return canvas.texture()


def awnings(plan: Box, style: Style, fronts: str) -> list[Solid]:
    """A striped awning over each street front, at the height of the shop window's head."""
    x0, y0, x1, y1 = plan
    solids = []
    if "S" in fronts:
        solids.append(
            panel(
                (x0 + 0.4, y0 - 1.4, 2.45),
                (x1 - x0 - 0.8, 0, 0),
                (0, 1.4, 0.55),
                striped(style.accent, x1 - x0),
            )
        )
    if "W" in fronts:
        solids.append(
            panel(
                (x0 - 1.4, y1 - 0.4, 2.45),
                (0, y0 - y1 + 0.8, 0),
                (1.4, 0, 0.55),
                striped(style.accent, y1 - y0),
            )
        )
    return solids


def balconies(plan: Box, style: Style, fronts: str) -> list[Solid]:
    """Slabs with rails in every second bay of each street front."""
    x0, y0, x1, y1 = plan
    slab, rail = plain(shade(style.trim, 0.9)), plain(style.accent)
    solids: list[Solid] = []
    for floor in range(1, style.floors):
        z = style.ground_height + (floor - 1) * style.floor_height
        if "S" in fronts:
            for x in np.arange(x0 + 0.6, x1 - style.bay, 2 * style.bay):
                solids += box((x, y0 - 1.1, z - 0.15), (x + style.bay, y0, z), slab)
                solids += box((x, y0 - 1.1, z), (x + style.bay, y0 - 1.02, z + 0.9), rail)
        if "W" in fronts:
            for y in np.arange(y0 + 0.6, y1 - style.bay, 2 * style.bay):
                solids += box((x0 - 1.1, y, z - 0.15), (x0, y + style.bay, z), slab)
                solids += box((x0 - 1.1, y, z), (x0 - 1.02, y + style.bay, z + 0.9), rail)
    return solids


def street_row(
    start: tuple[float, float],
    along: tuple[int, int],
    length: float,
    depth: float,
    front: str,
    styles: list[Style],
    random: np.random.Generator,
) -> list[Solid]:
    """Houses wall to wall from ``start`` along an axis, fronts to the compass letter ``front``."""
    solids: list[Solid] = []
    behind = {"S": (0, depth), "N": (0, -depth), "W": (depth, 0), "E": (-depth, 0)}[front]
    done = 0.0
    while done < length:
        width = float(random.uniform(8, 14))
        style = styles[int(random.integers(len(styles)))]
        style = replace(
            style,
            colour=shade(style.colour, random.uniform(0.85, 1.12)),
            floors=max(2, style.floors + int(random.integers(-1, 2))),
            accent=tuple(int(c) for c in random.permutation(style.accent)),
        )
        x, y = start[0] + along[0] * done, start[1] + along[1] * done
        xs = sorted((x, x + along[0] * width + behind[0]))
        ys = sorted((y, y + along[1] * width + behind[1]))
        solids += house((xs[0], ys[0], xs[1], ys[1]), style, front, random)
        done += width
    return solids
