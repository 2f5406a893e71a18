"""The teacher's fourth input channel: a picture of 18 landmarks.

2DASL's landmark map (X. Tu et al., arXiv 1903.09359): -1 everywhere, +1 at the pixel of each
landmark. Landmarks that are not known leave no mark; ones beside the crop mark its border.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edge3d.geometry.crop import CROP_SIZE_PX

# Each of the 18 as the mean of some of the 68.
MAP_LANDMARKS: tuple[tuple[int, ...], ...] = (
    (17,), (19,), (21,), (22,), (24,), (26,),
    (36,), (37, 40), (39,), (42,), (43, 46), (45,),
    (31,), (30,), (35,),
    (48,), (62, 66), (54,),
)  # fmt: skip


def map_points(landmarks_px: Tensor) -> Tensor:
    """Return the map's 18 points (B, 18, 2) of 68 landmarks (B, 68, 2 or 3) in crop pixels.

    A point is NaN where one of its landmarks is.
    """
    planar = landmarks_px[..., :2]
    return torch.stack([planar[:, list(part)].mean(1) for part in MAP_LANDMARKS], dim=1)


def landmark_map(points_px: Tensor) -> Tensor:
    """Return the maps (B, 1, 120, 120) of points (B, 18, 2) in crop pixels, NaN where not known.

    As in 2DASL's released code, a point marks the pixel `floor(x), floor(y)`, within the crop.
    """
    known = points_px.isfinite().all(2)
    column, row = torch.where(known[..., None], points_px, 0.0).floor().long().unbind(2)
    inside = [value.clamp(0, CROP_SIZE_PX - 1) for value in (row, column)]
    place = inside[0] * CROP_SIZE_PX + inside[1]
    marks = torch.zeros(len(points_px), CROP_SIZE_PX**2, device=points_px.device)
    marks.scatter_reduce_(1, place, known.float(), "amax")
    return 2 * marks.view(-1, 1, CROP_SIZE_PX, CROP_SIZE_PX) - 1


def soft_landmark_map(points_px: Tensor) -> Tensor:
    """Return maps (B, 1, 120, 120) through which a gradient reaches the points (B, 18, 2).

    A point's mark is shared by the four pixels around it, by bilinear weights; a pixel's marks add
    up to +1 at most. Points beside the crop are drawn at its border, as in `landmark_map`.
    """
    known = points_px.isfinite().all(2)
    points = torch.where(known[..., None], points_px, 0.0).clamp(0, CROP_SIZE_PX - 1)
    first = points.detach().floor().clamp(max=CROP_SIZE_PX - 2)
    share = points - first
    marks = torch.zeros(len(points), CROP_SIZE_PX**2, device=points.device)
    for right in (0, 1):
        for below in (0, 1):
            weight = (share[..., 0] if right else 1 - share[..., 0]) * (
                share[..., 1] if below else 1 - share[..., 1]
            )
            place = (first[..., 1].long() + below) * CROP_SIZE_PX + first[..., 0].long() + right
            marks = marks.scatter_add(1, place, weight * known)
    return 2 * marks.clamp(max=1.0).view(-1, 1, CROP_SIZE_PX, CROP_SIZE_PX) - 1
