"""Paths of what ships with the package: weights, face model, detector, portrait and so on."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

BUNDLED_FACE_MODELS = ("open", "open-2")


def package_path() -> Path:
    """Return the package's own folder."""
    return Path(str(resources.files("edge3d")))


def assets_path() -> Path:
    """Return the folder of the package's data files."""
    return package_path() / "assets"


def default_model_path() -> Path:
    """Return the path of the student that ships with the package."""
    return assets_path() / "student-050-fp32.tflite"


def default_checkpoint_path() -> Path:
    """Return the path of the checkpoint that the bundled student was exported from."""
    return assets_path() / "student-050.safetensors"


def open_face_model_path(name: str = "open") -> Path:
    """Return the path of an open face model, one of `BUNDLED_FACE_MODELS`."""
    return assets_path() / f"{name}.npz"


def detector_path() -> Path:
    """Return the folder of the face detector's networks."""
    return assets_path() / "detector"


def calibration_set_path() -> Path:
    """Return the folder of the bundled calibration set."""
    return assets_path() / "calibration"


def profiles_path() -> Path:
    """Return the folder of the bundled target profiles, copies of `export/*.toml`."""
    return assets_path() / "profiles"


def calibration_recipes_path() -> Path:
    """Return the folder of the bundled calibration recipes, copies of `calibration/*.toml`."""
    return assets_path() / "calibration_recipes"


def portrait_path() -> Path:
    """Return the path of the public-domain portrait.

    NASA's portrait of the astronaut Eileen Collins, 512 x 512; NASA's images are in the public
    domain.
    """
    return assets_path() / "portrait.jpg"


def mesh478_path() -> Path:
    """Return the path of the mirror indices and the canonical face of MediaPipe's mesh.

    The canonical face is MediaPipe's, Apache-2.0.
    """
    return assets_path() / "mesh478.npz"
