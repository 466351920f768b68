"""A page in a headless Chromium: how wide it is, and what its console says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_PROBE = """
<script>addEventListener("load", () => {
  const root = document.documentElement, frame = root.clientWidth;
  for (const each of document.querySelectorAll("details")) each.open = true;
  const wide = [...document.querySelectorAll("body *")].filter(each => {
    const box = each.getBoundingClientRect();
    return box.width > 0 && (box.right > frame + 1 || box.left < -1 ||
      (getComputedStyle(each).overflowX !== "visible" && each.scrollWidth > each.clientWidth + 1));
  });
  const found = document.createElement("pre");
  found.id = "probe";
  found.textContent = JSON.stringify({window: innerWidth, page: root.scrollWidth, frame,
    wide: wide.slice(0, 5).map(each => each.outerHTML.slice(0, 120))});
  root.append(found);
});</script>
"""


@dataclass(frozen=True)
class Seen:
    """What a browser found.

    Attributes:
        window, page, frame: CSS pixels of the window, of the page, and of what the window shows of it.
        wide: elements that reach out of the page or scroll sideways.
        console: errors and warnings.
    """

    window: int
    page: int
    frame: int
    wide: tuple[str, ...]
    console: tuple[str, ...]


def open_page(page: Path, width: int, folder: Path) -> Seen:
    """Open a page of our own in a window ``width`` pixels wide, everything folded unfolded.

    The window is a frame of a page of its own: a browser's own window is never as narrow as a phone's.
    """
    probed = folder / f"probed-{width}.html"
    probed.write_text(page.read_text().replace("</main>", f"</main>{_PROBE}"))
    framed = folder / f"framed-{width}.html"
    framed.write_text(
        f'<!doctype html><iframe src="{probed.name}" style="width:{width}px;height:900px;border:0"></iframe>'
        "<script>addEventListener('load', () => setTimeout(() => { document.body.append("
        "document.querySelector('iframe').contentDocument.getElementById('probe')) }, 300));</script>"
    )
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
            f"--user-data-dir={folder / 'chromium'}", "--window-size=1600,1000", "--enable-logging=stderr", "--v=0",
            "--virtual-time-budget=5000", "--dump-dom", framed.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, f"{done.stdout[-500:]}\n{done.stderr[-1500:]}"
    values = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    console = tuple(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return Seen(values["window"], values["page"], values["frame"], tuple(values["wide"]), console)
