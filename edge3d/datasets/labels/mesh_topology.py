"""The 478 points of MediaPipe's face mesh: mirror images and regions.

`mesh478.npz` holds the index of each point's mirror image and MediaPipe's canonical face (from
`geometry_pipeline_metadata_landmarks.binarypb` of `face_landmarker.task`, Apache-2.0).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from edge3d.bundled import mesh478_path

POINTS = 478
# Points of the subject's right side (left in a frontal photograph), and those on both sides.
# Indices follow MediaPipe's `face_mesh_connections.py` (Apache-2.0).
_RIGHT = {
    "eye": (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173),
    "iris": (468, 469, 470, 471, 472),
    "brow": (46, 53, 52, 65, 55, 70, 63, 105, 66, 107),
    "outline": (
        109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148,
    ),
}  # fmt: skip
_MIDDLE = {
    "lips": (
        61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
        78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
    ),
    "nose": (
        168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 97, 326, 327, 294, 278, 344, 440, 275, 45, 220,
        115, 48, 64,
    ),
}  # fmt: skip
REGIONS = (
    "eye_right", "eye_left", "iris_right", "iris_left", "brow_right", "brow_left",
    "outline_right", "outline_left", "lips", "nose", "rest_right", "rest_left",
)  # fmt: skip


@cache
def mesh_mirror() -> NDArray[np.int64]:
    """Return the index of each mesh point's mirror image: (478,)."""
    with np.load(mesh478_path(), allow_pickle=False) as content:
        mirror = content["mirror"].astype(np.int64)
    mirror.flags.writeable = False
    return mirror


@cache
def point_regions() -> NDArray[np.int64]:
    """Return the index in `REGIONS` of each mesh point: (478,).

    What belongs to no named part is "rest": cheeks, forehead and chin, right or left. Points on
    the middle line count as right.
    """
    mirror = mesh_mirror()
    with np.load(mesh478_path(), allow_pickle=False) as content:
        across = content["canonical_cm"][:, 0]  # positive on the subject's left
    regions = np.full(POINTS, REGIONS.index("rest_right"))
    regions[: len(across)][across > 0] = REGIONS.index("rest_left")
    for part, points in _RIGHT.items():
        regions[list(points)] = REGIONS.index(f"{part}_right")
        regions[mirror[list(points)]] = REGIONS.index(f"{part}_left")
    for part, points in _MIDDLE.items():
        regions[list(points)] = REGIONS.index(part)
    regions.flags.writeable = False
    return regions


def canonical_mesh() -> NDArray[np.float64]:
    """Return MediaPipe's canonical face, frontal: (478, 3), x right, y down, z away, centimetres.

    It has no irises: their points are put at the means of the eyes' outlines.
    """
    with np.load(mesh478_path(), allow_pickle=False) as content:
        canonical = content["canonical_cm"].astype(np.float64) * [1, -1, -1]
    mesh = np.concatenate([canonical, np.zeros((POINTS - len(canonical), 3))])
    right = canonical[list(_RIGHT["eye"])].mean(axis=0)
    mesh[list(_RIGHT["iris"])] = right
    mesh[mesh_mirror()[list(_RIGHT["iris"])]] = right * [-1, 1, 1]
    return mesh
