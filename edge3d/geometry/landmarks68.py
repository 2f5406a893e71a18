"""The 68 landmarks of iBUG's scheme (C. Sagonas et al., 2013), as AFLW2000-3D numbers them.

Left and right are the picture's: landmark 0 is on the jaw at the picture's left.
"""

from __future__ import annotations

import numpy as np

# Parts of the face as (name, first, last + 1, closed curve).
PARTS: tuple[tuple[str, int, int, bool], ...] = (
    ("jaw", 0, 17, False),
    ("left brow", 17, 22, False),
    ("right brow", 22, 27, False),
    ("nose bridge", 27, 31, False),
    ("nose base", 31, 36, False),
    ("left eye", 36, 42, True),
    ("right eye", 42, 48, True),
    ("outer lips", 48, 60, True),
    ("inner lips", 60, 68, True),
)

# MIRROR[i] is the landmark that is in i's place when the picture is mirrored.
MIRROR = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        27,
        28,
        29,
        30,
        35,
        34,
        33,
        32,
        31,
        45,
        44,
        43,
        42,
        47,
        46,
        39,
        38,
        37,
        36,
        41,
        40,
        54,
        53,
        52,
        51,
        50,
        49,
        48,
        59,
        58,
        57,
        56,
        55,
        64,
        63,
        62,
        61,
        60,
        67,
        66,
        65,
    ]
)

# Which landmarks lie on the picture's left of the face; those on its midline do not.
PICTURE_LEFT = np.isin(
    np.arange(68),
    [*range(8), *range(17, 22), 31, 32, *range(36, 42), 48, 49, 50, 58, 59, 60, 61, 67],
)

# What opens, as pairs of landmarks: the lids of the eye on the image's left and of the other one,
# and the inner lips.
LID_GAPS: tuple[tuple[int, int], ...] = ((37, 41), (38, 40), (44, 46), (43, 47))
LIP_GAPS: tuple[tuple[int, int], ...] = ((61, 67), (62, 66), (63, 65))
GAPS = LID_GAPS + LIP_GAPS
