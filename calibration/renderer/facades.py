"""Painted fronts of houses: walls, windows, shops, doors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from renderer.texture import Canvas, Colour, Texture, noise

GLASS: Colour = (44, 54, 64)


@dataclass(frozen=True)
class Style:
    """What a house looks like. Colours are sRGB, lengths metres.

    Attributes:
        wall: brick, plaster, stone, panels, timber, boards or curtain.
        window: sash, shutters, arched, french, ribbon or square.
        ground: shop, arcade, doors, garage, columns or same (as the floors above).
        roof: flat, gable, mansard, hip or stepped.
    """

    wall: str = "plaster"
    colour: Colour = (214, 200, 174)
    trim: Colour = (236, 230, 218)
    accent: Colour = (120, 40, 36)
    window: str = "sash"
    floors: int = 3
    floor_height: float = 3.2
    bay: float = 2.6
    ground: str = "shop"
    roof: str = "gable"
    roof_colour: Colour = (138, 74, 56)
    sign: str = ""
    awning: bool = False
    balconies: bool = False
    cornice: bool = True

    @property
    def ground_height(self) -> float:
        return 4.0 if self.ground in ("shop", "arcade", "garage", "columns") else self.floor_height

    @property
    def height(self) -> float:
        return self.ground_height + (self.floors - 1) * self.floor_height + 0.7


def shade(colour: Colour, factor: float) -> Colour:
    """A colour made darker (< 1) or lighter (> 1)."""
    red, green, blue = (int(np.clip(channel * factor, 0, 255)) for channel in colour)
    return red, green, blue


def paint_front(style: Style, width: float, random: np.random.Generator, *, blind: bool = False) -> Texture:
    """The whole front of a house ``width`` metres wide; a blind one has no openings."""
    canvas = Canvas(width, style.height)
    canvas.fill(wall_pattern(style, canvas.shape, canvas.scale, random))
    if style.wall == "timber":
        _beams(canvas, style)
    if not blind:
        bays = max(1, round(width / style.bay))
        for floor in range(1, style.floors):
            bottom = style.ground_height + (floor - 1) * style.floor_height
            _floor_of_windows(canvas, style, bottom, bays, random)
        _GROUND[style.ground](canvas, style, bays, random)
    _weathering(canvas, random)
    return canvas.texture()


def wall_pattern(
    style: Style, shape: tuple[int, int], scale: float, random: np.random.Generator
) -> np.ndarray:
    """The bare wall, float [h, w, 3] in 0..255."""
    rows, columns = (np.arange(n) / scale for n in shape)
    tone = 0.86 + 0.28 * noise(shape, random, 5)
    tone = tone + random.normal(0, 0.02, shape)
    if style.wall in _COURSES:
        height, width, joint, jitter, mortar = _COURSES[style.wall]
        course = (rows[::-1] / height).astype(int)
        along = columns[None, :] / width + 0.5 * (course[:, None] % 2)
        lot = random.normal(1, jitter, (course.max() + 2, int(along.max()) + 2))
        tone = tone * lot[course[:, None], along.astype(int)]
        seam = ((rows[::-1] % height)[:, None] < joint) | ((along % 1) * width < joint)
        tone = np.where(seam, tone * mortar, tone)
    elif style.wall == "boards":
        tone = tone * np.where(rows[::-1] % 0.22 < 0.035, 0.72, 1.0)[:, None]
    return tone[..., None] * np.array(style.colour)


_COURSES = {  # course height, block width, joint (metres), block-to-block variation, joint brightness
    "brick": (0.16, 0.42, 0.035, 0.09, 1.22),
    "stone": (0.55, 1.05, 0.04, 0.05, 0.72),
    "panels": (3.0, 3.0, 0.07, 0.03, 0.62),
}


def _beams(canvas: Canvas, style: Style) -> None:
    dark = (70, 48, 36)
    bottom = style.ground_height
    while bottom < style.height:
        canvas.line([(0, bottom), (canvas.width, bottom)], dark, 0.24)
        top = bottom + style.floor_height
        for x in np.arange(0, canvas.width + 0.1, style.bay):
            canvas.line([(x, bottom), (x, top)], dark, 0.2)
            canvas.line([(x, bottom), (x + style.bay * 0.25, top)], dark, 0.14)
            canvas.line([(x, bottom), (x - style.bay * 0.25, top)], dark, 0.14)
        bottom = top


def _floor_of_windows(
    canvas: Canvas, style: Style, bottom: float, bays: int, random: np.random.Generator
) -> None:
    if style.wall == "curtain":
        _curtain_wall(canvas, style, bottom, random)
        return
    if style.window == "ribbon":
        _pane(canvas, style, 0.4, bottom + 1.0, canvas.width - 0.4, bottom + 2.4, random, panes=bays * 2)
        return
    bay = canvas.width / bays
    width, sill, top = _WINDOWS[style.window]
    for index in range(bays):
        middle = (index + 0.5) * bay
        _window(canvas, style, middle, min(width, bay * 0.8), bottom + sill, bottom + top, random)
    if style.cornice:
        canvas.rectangle(0, bottom - 0.12, canvas.width, bottom + 0.1, shade(style.trim, 0.92))
        canvas.rectangle(0, bottom - 0.2, canvas.width, bottom - 0.12, shade(style.colour, 0.6))


_WINDOWS = {  # width, sill and top above the floor, metres
    "sash": (1.15, 0.8, 2.7),
    "shutters": (1.05, 0.8, 2.5),
    "arched": (1.3, 0.7, 2.9),
    "french": (1.2, 0.15, 2.6),
    "square": (1.6, 0.9, 2.4),
}


def _lamps(random: np.random.Generator) -> tuple[int, int]:
    """Which of the two groups of lit windows one belongs to, and how bright it is behind its curtains."""
    lot, bright = random.random(), int(random.uniform(110, 230))
    return (bright, 0) if lot < 0.3 else (0, bright) if lot < 0.5 else (0, 0)


def _pane(
    canvas: Canvas,
    style: Style,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    random: np.random.Generator,
    panes: int = 2,
) -> None:
    """A framed window: shadowed reveal, glass, curtains, bars."""
    frame = style.trim
    canvas.rectangle(x0 - 0.06, y0 - 0.06, x1 + 0.06, y1 + 0.06, shade(style.colour, 0.5))
    canvas.rectangle(x0, y0, x1, y1, shade(frame, 0.95))
    step, lamps = (x1 - x0) / panes, _lamps(random)
    for index in range(panes):
        left, right = x0 + index * step + 0.06, x0 + (index + 1) * step - 0.06
        lamps = _lamps(random) if panes > 2 else lamps
        canvas.rectangle(
            left, y0 + 0.07, right, y1 - 0.07, shade(GLASS, random.uniform(0.7, 1.2)), glass=230, lamps=lamps
        )
        if random.random() < 0.35:
            drop = random.uniform(0.15, 0.6) * (y1 - y0)
            soft = tuple(value * 3 // 4 for value in lamps)
            canvas.rectangle(left, y1 - drop, right, y1 - 0.07, (196, 190, 176), glass=70, lamps=soft)
    canvas.rectangle(x0, y1 - 0.16, x1, y1 - 0.05, shade(style.colour, 0.45))


def _window(
    canvas: Canvas,
    style: Style,
    middle: float,
    width: float,
    y0: float,
    y1: float,
    random: np.random.Generator,
) -> None:
    x0, x1 = middle - width / 2, middle + width / 2
    trim = style.trim
    if style.window == "arched":
        canvas.arch(x0 - 0.18, y0 - 0.1, x1 + 0.18, y1 + 0.18, trim)
        canvas.arch(x0, y0, x1, y1, GLASS, glass=230, lamps=_lamps(random))
        canvas.line([(middle, y0), (middle, y1)], trim, 0.08)
        canvas.line([(x0, y0 + (y1 - y0) * 0.55), (x1, y0 + (y1 - y0) * 0.55)], trim, 0.07)
    else:
        canvas.rectangle(x0 - 0.16, y0 - 0.14, x1 + 0.16, y1 + 0.2, trim)
        _pane(canvas, style, x0, y0, x1, y1, random)
    if style.window == "sash":
        canvas.rectangle(x0, (y0 + y1) / 2 - 0.05, x1, (y0 + y1) / 2 + 0.05, trim)
        canvas.rectangle(x0 - 0.25, y1 + 0.2, x1 + 0.25, y1 + 0.38, shade(trim, 0.9))
    if style.window == "shutters":
        for left in (x0 - 0.62, x1 + 0.1):
            canvas.rectangle(left, y0 - 0.05, left + 0.52, y1 + 0.05, style.accent)
            for y in np.arange(y0 + 0.1, y1, 0.2):
                canvas.line([(left + 0.06, y), (left + 0.46, y)], shade(style.accent, 0.7), 0.05)
    canvas.rectangle(x0 - 0.25, y0 - 0.2, x1 + 0.25, y0 - 0.06, shade(trim, 1.05))
    canvas.rectangle(x0 - 0.22, y0 - 0.3, x1 + 0.22, y0 - 0.2, shade(style.colour, 0.62))
    if style.window == "french":
        for x in np.arange(x0 - 0.2, x1 + 0.21, 0.14):
            canvas.line([(x, y0 - 0.05), (x, y0 + 0.95)], (40, 40, 44), 0.04)
        canvas.line([(x0 - 0.22, y0 + 0.95), (x1 + 0.22, y0 + 0.95)], (40, 40, 44), 0.07)


def _curtain_wall(canvas: Canvas, style: Style, bottom: float, random: np.random.Generator) -> None:
    columns = max(2, round(canvas.width / 1.5))
    step = canvas.width / columns
    top = bottom + style.floor_height
    for index in range(columns):
        tint = shade(style.colour, random.uniform(0.75, 1.05))
        canvas.rectangle(
            index * step, bottom + 0.5, (index + 1) * step, top, tint, glass=245, lamps=_lamps(random)
        )
    canvas.rectangle(0, bottom, canvas.width, bottom + 0.5, style.trim)
    for index in range(columns + 1):
        canvas.line([(index * step, bottom), (index * step, top)], shade(style.trim, 0.7), 0.09)


def _shop(canvas: Canvas, style: Style, bays: int, random: np.random.Generator) -> None:
    height, width, accent = style.ground_height, canvas.width, style.accent
    canvas.rectangle(0, 0, width, height - 0.15, shade(accent, 0.8))
    canvas.rectangle(0, 0, width, 0.5, shade(accent, 0.5))
    units = max(2, round(width / 3.0))
    step = width / units
    door = int(random.integers(units))
    for index in range(units):
        x0, x1 = index * step + 0.22, (index + 1) * step - 0.22
        glow = int(random.uniform(150, 235))
        if index == door:
            middle = (x0 + x1) / 2
            canvas.rectangle(middle - 0.75, 0, middle + 0.75, 2.7, shade(accent, 1.25))
            canvas.rectangle(middle - 0.5, 0.6, middle + 0.5, 2.5, GLASS, glass=200, lamps=(glow, glow))
            canvas.rectangle(middle + 0.55, 1.0, middle + 0.63, 1.4, (210, 190, 120))
        else:
            canvas.rectangle(x0, 0.6, x1, 2.75, GLASS, glass=170, lamps=(glow, glow))
            _wares(canvas, x0, x1, random)
            canvas.line([((x0 + x1) / 2, 0.6), ((x0 + x1) / 2, 2.75)], shade(accent, 0.7), 0.07)
    canvas.rectangle(0, 2.95, width, 3.75, accent)
    canvas.rectangle(0, 3.75, width, 3.9, shade(style.trim, 0.95))
    if style.sign:
        pale = sum(accent) < 400
        ink = (250, 240, 214) if pale else (50, 34, 30)
        for x in [width / 2] if width < 14 else [width * 0.27, width * 0.73]:
            canvas.text(x, 3.35, style.sign, 0.5, ink, lamp=255)


def _wares(canvas: Canvas, x0: float, x1: float, random: np.random.Generator) -> None:
    """Shelves and coloured goods behind the glass."""
    usual = random.integers(60, 210, 3)
    for shelf in (0.7, 1.35, 2.0):
        x = x0 + 0.08
        while x < x1 - 0.3:
            width, height = random.uniform(0.15, 0.4), random.uniform(0.2, 0.48)
            colour = tuple(int(c) for c in np.clip(usual + random.normal(0, 38, 3), 20, 235))
            canvas.rectangle(x, shelf, min(x + width, x1), shelf + height, colour, glass=60, lamps=(90, 90))
            x += width + random.uniform(0.02, 0.2)


def _arcade(canvas: Canvas, style: Style, bays: int, random: np.random.Generator) -> None:
    count = max(2, round(canvas.width / 3.2))
    step = canvas.width / count
    for index in range(count):
        x0, x1 = index * step + 0.45, (index + 1) * step - 0.45
        canvas.arch(x0 - 0.2, 0, x1 + 0.2, 3.7, shade(style.trim, 0.97))
        canvas.arch(x0, 0, x1, 3.5, (36, 32, 32))
        glow = int(random.uniform(60, 160))
        canvas.arch(x0 + 0.35, 0, x1 - 0.2, 3.0, (62, 54, 48), glass=40, lamps=(glow, glow))
        canvas.rectangle(index * step - 0.45, 0, index * step + 0.45, 0.4, shade(style.trim, 0.7))
    if style.sign:
        canvas.text(canvas.width / 2, 3.85, style.sign, 0.34, shade(style.accent, 0.8))


def _doors(canvas: Canvas, style: Style, bays: int, random: np.random.Generator) -> None:
    bay = canvas.width / bays
    canvas.rectangle(0, 0, canvas.width, 0.6, shade(style.colour, 0.66))
    door = int(random.integers(bays))
    for index in range(bays):
        middle = (index + 0.5) * bay
        if index == door:
            canvas.rectangle(middle - 0.8, 0, middle + 0.8, 2.9, style.trim)
            canvas.rectangle(middle - 0.55, 0.15, middle + 0.55, 2.25, style.accent)
            canvas.rectangle(middle - 0.4, 1.3, middle + 0.4, 2.05, shade(style.accent, 0.75))
            canvas.rectangle(middle - 0.55, 2.32, middle + 0.55, 2.7, GLASS, glass=200, lamps=(200, 200))
            canvas.rectangle(middle - 1.0, 0, middle + 1.0, 0.15, (150, 146, 140))
        else:
            width = min(_WINDOWS.get(style.window, _WINDOWS["square"])[0], bay * 0.8)
            _window(canvas, style, middle, width, 1.0, 2.6, random)


def _garage(canvas: Canvas, style: Style, bays: int, random: np.random.Generator) -> None:
    count = max(1, round(canvas.width / 4.6))
    step = canvas.width / count
    for index in range(count):
        x0, x1 = index * step + 0.6, (index + 1) * step - 0.6
        canvas.rectangle(x0 - 0.2, 0, x1 + 0.2, 3.4, style.trim)
        canvas.rectangle(x0, 0, x1, 3.2, style.accent)
        for y in (0.8, 1.6, 2.4):
            canvas.line([(x0, y), (x1, y)], shade(style.accent, 0.65), 0.07)
        for x in np.linspace(x0 + 0.25, x1 - 0.95, 3):
            canvas.rectangle(x, 1.75, x + 0.7, 2.3, GLASS, glass=200, lamps=(180, 0))
    if style.sign:
        canvas.text(canvas.width / 2, 3.72, style.sign, 0.42, shade(style.accent, 0.9), lamp=180)


def _columns(canvas: Canvas, style: Style, bays: int, random: np.random.Generator) -> None:
    canvas.rectangle(0, 0, canvas.width, style.ground_height - 0.3, shade(style.colour, 0.62))
    for middle in np.arange(1.6, canvas.width - 0.8, 3.2):
        canvas.rectangle(middle - 0.7, 0.2, middle + 0.7, 3.1, GLASS, glass=190, lamps=(190, 190))
        canvas.line([(middle, 0.2), (middle, 3.1)], style.accent, 0.09)
    if style.sign:
        canvas.text(canvas.width / 2, style.ground_height - 0.1, style.sign, 0.4, shade(style.accent, 0.7))


def _same(canvas: Canvas, style: Style, bays: int, random: np.random.Generator) -> None:
    _floor_of_windows(canvas, style, 0.0, bays, random)
    canvas.rectangle(canvas.width / 2 - 1.4, 0, canvas.width / 2 + 1.4, 2.6, shade(style.trim, 0.6))
    canvas.rectangle(
        canvas.width / 2 - 1.2, 0, canvas.width / 2 + 1.2, 2.4, GLASS, glass=220, lamps=(230, 230)
    )


_GROUND = {
    "shop": _shop,
    "arcade": _arcade,
    "doors": _doors,
    "garage": _garage,
    "columns": _columns,
    "same": _same,
}


def _weathering(canvas: Canvas, random: np.random.Generator) -> None:
    """Darker at the foot and under the eaves, streaked below."""
    rgb = np.asarray(canvas.rgb).astype(np.float32)
    height = np.linspace(canvas.height, 0, rgb.shape[0])[:, None, None]
    dirt = 1 - 0.22 * np.exp(-height / 0.7) - 0.18 * np.exp(-(canvas.height - height) / 0.5)
    streaks = 1 - 0.10 * noise((rgb.shape[0] // 8 + 1, rgb.shape[1]), random, 4)
    streaks = np.repeat(streaks, 8, axis=0)[: rgb.shape[0], :, None]
    canvas.fill(rgb * dirt * (streaks + 0.05))
