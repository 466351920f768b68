"""The palette under simulated colour blindness: what stands side by side stays apart."""

from itertools import combinations

import numpy as np
import pytest

from pocketvlad.report.palette import DARK, PARTS, VARIABLES

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB
SIGHT = {
    "full": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
APART = 15  # Delta E 1976; 2.3 is just noticeable


def lab(colour, sight):
    value = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(SIGHT[sight]) @ linear, 0, 1)
    x, y, z = np.cbrt(np.maximum(np.asarray(TO_XYZ) @ seen / [0.9505, 1, 1.089], 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(
    "pair",
    [
        *(
            (colours[a], colours[b])
            for colours in (VARIABLES, DARK)
            for a, b in (("before", "after"), ("right", "wrong"))
        ),
        *combinations(PARTS.values(), 2),
    ],
)
def test_colours_that_meet_stay_apart(pair, sight):
    assert np.linalg.norm(lab(pair[0], sight) - lab(pair[1], sight)) > APART
