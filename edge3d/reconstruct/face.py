"""One reconstructed face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.crop import Crop
from edge3d.geometry.pose import HeadPose


@dataclass(frozen=True, eq=False)
class Face:
    """One reconstructed face, in pixels of the picture it was found in.

    Coordinates: 0-based, a pixel's centre is whole, y down; z in the same pixels, positive
    towards the camera, 0 at the face model's origin.

    Attributes:
        box_xyxy: (4,) float64, the crop box, half-open.
        score: the detector's confidence, or 1 where the caller gave the box.
        params: (P,) float32, in the contract's layout, not whitened.
        landmarks_px: (68, 3) float32.
        vertices_px: (V, 3) float32.
        pose: the head's pose.
        blendshapes: name to weight; ARKit's names, 0..1, in the open face model.
        crop: the crop and its affine.
    """

    box_xyxy: NDArray[np.float64]
    score: float
    params: NDArray[np.float32]
    landmarks_px: NDArray[np.float32]
    vertices_px: NDArray[np.float32]
    pose: HeadPose
    blendshapes: Mapping[str, float]
    crop: Crop
