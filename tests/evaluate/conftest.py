"""A small AFLW2000-3D of our own: the portrait in several sizes, annotated by the student."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import edge3d
from edge3d.io.image import write_image

pytest.importorskip("scipy", reason="evaluation needs scipy: pip install 'edge3d[evaluate]'")


@pytest.fixture(scope="session")
def reconstructor() -> edge3d.FaceReconstructor:
    return edge3d.FaceReconstructor()


@pytest.fixture(scope="session")
def written(
    tmp_path_factory: pytest.TempPathFactory,
    portrait: np.ndarray,
    reconstructor: edge3d.FaceReconstructor,
) -> Path:
    """A folder in AFLW2000-3D's layout whose annotation is what the student says, in its crops."""
    from scipy.io import savemat

    folder = tmp_path_factory.mktemp("data") / "small"
    folder.mkdir()
    for number, side in enumerate((300, 400, 450)):
        image = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
        write_image(folder / f"image{number:05d}.png", image)
        (folder / f"image{number:05d}.png").rename(folder / f"image{number:05d}.jpg")
        (face,) = reconstructor.reconstruct(image)
        angles = np.radians([face.pose.pitch_deg, face.pose.yaw_deg, face.pose.roll_deg])
        savemat(
            folder / f"image{number:05d}.mat",
            {
                "pt3d_68": (face.landmarks_px + np.array([1, 1, 0])).T,
                "Pose_Para": np.concatenate([angles, [0, 0, 0, 1]])[None],
            },
        )
    return folder


@pytest.fixture
def small(written: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    import shutil

    return Path(shutil.copytree(written, tmp_path / "small"))
