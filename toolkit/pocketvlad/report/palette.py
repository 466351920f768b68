"""The colours of every plot and page: they stay apart for colour-blind readers, by hue or by lightness.

The first three are Okabe and Ito's (2008); a test simulates three kinds of colour blindness (Machado et al. 2009).
"""

from __future__ import annotations

BEFORE, AFTER = "#d55e00", "#0072b2"  # the uncompressed and the compressed model; unknown and known places
RIGHT, WRONG = "#009e73", "#a3152a"
PARTS = {  # of a layer's bytes, side by side in a bar
    "mask": "#5b2a86",
    "codes": "#0072b2",
    "codebook": "#f0b429",
    "scales": "#46b593",
    "bias": "#b4bcc6",
}
INK, PAPER = "#1b2430", "#ffffff"
VARIABLES = {"before": BEFORE, "after": AFTER, "right": RIGHT, "wrong": WRONG}
DARK = {"before": "#f08a3c", "after": "#4aa8e0", "right": "#2cc295", "wrong": "#e2606f"}  # on a dark page
