"""Faces of the open model, rendered: training data that every machine can make, in CC0.

Identity, expression, pose, skin, hair, light, background and what covers the face are random;
parameters, landmarks and dense points are known exactly. Face `i` is decided by `SEED` and `i`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.faces import ConvertedLabels, FaceCrops
from edge3d.datasets.labels.mirror import mirror_params, mirrored_vertices
from edge3d.datasets.synthetic.assets import content_of
from edge3d.datasets.synthetic.parameters import sample_params
from edge3d.datasets.synthetic.rendered import RenderedFaces
from edge3d.datasets.synthetic.rendering import render_faces
from edge3d.face_model import FaceModel
from edge3d.face_model.dense_points import DensePoints
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.geometry.landmarks68 import MIRROR
from edge3d.geometry.mirror import mirror_points
from edge3d.geometry.pose import angles_from_rotation, rotation_from_angles
from edge3d.geometry.sampling import farthest_points
from edge3d.io.files import atomic_path
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout
from edge3d.viz.visibility import visible

SEED = 0
VERSION = 3  # of the cached files: raise it when the same faces would come out differently


def load_synthetic(
    count: int,
    face_model: FaceModel,
    points: DensePoints,
    cache: str | Path,
    progress: Callable[[int, int], None] | None = None,
    assets: str | Path | None = None,
    photographs: str | Path | None = None,
) -> FaceCrops:
    """Render faces, or load them if they were rendered before.

    With a folder of assets they are rendered with skins, hair and light of that folder (see
    `edge3d.datasets.synthetic.rendered`), without one with plain colours.

    Args:
        count: how many.
        face_model: the open face model, or another with ARKit's expressions.
        points: the dense points that are wanted.
        cache: folder for what was made (43 kB a face, 17 kB for its labels).
        progress: called with faces done and in all.
        assets: folder of skins, hair and light, or None.
        photographs: folder of photographs for backgrounds, or None.

    Raises:
        DatasetError: the folders are not as they should be.
        FaceModelError: the face model has other expressions than ARKit's.
        MissingExtraError, RenderingError: assets are given and OpenGL is not to be had.
        OutputError: the cache cannot be written.
    """
    digest = hashlib.sha256(f"{VERSION} {SEED} {count} {face_model.sha256}".encode())
    digest.update(np.ascontiguousarray(points.target_triangles).tobytes())
    digest.update(np.ascontiguousarray(points.target_weights).tobytes())
    if assets:
        digest.update(f"assets {content_of(assets)} {photographs or ''}".encode())
    key = digest.hexdigest()[:16]
    crops_file = Path(cache) / f"synthetic-crops-{key}.npy"
    labels_file = Path(cache) / f"synthetic-labels-{key}.npz"
    if not (crops_file.is_file() and labels_file.is_file()):
        params = sample_params(count, face_model, SEED)
        labels = make_labels(params, face_model, points)
        with atomic_path(crops_file) as temporary:
            shape = (count, CROP_SIZE_PX, CROP_SIZE_PX, 3)
            crops = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
            if assets:
                faces = RenderedFaces(face_model, assets, seed=SEED, photographs=photographs)
                _fill(crops, faces, progress)
            else:
                render_faces(params, face_model, SEED, crops, progress)
            crops.flush()
        with atomic_path(labels_file) as temporary:
            np.savez(
                temporary, params=labels.params, landmarks=labels.landmarks, dense=labels.dense
            )
    with np.load(labels_file, allow_pickle=False) as file:
        labels = ConvertedLabels(file["params"], file["landmarks"], file["dense"])
    rotation = Decoder(face_model, make_layout("rotation6d", face_model)).rotation_and_scale(
        labels.params[:count]
    )[0]
    return FaceCrops(
        source="synthetic",
        crops=np.load(crops_file, mmap_mode="r"),
        labels=labels,
        points=points,
        yaw_deg=angles_from_rotation(rotation)[0].astype(np.float32),
        names=np.array([f"synthetic-{number}" for number in range(count)]),
    )


def _fill(
    crops: NDArray[np.uint8],
    faces: RenderedFaces,
    progress: Callable[[int, int], None] | None,
) -> None:
    for number in range(len(crops)):
        crops[number] = faces.crop(faces.sample(number), crops.shape[1])[0]
        if progress is not None:
            progress(number + 1, len(crops))


def sample_points(face_model: FaceModel, count: int = 600) -> DensePoints:
    """Return vertices spread evenly over the face as dense points.

    They are what `find_dense_points` gives where there is no second face model: source and target
    are the same.
    """
    outside = np.zeros(len(face_model.mean), bool)
    for yaw_deg in (-60.0, 0.0, 60.0):
        direction = rotation_from_angles(yaw_deg, 0.0, 0.0)[2]
        shape_mm = face_model.mean * face_model.unit_mm
        outside |= visible(shape_mm, face_model.triangles, direction, 0.5)
    face = np.flatnonzero(outside & (face_model.mask > 0.5))
    ids = face[farthest_points(face_model.mean[face], count)]
    triangles = np.repeat(ids[:, None], 3, axis=1).astype(np.int32)
    weights = np.tile([1.0, 0.0, 0.0], (len(ids), 1))
    return DensePoints(ids, mirrored_vertices(face_model)[ids], triangles, weights)


def make_labels(
    params: NDArray[np.float32], face_model: FaceModel, points: DensePoints
) -> ConvertedLabels:
    """Return labels of faces and, behind them, of their mirror images."""
    layout = make_layout("rotation6d", face_model)
    decoder = Decoder(face_model, layout)
    both = np.concatenate([params, mirror_params(params, face_model)])
    marks = decoder.landmarks(params)
    basis = points.on_target(face_model.shape_basis)
    cloud = np.einsum("dcm,nm->ndc", basis, layout.coefficients(both), optimize=True)
    linear, shift = decoder.camera(both)
    cloud = (cloud + points.on_target(face_model.mean)) @ linear.transpose(0, 2, 1)
    return ConvertedLabels(
        params=both,
        landmarks=np.concatenate([marks, mirror_points(marks[:, MIRROR], CROP_SIZE_PX)]).astype(
            np.float32
        ),
        dense=(cloud + shift[:, None]).astype(np.float32),
    )
