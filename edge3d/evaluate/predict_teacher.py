"""Predictions of a teacher, which sees 2D landmarks beside the crop."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import ContractError, DatasetError, MissingExtraError
from edge3d.evaluate.accuracy import Predictions
from edge3d.evaluate.aflw2000 import Aflw2000
from edge3d.face_model import FaceModel, load_face_model
from edge3d.geometry.crop import Crop, crop_face
from edge3d.geometry.pose import angles_from_rotation
from edge3d.model.contract import ModelContract
from edge3d.model.decoder import Decoder

BATCH = 32


def read_detected_landmarks(path: str | Path, names: tuple[str, ...]) -> NDArray[np.float32]:
    """Return 2D landmarks (N, 68, 2) in pixels of the protocol's crops, in the order of `names`.

    The file is an .npz with `names` and `fan68_crop120` (M, 2, 68); NaN where a landmark was not
    found.

    Raises:
        DatasetError: no such file, not of that form, or without one of the names.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            rows = {str(name): row for row, name in enumerate(file["names"])}
            landmarks = file["fan68_crop120"].astype(np.float32)
        if landmarks.shape != (len(rows), 2, 68):
            raise ValueError(f"fan68_crop120 has shape {landmarks.shape}, not ({len(rows)}, 2, 68)")
        return landmarks[[rows[name] for name in names]].transpose(0, 2, 1)
    except KeyError as error:
        raise DatasetError(f"{path} lacks {error}; it must name all images") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} cannot be read: {error}; copy it again") from error


def predict_teacher(
    checkpoint: str | Path,
    dataset: Aflw2000,
    detected_px: NDArray,
    face_model: FaceModel | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Predictions, ModelContract]:
    """Run a teacher on the protocol's crops and detected landmarks.

    Args:
        checkpoint: of a teacher. dataset: the images.
        detected_px: (N, 68, 2) in crop pixels, NaN where not known.
        face_model: that the teacher was trained with; None takes the one that it names.
        progress: called with the number of images done since the last call.

    Raises:
        ContractError: not a teacher's checkpoint, or one of another face model.
        MissingExtraError: PyTorch is not installed.
    """
    try:
        import torch

        from edge3d.networks.checkpoint import load_checkpoint
        from edge3d.networks.inference import takes_landmarks, whitened_by
    except ImportError as error:
        raise MissingExtraError("running a teacher", "train", error.name or "torch") from error
    network, contract = load_checkpoint(checkpoint)
    if not takes_landmarks(network):
        raise ContractError(f"{checkpoint}: is no teacher; leave --landmarks out")
    face_model = face_model or load_face_model(contract.face_model)
    contract.check_face_model(face_model, str(checkpoint))
    decoder = Decoder(face_model, contract.layout)
    landmarks, pose = [], []
    images = dataset.images()
    for start in range(0, len(dataset), BATCH):
        boxes = dataset.boxes_xyxy[start : start + BATCH]
        crops: list[Crop] = [crop_face(next(images), box) for box in boxes]
        pixels = np.stack([crop.pixels for crop in crops]).transpose(0, 3, 1, 2)
        batch = {
            "image": torch.from_numpy(np.ascontiguousarray(pixels)),
            "detected": torch.from_numpy(np.array(detected_px[start : start + BATCH])),
        }
        with torch.inference_mode():
            params = decoder.params(whitened_by(network, batch).numpy())
        found = decoder.landmarks(params)
        pairs = zip(crops, found, strict=True)
        landmarks.append(np.stack([crop.points_to_frame(points) for crop, points in pairs]))
        pose.append(np.stack(angles_from_rotation(decoder.rotation_and_scale(params)[0]), axis=1))
        if progress is not None:
            progress(len(crops))
    predictions = Predictions(np.concatenate(landmarks).astype(np.float64), np.concatenate(pose))
    return predictions, contract
