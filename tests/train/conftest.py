"""A small training set of made-up faces, and a stand-in for the Basel Face Model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch: pip install 'edge3d[train]'")

from edge3d.decode import Decoder
from edge3d.face_model import FaceModel
from edge3d.face_model.bfm import import_bfm
from edge3d.face_model.model import read_face_model
from edge3d.parameters import make_layout
from edge3d.pose import rotation_from_angles
from edge3d.train.data import FaceCrops
from edge3d.train.labels import ConvertedLabels, DensePoints


def random_params(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw `rotation6d` parameters (count, 140) of plausible faces in a 120 px crop."""
    rotation = rotation_from_angles(*rng.uniform(-40, 40, (3, count)))
    return np.concatenate(
        [
            rotation[:, :2].reshape(count, 6),
            rng.uniform(0.5, 0.6, (count, 1)),
            rng.uniform(55, 65, (count, 2)),
            0.5 * rng.standard_normal((count, 80)),
            rng.uniform(0, 0.3, (count, 51)),
        ],
        axis=1,
    ).astype(np.float32)


@pytest.fixture(scope="session")
def dense_points(open_model: FaceModel) -> DensePoints:
    ids = np.linspace(0, len(open_model.triangles) - 1, 40).astype(int)
    weights = np.full((40, 3), 1 / 3)
    none = np.zeros(40, np.int64)
    return DensePoints(none, none, open_model.triangles[ids], weights)


@pytest.fixture(scope="session")
def faces(open_model: FaceModel, dense_points: DensePoints) -> FaceCrops:
    rng = np.random.default_rng(3)
    params = random_params(rng, 16)
    decoder = Decoder(open_model, make_layout("rotation6d", open_model))
    dense = np.stack([dense_points.on_target(mesh) for mesh in decoder.vertices(params)])
    labels = ConvertedLabels(params, decoder.landmarks(params), dense.astype(np.float32))
    return FaceCrops(
        source="synthetic",
        crops=rng.integers(0, 256, (8, 120, 120, 3)).astype(np.uint8),
        labels=labels,
        points=dense_points,
        yaw_deg=np.linspace(-80, 80, 8, dtype=np.float32),
        names=np.array([f"{i}.jpg" for i in range(8)]),
    )


@pytest.fixture(scope="session")
def stand_in_bfm(open_model: FaceModel, tmp_path_factory: pytest.TempPathFactory) -> FaceModel:
    """A face model of the BFM's form and units, made of the open model's first modes."""
    folder = tmp_path_factory.mktemp("bfm")
    away = open_model.mean[:, None] - open_model.landmarks(open_model.mean)
    landmarks = np.linalg.norm(away, axis=2).argmin(axis=0)
    np.savez(
        folder / "bfm62.npz",
        mean_shape=open_model.mean * 1000,
        shape_basis=open_model.identity_basis[:, :, :40],
        expression_basis=open_model.expression_basis[:, :, :10] * 1000,
        triangles=open_model.triangles,
        landmarks68=landmarks,
    )
    import_bfm(folder / "bfm62.npz", folder / "bfm.npz", "stand-in")
    return read_face_model(folder / "bfm.npz")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"
