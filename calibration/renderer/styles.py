"""Colours, and the kinds of houses whole streets are made of."""

from __future__ import annotations

from renderer.facades import Style
from renderer.texture import Colour

CREAM, SAND, OCHRE, ROSE = (226, 212, 184), (206, 186, 150), (212, 168, 96), (214, 164, 148)
BRICK, DARK_BRICK, WHITE, GREY = (164, 92, 70), (122, 76, 66), (232, 230, 224), (164, 164, 162)
BLUE, GREEN, MINT, SLATE = (120, 146, 176), (128, 150, 118), (176, 206, 190), (74, 80, 92)
RED_ROOF, BROWN_ROOF, SLATE_ROOF, COPPER = (152, 78, 56), (110, 78, 62), (80, 84, 94), (104, 148, 130)


def plaster(
    colour: Colour, accent: Colour, floors: int = 3, window: str = "sash", roof: str = "gable", **more
) -> Style:
    return Style("plaster", colour, accent=accent, floors=floors, window=window, roof=roof, **more)


def brick(
    colour: Colour, accent: Colour, floors: int = 3, window: str = "sash", roof: str = "flat", **more
) -> Style:
    return Style("brick", colour, accent=accent, floors=floors, window=window, roof=roof, **more)


OLD_TOWN = (
    plaster(CREAM, (90, 110, 80), window="shutters", ground="doors"),
    plaster(OCHRE, (70, 90, 110), window="shutters", ground="doors"),
    plaster(ROSE, (110, 60, 50), window="sash", ground="doors"),
)
BRICK_TOWN = (
    brick(BRICK, (40, 60, 50), ground="doors"),
    brick(DARK_BRICK, (30, 40, 70), 4, window="arched", ground="doors"),
    brick((180, 128, 96), (80, 40, 40), window="sash", roof="gable", ground="doors"),
)
BOULEVARD = (
    Style(
        "stone",
        SAND,
        window="french",
        floors=5,
        roof="mansard",
        roof_colour=SLATE_ROOF,
        ground="doors",
        accent=(60, 70, 80),
    ),
    Style("stone", CREAM, window="french", floors=5, roof="mansard", roof_colour=SLATE_ROOF, ground="arcade"),
)
MODERN = (
    Style("curtain", (120, 150, 170), trim=(150, 156, 160), floors=6, roof="flat", ground="same"),
    Style("panels", GREY, window="ribbon", floors=5, roof="flat", ground="same", cornice=False),
    Style("panels", WHITE, window="square", floors=5, roof="flat", ground="same", cornice=False),
)
SUBURB = (
    Style(
        "boards", WHITE, accent=(60, 80, 110), floors=2, ground="doors", roof="gable", roof_colour=SLATE_ROOF
    ),
    Style("boards", BLUE, accent=(130, 50, 50), floors=2, ground="doors", roof="gable"),
    plaster(CREAM, (50, 90, 60), 2, ground="doors", roof="hip"),
)
BLOCKS = (
    Style(
        "panels",
        (196, 190, 178),
        window="square",
        floors=7,
        ground="doors",
        roof="flat",
        balconies=True,
        cornice=False,
        accent=(120, 140, 150),
    ),
    Style("panels", (170, 176, 182), window="square", floors=6, ground="doors", roof="flat", cornice=False),
)
CANAL = (
    brick((128, 70, 56), (30, 70, 50), 4, roof="stepped", ground="doors", bay=1.8),
    brick((88, 70, 66), (140, 40, 40), 3, roof="stepped", ground="doors", bay=1.8),
    brick((176, 120, 84), (30, 50, 90), 4, roof="stepped", ground="doors", bay=1.8),
)
