"""The thirty places: what stands at each corner, and what its street is made of."""

from __future__ import annotations

from dataclasses import dataclass

from renderer.facades import Style
from renderer.styles import (
    BLOCKS,
    BOULEVARD,
    BRICK,
    BRICK_TOWN,
    BROWN_ROOF,
    CANAL,
    COPPER,
    CREAM,
    DARK_BRICK,
    GREY,
    MINT,
    MODERN,
    OCHRE,
    OLD_TOWN,
    ROSE,
    SAND,
    SLATE_ROOF,
    SUBURB,
    WHITE,
    brick,
    plaster,
)


@dataclass(frozen=True)
class Place:
    """One street corner.

    Attributes:
        name: of its folder-free photo names.
        house: the corner house.
        neighbours: styles of the other houses.
        landmark: a key of LANDMARKS.
        trees: kind of tree, "" for none.
        lamp: lantern or arm.
        paving: asphalt, cobbles or setts (large stones).
        extra: further landmarks.
    """

    name: str
    house: Style
    neighbours: tuple[Style, ...]
    landmark: str = "nothing"
    trees: str = ""
    lamp: str = "lantern"
    paving: str = "asphalt"
    extra: tuple[str, ...] = ()


PLACES: tuple[Place, ...] = (
    Place(
        "corner_bakery",
        plaster(CREAM, (176, 88, 44), window="shutters", sign="BAKERY", awning=True),
        OLD_TOWN,
        trees="round",
        paving="cobbles",
    ),
    Place(
        "clock_tower",
        Style("stone", SAND, window="arched", ground="arcade", roof="hip", roof_colour=COPPER),
        OLD_TOWN,
        "clock_tower",
        paving="setts",
    ),
    Place(
        "redbrick_pub",
        brick(BRICK, (28, 66, 48), sign="THE BELL", roof="gable", roof_colour=SLATE_ROOF),
        BRICK_TOWN,
        "turret",
    ),
    Place(
        "glass_office",
        Style("curtain", (96, 140, 170), trim=(190, 196, 200), floors=7, roof="flat", ground="same"),
        MODERN,
        "flags",
        lamp="arm",
        trees="tall",
    ),
    Place(
        "timber_inn",
        Style(
            "timber",
            (234, 222, 196),
            accent=(96, 40, 34),
            floors=3,
            roof="gable",
            sign="OLD INN",
            bay=2.4,
            cornice=False,
        ),
        (
            Style("timber", (238, 232, 214), floors=3, ground="doors", cornice=False),
            Style("timber", (222, 190, 140), floors=3, ground="doors", cornice=False),
            OLD_TOWN[0],
        ),
        paving="cobbles",
    ),
    Place(
        "station_arches",
        brick(DARK_BRICK, (150, 40, 34), 3, window="arched", sign="STATION"),
        BRICK_TOWN,
        "viaduct",
        lamp="arm",
    ),
    Place(
        "green_pharmacy",
        plaster(WHITE, (36, 128, 72), 4, roof="mansard", roof_colour=SLATE_ROOF, sign="PHARMACY"),
        OLD_TOWN,
        "cross_sign",
        trees="round",
    ),
    Place(
        "market_hall",
        Style("stone", OCHRE, window="arched", floors=2, ground="arcade", roof="hip", sign="MARKET HALL"),
        OLD_TOWN,
        "market",
        paving="setts",
    ),
    Place(
        "palm_hotel",
        plaster(MINT, (206, 92, 110), 4, window="ribbon", roof="flat", sign="HOTEL PALMA"),
        (
            plaster((244, 206, 178), (60, 140, 150), window="square", roof="flat", ground="doors"),
            plaster(WHITE, (220, 130, 60), window="ribbon", roof="flat", ground="doors"),
        ),
        "hotel_sign",
        trees="palm",
        lamp="arm",
    ),
    Place(
        "church_square",
        plaster(OCHRE, (96, 62, 44), window="shutters", sign="WINE", roof="hip"),
        OLD_TOWN,
        "church",
        paving="cobbles",
        trees="round",
    ),
    Place(
        "tram_stop",
        Style(
            "stone",
            (190, 176, 160),
            window="french",
            floors=4,
            roof="mansard",
            roof_colour=SLATE_ROOF,
            sign="TOBACCO",
            accent=(52, 44, 70),
        ),
        BOULEVARD,
        "tram",
        paving="setts",
    ),
    Place(
        "cinema_palace",
        plaster(
            (196, 72, 64), (150, 30, 36), 4, window="arched", roof="flat", sign="PALACE", trim=(240, 220, 170)
        ),
        BOULEVARD,
        "marquee",
        lamp="arm",
    ),
    Place(
        "fountain_square",
        Style(
            "stone", (214, 200, 170), window="sash", floors=4, roof="hip", ground="arcade", sign="TOWN HALL"
        ),
        OLD_TOWN,
        "fountain",
        paving="setts",
        trees="autumn",
    ),
    Place(
        "water_tower",
        brick(
            (150, 84, 62),
            (60, 60, 64),
            3,
            window="square",
            ground="garage",
            sign="STORAGE",
            bay=3.2,
            cornice=False,
        ),
        BRICK_TOWN,
        "water_tower",
        lamp="arm",
    ),
    Place(
        "blue_bookshop",
        plaster(
            (150, 172, 190),
            (30, 62, 120),
            sign="BOOKS",
            window="sash",
            roof="mansard",
            roof_colour=SLATE_ROOF,
        ),
        OLD_TOWN,
        "nothing",
        trees="bare",
    ),
    Place(
        "city_gate",
        plaster(SAND, (120, 50, 40), 2, window="shutters", sign="ANTIQUES"),
        OLD_TOWN,
        "city_gate",
        paving="cobbles",
    ),
    Place(
        "canal_houses",
        brick((110, 60, 52), (20, 70, 60), 4, roof="stepped", sign="CHEESE", bay=1.8),
        CANAL,
        "nothing",
        trees="round",
        paving="cobbles",
    ),
    Place(
        "fire_station",
        brick((176, 84, 64), (190, 34, 30), 3, window="square", ground="garage", sign="FIRE STATION 7"),
        BRICK_TOWN,
        "hose_tower",
        lamp="arm",
    ),
    Place(
        "school_yard",
        brick(
            (190, 140, 96),
            (44, 84, 110),
            3,
            window="sash",
            ground="doors",
            roof="hip",
            roof_colour=SLATE_ROOF,
        ),
        SUBURB,
        "school_fence",
        trees="autumn",
    ),
    Place(
        "bank_columns",
        Style(
            "stone",
            (206, 204, 196),
            trim=(226, 222, 212),
            window="sash",
            floors=4,
            ground="columns",
            roof="flat",
            sign="SAVINGS BANK",
            accent=(60, 60, 50),
        ),
        BOULEVARD,
        "pediment",
        paving="setts",
    ),
    Place(
        "petrol_corner",
        Style(
            "panels",
            WHITE,
            window="square",
            floors=2,
            ground="shop",
            sign="FUEL & GO",
            accent=(20, 60, 140),
            roof="flat",
            cornice=False,
        ),
        SUBURB,
        "petrol",
        lamp="arm",
        trees="fir",
    ),
    Place(
        "flower_kiosk",
        Style(
            "stone",
            CREAM,
            window="french",
            floors=5,
            roof="mansard",
            roof_colour=SLATE_ROOF,
            sign="FLEURS",
            accent=(120, 50, 80),
        ),
        BOULEVARD,
        "kiosk",
        trees="round",
    ),
    Place(
        "domed_library",
        Style(
            "stone",
            (196, 184, 164),
            window="arched",
            floors=4,
            roof="flat",
            ground="columns",
            roof_colour=COPPER,
            sign="LIBRARY",
        ),
        BOULEVARD,
        "domed",
        trees="tall",
    ),
    Place(
        "mural_wall",
        plaster((180, 176, 168), (44, 44, 50), 4, window="square", roof="flat", sign="RECORDS"),
        BRICK_TOWN,
        "mural",
        lamp="arm",
    ),
    Place(
        "panel_blocks",
        Style(
            "panels",
            (188, 196, 196),
            window="square",
            floors=9,
            ground="shop",
            sign="SUPERMARKET",
            accent=(226, 120, 30),
            roof="flat",
            balconies=True,
            cornice=False,
        ),
        BLOCKS,
        "nothing",
        lamp="arm",
        trees="bare",
    ),
    Place(
        "cafe_terrace",
        plaster(
            ROSE,
            (150, 34, 44),
            4,
            window="french",
            sign="CAFE CENTRAL",
            roof="mansard",
            roof_colour=BROWN_ROOF,
        ),
        BOULEVARD,
        "terrace",
        trees="round",
    ),
    Place(
        "obelisk_circle",
        plaster((220, 200, 120), (60, 76, 60), 4, window="sash", roof="hip", ground="arcade"),
        BOULEVARD,
        "obelisk",
        paving="setts",
        trees="tall",
    ),
    Place(
        "crane_site",
        Style(
            "panels",
            GREY,
            window="square",
            floors=6,
            ground="garage",
            roof="flat",
            accent=(80, 84, 90),
            cornice=False,
        ),
        MODERN,
        "crane",
        lamp="arm",
    ),
    Place(
        "lighthouse_quay",
        Style("boards", WHITE, accent=(30, 70, 120), floors=3, roof="gable", sign="FISH & CHIPS"),
        (*SUBURB[:2], plaster(ROSE, (40, 80, 110), 2, ground="doors")),
        "lighthouse",
    ),
    Place(
        "garden_villas",
        plaster((240, 226, 170), (70, 110, 80), 2, window="shutters", ground="doors", roof="hip", bay=3.0),
        SUBURB,
        "garden",
        trees="fir",
    ),
)
