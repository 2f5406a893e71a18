"""Face crops with labels, whatever data set they come from."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge3d.face_model.dense_points import DensePoints

Progress = Callable[[int, int], None]
"""Called with the number of faces done and the total."""


@dataclass(frozen=True, eq=False)
class FaceCrops:
    """Crops of one source with labels; behind the N faces come their mirror images' labels.

    What is not known of a face is NaN: its parameters, depth and dense points where there are
    2D landmarks alone, single landmarks where they are missing.

    Attributes:
        source: name of the source.
        crops: (N, 120, 120, 3) uint8 RGB, not mirrored.
        labels: of 2 N faces.
        points: where the dense points lie on the face model.
        yaw_deg: (N,) float32; 0 where it is not known.
        names: N names; what follows a `#` tells apart faces that were made of one photo.
    """

    source: str
    crops: NDArray[np.uint8]
    labels: ConvertedLabels
    points: DensePoints
    yaw_deg: NDArray[np.float32]
    names: NDArray[np.str_]

    def held_out(self, share: float) -> NDArray[np.bool_]:
        """Return which faces are kept from training: (N,) bool, about a share of them.

        Decided by the photo's name alone, so that all faces made of one photo go together and
        every run holds out the same.
        """
        return is_held_out(self.names, share)


def is_held_out(names: NDArray[np.str_], share: float) -> NDArray[np.bool_]:
    """Return which names (N,) are those of faces that are kept from training; see `held_out`."""
    photos = (str(name).partition("#")[0] for name in names)
    digits = np.array([zlib.crc32(photo.encode()) % 10_000 for photo in photos])
    return digits < 10_000 * share


def with_2d_landmarks_alone(faces: FaceCrops, share: float) -> FaceCrops:
    """Return the faces, of which a share, decided by name, keeps nothing but its 2D landmarks."""
    digits = np.array([zlib.crc32(f"2d {name}".encode()) % 10_000 for name in faces.names])
    rows = np.tile(digits < 10_000 * share, 2)
    params, landmarks, dense = (
        np.array(part) for part in (faces.labels.params, faces.labels.landmarks, faces.labels.dense)
    )
    params[rows], landmarks[rows, :, 2], dense[rows] = np.nan, np.nan, np.nan
    return replace(
        faces, labels=replace(faces.labels, params=params, landmarks=landmarks, dense=dense)
    )


@dataclass(frozen=True, eq=False)
class ConvertedLabels:
    """Labels of N faces and, behind them, of their N mirror images, in crop pixels.

    Attributes:
        params: (2 N, P) float32 in the target model's layout with this camera.
        landmarks: (2 N, 68, 3) float32, the source's own landmarks.
        dense: (2 N, D, 3) float32, the source's own dense points.
        camera: of the layout, see `edge3d.model.parameters`.
    """

    params: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    dense: NDArray[np.float32]
    camera: str = "rotation6d"
