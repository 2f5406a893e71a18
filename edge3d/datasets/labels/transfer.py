"""Moves labels from one face model's space into another's.

The labels that exist (300W-LP, AFLW fits, AFLW2000-3D) are 3DDFA's 62 Basel Face Model
parameters. They give the 68 landmarks and, through a dense correspondence, points all over the
face; pose, identity and expression of the other model are fitted to both, expressions within
their bounds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.faces import ConvertedLabels
from edge3d.face_model import FaceModel
from edge3d.face_model.dense_points import DensePoints
from edge3d.face_model.fitting import LinearShape, fit_shape
from edge3d.geometry.landmarks68 import MIRROR
from edge3d.geometry.mirror import flip_y, mirror_points, mirror_rotation, mirror_x
from edge3d.model.camera import params_of_similarity
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout

DENSE_WEIGHT = 0.1  # of a dense point, a landmark being 1
IDENTITY_RIDGE = 1.0  # mm^2 for one standard deviation
EXPRESSION_RIDGE = 10.0  # mm^2 for a blendshape fully on
CHUNK = 1024


def convert_labels(
    params62: NDArray,
    source: FaceModel,
    target: FaceModel,
    points: DensePoints,
    crop_size_px: int = 120,
    progress: Callable[[int, int], None] | None = None,
) -> ConvertedLabels:
    """Move 3DDFA's 62 parameters of 120 px crops into the target's face model.

    Where source and target are the same, they stay what they are; see `keep_labels`.

    Args:
        params62: (N, 62) float, not whitened.
        source: the Basel Face Model. target: the face model that is wanted.
        points: from `find_dense_points(source, target)`.
        crop_size_px: for the mirror.
        progress: called with faces done and in all.
    """
    if source.sha256 == target.sha256:
        return keep_labels(params62, source, points, crop_size_px)
    decoder = Decoder(source, make_layout("affine", source))
    both_ids = np.concatenate([points.source_ids, points.mirrored_ids])
    basis = source.shape_basis[both_ids]
    shape = target_shape(target, points)
    parts: list[list[NDArray]] = [[], [], []]
    mirrored_parts: list[list[NDArray]] = [[], [], []]
    for start in range(0, len(params62), CHUNK):
        params = params62[start : start + CHUNK].astype(np.float32)
        linear, translation = decoder.camera(params)
        surface = source.mean[both_ids] + np.einsum(
            "vcm,nm->nvc", basis, decoder.layout.coefficients(params)
        )
        surface = surface @ linear.transpose(0, 2, 1) + translation[:, None]
        dense, dense_mirrored = np.split(surface, 2, axis=1)
        landmarks = decoder.landmarks(params)
        for into, marks, cloud in (
            (parts, landmarks, dense),
            (
                mirrored_parts,
                mirror_points(landmarks[:, MIRROR], crop_size_px),
                mirror_points(dense_mirrored, crop_size_px),
            ),
        ):
            fitted = fit_params(shape, np.concatenate([marks, cloud], axis=1), target)
            for bucket, value in zip(into, (fitted, marks, cloud), strict=True):
                bucket.append(value.astype(np.float32))
        if progress is not None:
            progress(min(start + CHUNK, len(params62)), len(params62))
    joined = [np.concatenate(a + b) for a, b in zip(parts, mirrored_parts, strict=True)]
    fitted_params, marks, cloud = joined
    return ConvertedLabels(fitted_params, marks, cloud)


def camera_of_labels(source: FaceModel, target: FaceModel) -> str:
    """Return the camera that `convert_labels` gives."""
    return "affine" if source.sha256 == target.sha256 else "rotation6d"


def keep_labels(
    params62: NDArray, bfm: FaceModel, points: DensePoints, crop_size_px: int = 120
) -> ConvertedLabels:
    """Return 3DDFA's 62 parameters of 120 px crops as they are, and those of the mirror images.

    The Basel Face Model is not symmetric: a mirrored face's coefficients are the least squares fit
    to its points.

    Args:
        params62: (N, 62) float, not whitened.
        bfm: the Basel Face Model. points: from `find_dense_points(bfm, bfm)`.
        crop_size_px: for the mirror.
    """
    decoder = Decoder(bfm, make_layout("affine", bfm))
    params = params62.astype(np.float32)
    linear, translation = decoder.camera(params)
    every_basis, marks = bfm.shape_basis, bfm.landmark_basis
    mean = np.concatenate([bfm.landmarks(bfm.mean), bfm.mean[points.source_ids]])
    opposite_mean = np.concatenate([bfm.landmarks(bfm.mean)[MIRROR], bfm.mean[points.mirrored_ids]])
    basis, opposite = (
        np.concatenate([own, every_basis[ids]]).astype(np.float64)
        for own, ids in ((marks, points.source_ids), (marks[MIRROR], points.mirrored_ids))
    )
    coefficients = decoder.layout.coefficients(params62).astype(np.float64)
    shapes, opposites = (
        own_mean + np.einsum("vcm,nm->nvc", own_basis, coefficients)
        for own_mean, own_basis in ((mean, basis), (opposite_mean, opposite))
    )
    scale = np.linalg.norm(basis, axis=(0, 1))  # columns of one length, for the numbers' sake
    design = (basis / scale).reshape(-1, len(scale))
    wanted = (mirror_x(opposites) - mean).reshape(len(params), -1)
    fitted = np.linalg.lstsq(design, wanted.T, rcond=None)[0].T / scale
    mirrored = params.copy()
    decoder.layout.coefficients(mirrored)[:] = fitted
    mirrored = decoder.with_camera(
        mirrored, mirror_rotation(linear), mirror_points(translation, crop_size_px)
    )

    def placed(model_points: NDArray) -> NDArray[np.float64]:
        return model_points @ linear.transpose(0, 2, 1) + translation[:, None]

    own, other = placed(shapes), mirror_points(placed(opposites), crop_size_px)
    both = np.concatenate([own, other]).astype(np.float32)
    return ConvertedLabels(
        np.concatenate([params, mirrored]), both[:, :68], both[:, 68:], camera="affine"
    )


def target_shape(target: FaceModel, points: DensePoints) -> LinearShape:
    """Return the target model's landmarks and dense points as a shape to fit, in its own unit."""
    identity, expression = target.identity_count, target.expression_count
    low, high = target.expression_bounds or (-np.inf, np.inf)
    unit = target.unit_mm**2
    return LinearShape(
        mean=np.concatenate([target.landmarks(target.mean), points.on_target(target.mean)]).astype(
            np.float64
        ),
        basis=np.concatenate([target.landmark_basis, points.on_target(target.shape_basis)]).astype(
            np.float64
        ),
        weights=np.concatenate([np.ones(68), np.full(len(points.source_ids), DENSE_WEIGHT)]),
        ridge=np.concatenate(
            [np.full(identity, IDENTITY_RIDGE), np.full(expression, EXPRESSION_RIDGE)]
        )
        / unit,
        lower=np.concatenate([np.full(identity, -np.inf), np.full(expression, low)]),
        upper=np.concatenate([np.full(identity, np.inf), np.full(expression, high)]),
    )


def fit_params(shape: LinearShape, points_px: NDArray, target: FaceModel) -> NDArray[np.float32]:
    """Fit `rotation6d` parameters (B, P) to points (B, N, 3) in crop pixels (y down)."""
    pose, coefficients = fit_shape(shape, flip_y(np.asarray(points_px, np.float64)))
    return params_of_similarity(pose.rotation, pose.scale, pose.translation, coefficients)
