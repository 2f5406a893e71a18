"""Shared fixtures. Tests run without the data sets, and do more where they are."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import edge3d
from edge3d.face_model import FaceModel, load_face_model
from edge3d.reconstructor import portrait_path

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """Let SIGINT reach what tests start: shells have what runs in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the real data sets; tests that need it are skipped without."""
    folder = Path(os.environ.get("EDGE3D_DATA", ROOT.parent / "shared" / "data"))
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
