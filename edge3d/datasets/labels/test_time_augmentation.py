"""A student's prediction averaged over augmented views of each crop."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge3d.datasets.faces import Progress
from edge3d.datasets.labels.transfer import fit_params, target_shape
from edge3d.face_model import FaceModel
from edge3d.face_model.correspondence import closest_on_surface
from edge3d.face_model.dense_points import DensePoints
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.geometry.landmarks68 import MIRROR
from edge3d.geometry.mirror import mirror_points, mirror_x
from edge3d.geometry.similarity2d import Similarity2d
from edge3d.model.contract import ModelContract
from edge3d.networks.point_decoder import PointDecoder

# (turn in degrees, size, shift x, shift y in pixels) of the views.
AUGMENTATIONS = (
    (0, 1.0, 0, 0),
    (0, 0.92, 0, 0),
    (0, 1.08, 0, 0),
    (10, 1.0, 0, 0),
    (-10, 1.0, 0, 0),
    (0, 1.0, 3, 0),
    (0, 1.0, -3, 0),
    (0, 1.0, 0, 3),
    (0, 1.0, 0, -3),
)
BATCH = 64


@torch.no_grad()
def predict_tta(
    network: nn.Module,
    contract: ModelContract,
    crops: NDArray[np.uint8],
    points: DensePoints,
    face_model: FaceModel,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return the parameters (N, P), `rotation6d`, that fit the mean of all views of each crop.

    Args:
        network: gives whitened parameters of the contract's layout. contract: its contract.
        crops: (N, 120, 120, 3) uint8 RGB.
        points: the dense points that are fitted beside the landmarks.
        face_model: of the parameters.
        progress: called with faces done and in all.
    """
    # Traced and frozen, batch norms are folded into the convolutions: twice as fast on a CPU.
    network = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    example = torch.zeros(2, 3, CROP_SIZE_PX, CROP_SIZE_PX)
    network = torch.jit.freeze(torch.jit.trace(network, example))
    plain = PointDecoder(face_model, contract.layout, points)
    mirrored = PointDecoder(face_model, contract.layout, mirrored_dense_points(points, face_model))
    views = [
        Similarity2d(float(np.radians(turn)), size, (x, y), 0.5 * (CROP_SIZE_PX - 1))
        for turn, size, x, y in AUGMENTATIONS
    ]
    shape = target_shape(face_model, points)
    fitted = []
    for start in range(0, len(crops), BATCH):
        batch = np.asarray(crops[start : start + BATCH])
        total = np.zeros((len(batch), 68 + len(points.target_weights), 3))
        for view in views:
            total += _predict_view(network, plain, batch, view)
            other = mirror_points(
                _predict_view(network, mirrored, batch[:, :, ::-1], view), CROP_SIZE_PX
            )
            other[:, :68] = other[:, MIRROR]
            total += other
        fitted.append(fit_params(shape, total / (2 * len(views)), face_model))
        if progress is not None:
            progress(start + len(batch), len(crops))
    return np.concatenate(fitted)


def _predict_view(
    network: nn.Module, decoder: PointDecoder, crops: NDArray, view: Similarity2d
) -> NDArray[np.float64]:
    """Return landmarks and dense points (B, 68 + D, 3) seen in a view, in the crops' pixels."""
    matrix, size = view.matrix(), (CROP_SIZE_PX, CROP_SIZE_PX)
    images = np.stack([cv2.warpAffine(np.ascontiguousarray(c), matrix, size) for c in crops])
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float()  # channels last in memory
    found = torch.cat(decoder(network(tensor)), dim=1).numpy()
    return view.undo_points(found)


def mirrored_dense_points(points: DensePoints, face_model: FaceModel) -> DensePoints:
    """Return the points that lie where the given ones do in a mirrored face."""
    opposite = mirror_x(points.on_target(face_model.mean))
    triangle, weights = closest_on_surface(opposite, face_model.mean, face_model.triangles)
    return DensePoints(
        points.source_ids, points.mirrored_ids, face_model.triangles[triangle], weights
    )
