"""Correcting expressions by the observed apertures of eyelids and lips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.faces import Progress
from edge3d.datasets.labels.face_mesh import measure_apertures
from edge3d.datasets.labels.observation_model import ObservationModel, correct, head_offsets
from edge3d.face_model import FaceModel
from edge3d.geometry.landmarks68 import GAPS, LID_GAPS
from edge3d.geometry.pose import angles_from_rotation
from edge3d.model.camera import rotations
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout

# What labels do not know of a blendshape, as a standard deviation: lids close by a blink first.
EXPRESSION_STD, BLINK_STD = 0.15, 1.0
GAP_NOISE_PX = 0.5  # standard deviation of the face mesh's gaps in each direction


def match_apertures(
    params: NDArray,
    labels: NDArray,
    crops: NDArray[np.uint8],
    face_model: FaceModel,
    face_mesh: str | Path,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return parameters (N, P) whose eyes and mouths are open as far as a face mesh sees them.

    Expressions alone are changed; faces of which the mesh is not sure stay as they are.

    Args:
        params: (N, P) `rotation6d`.
        labels: (N or more, P) where the 68 landmarks of these faces lie, as is known.
        crops: (N, 120, 120, 3) uint8 RGB.
        face_model: of the parameters.
        face_mesh: folder of MediaPipe's networks, see `edge3d.datasets.labels.face_mesh`.
        progress: called with faces done and in all.

    Raises:
        DatasetError: they cannot be read, or are others.
    """
    decoder = Decoder(face_model, make_layout("rotation6d", face_model))
    landmarks = decoder.landmarks(np.asarray(params, np.float32))[..., :2]
    yaw_deg = angles_from_rotation(rotations(params))[0]
    gaps = measure_apertures(crops, landmarks, yaw_deg, face_mesh, progress)
    return correct(params, gaps, fit_aperture_model(labels, gaps, face_model), face_model)


def fit_aperture_model(labels: NDArray, gaps: NDArray, face_model: FaceModel) -> ObservationModel:
    """Return `aperture_model`, with what the 68 landmarks' lips are farther apart than the mesh's.

    The scheme's inner lips do not touch where a mouth is shut, the mesh's do.

    Args:
        labels: (N or more, P) where the 68 landmarks of these faces lie, as is known.
        gaps: (N, 7, 2) of `GAPS` in crop pixels, NaN where they are not seen.
        face_model: of the parameters.
    """
    correction = aperture_model(face_model)
    offsets = head_offsets(labels[: len(gaps)], gaps, correction.marks, face_model)
    offsets[: len(LID_GAPS)] = 0  # labels know no blink
    return replace(correction, offsets=offsets)


def aperture_model(face_model: FaceModel) -> ObservationModel:
    """Return how `edge3d.geometry.landmarks68.GAPS` correct expressions."""
    marks = np.zeros((len(GAPS), 68))
    for row, (above, below) in enumerate(GAPS):
        marks[row, above], marks[row, below] = 1, -1
    spread = np.array(
        [
            BLINK_STD if name.startswith("eyeBlink") else EXPRESSION_STD
            for name in face_model.expression_names
        ]
    )
    spread = np.concatenate([np.zeros(6 + face_model.identity_count), spread])
    return ObservationModel(marks, np.zeros((len(GAPS), 3)), np.diag(spread**2), GAP_NOISE_PX)
