"""Numbers as people read them. MB means 10^6 bytes."""

from __future__ import annotations


def size(count: float) -> str:
    """Bytes with the unit that leaves one to three digits before the point."""
    if count >= 1e8:
        return f"{count / 1e6:.0f} MB"
    if count >= 1e6:
        return f"{count / 1e6:.1f} MB" if count >= 1e7 else f"{count / 1e6:.2f} MB"
    return f"{count / 1e3:.1f} kB" if count >= 1e3 else f"{count:.0f} B"


def milliseconds(value: float) -> str:
    """Times with two or three significant digits."""
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def seconds(value: float) -> str:
    """A time span of a stage."""
    if value >= 60:
        return f"{int(value) // 60} min {int(value) % 60:02d} s"
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"


def signed(value: float, digits: int = 1) -> str:
    """A change with its sign, a true minus included; nothing rounds to minus zero."""
    rounded = round(value, digits)
    return f"{'−' if rounded < 0 else '+' if rounded > 0 else '±'}{abs(rounded):.{digits}f}"


def plain(value: float, digits: int = 1) -> str:
    """A number with a true minus and no plus; nothing rounds to minus zero."""
    return signed(value, digits).lstrip("+±")


def spread(low: float, high: float) -> str:
    """The ends of an interval of a change."""
    return f"{signed(low)} to {signed(high)}"


def percent(share: float) -> str:
    """A share of 1 as a percentage."""
    return f"{100 * share:.0f}%" if share >= 0.1 or share == 0 else f"{100 * share:.1f}%"


def cosine(value: float) -> str:
    """Enough digits to tell a good cosine from a perfect one; never rounded up to 1."""
    text = f"{value:.4f}" if value > 0.99 else f"{value:.3f}"
    return "0.9999+" if text == "1.0000" and value < 1 - 1e-6 else text


def ratio(value: float) -> str:
    """How many times smaller or faster."""
    return f"{value:.0f}×" if value >= 20 else f"{value:.1f}×"


def photos(count: int, places: int, which: str = "") -> str:
    """``90 photos of 15 places``; photos with positions alone belong to no places."""
    return f"{count} photos of {places} {which}places" if places else f"{count} {which}photos"
