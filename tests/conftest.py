"""Shared fixtures. Tests run without the data sets, and do more where they are.

Environment variables:
    EDGE3D_DATA: the folder of the data sets.
    EDGE3D_REQUIRE: languages whose tests must run, separated by commas: `web` (Node.js with npm,
        Chromium, Playwright), `cpp` (CMake, a C++ compiler, and the OpenVINO and LiteRT packages).
        Where a tool of a named language is missing, its tests fail and say which; without the
        variable they are skipped. Continuous integration sets `EDGE3D_REQUIRE=web,cpp`.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import edge3d
from edge3d.bundled import portrait_path
from edge3d.datasets.faces import ConvertedLabels, FaceCrops
from edge3d.face_model import FaceModel, load_face_model
from edge3d.face_model.bfm import import_bfm
from edge3d.face_model.dense_points import DensePoints
from edge3d.face_model.store import read_face_model
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import ParameterLayout, make_layout
from tests.samples import random_params

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """Let SIGINT reach what tests start: shells have what runs in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the real data sets; tests that need it are skipped without."""
    folder = Path(os.environ.get("EDGE3D_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no real data: set EDGE3D_DATA to the folder that holds aflw/ and bfm/")
    return folder


@pytest.fixture(scope="session")
def open_model() -> FaceModel:
    return load_face_model("open")


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """A real face: (512, 512, 3) uint8 RGB."""
    return edge3d.read_image(portrait_path())


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


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


@pytest.fixture(scope="session")
def layout(open_model: FaceModel) -> ParameterLayout:
    plain = make_layout("rotation6d", open_model)
    mean, std = np.zeros(plain.size), np.ones(plain.size)
    values = {
        "rotation": ([1, 0, 0, 0, 1, 0], 0.2),
        "scale": (0.57, 0.05),
        "translation": (60, 4),
        "expression": (0.1, 0.3),  # some fall below the bound of 0
    }
    for name, (middle, spread) in values.items():
        part = slice(*plain.slices[name])
        mean[part], std[part] = middle, spread
    return make_layout("rotation6d", open_model, mean, std)
