"""Makes docs/images: the report's top and the app's screens, as they are.

make demo                                                            # out/demo/report.html
.venv/bin/python -m pytest tests/android/test_robolectric.py -k 34   # out/screenshots, the app on a JVM
apt-get install chromium
.venv/bin/python docs/pictures.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs/images"
REPORT = ROOT / "out/demo/report.html"
SHOTS = ROOT / "out/screenshots"
SCREENS = {  # of the app: picture -> screenshot
    "app.png": "known-sdk34.png",
    "app-start.png": "start-sdk34.png",
    "app-night.png": "night-sdk34.png",
    "app-landscape.png": "landscape-sdk34.png",
}
WINDOW = (1000, 690)  # pixels: the figures at the top and the app's part
HEIGHT = 460  # pixels of every picture
COLOURS = 64


def report_picture() -> Image.Image:
    """The top of the report as a browser shows it."""
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "report.png"
        size = f"--window-size={WINDOW[0]},{WINDOW[1]}"
        command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", size]
        subprocess.run(
            [*command, f"--screenshot={shot}", REPORT.as_uri()], check=True, capture_output=True, timeout=120
        )
        return Image.open(shot).convert("RGB")


def write_small(picture: Image.Image, name: str) -> None:
    """The picture HEIGHT pixels high, or half of it if the picture is twice as wide as high; in few colours."""
    height = HEIGHT if picture.width < 2 * picture.height else HEIGHT // 2
    width = round(picture.width * height / picture.height)
    small = picture.resize((width, height), Image.Resampling.LANCZOS)
    small.quantize(COLOURS, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)
    print(f"docs/images/{name}: {width}x{height}, {(IMAGES / name).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    shots = {name: SHOTS / shot for name, shot in SCREENS.items()}
    missing = [path for path in (REPORT, *shots.values()) if not path.is_file()]
    if missing:
        sys.exit(
            f"missing: {', '.join(map(str, missing))}; the head of docs/pictures.py says what makes them"
        )
    IMAGES.mkdir(exist_ok=True)
    write_small(report_picture(), "report.png")
    for name, shot in shots.items():
        write_small(Image.open(shot).convert("RGB"), name)
