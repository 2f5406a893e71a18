"""AFLW crops with 3DDFA labels: `crops120.zip` and `labels.npz` in one folder."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.cache import cache_key, load_labels, save_labels
from edge3d.datasets.faces import FaceCrops
from edge3d.datasets.labels.transfer import camera_of_labels, convert_labels
from edge3d.errors import DatasetError
from edge3d.face_model import FaceModel
from edge3d.face_model.dense_points import find_dense_points
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.io.files import atomic_path

VERSION = 1  # of the cached files: raise it when the same faces would come out differently


def load_aflw(
    folder: str | Path,
    bfm: FaceModel,
    target: FaceModel,
    cache: str | Path,
    progress: Callable[[int, int], None] | None = None,
) -> FaceCrops:
    """Load AFLW crops (`crops120.zip`, `labels.npz`); decoded and fitted data are cached.

    Raises:
        DatasetError: files are missing, do not match, or hold no pictures.
    """
    folder, cache = Path(folder), Path(cache)
    archive, label_file = folder / "crops120.zip", folder / "labels.npz"
    for path in (archive, label_file):
        if not path.is_file():
            raise DatasetError(f"{folder} lacks {path.name}; the aflw data set has both files")
    with np.load(label_file, allow_pickle=False) as file:
        names, params62 = file["names"], file["params62_fit"]
        yaw_deg = file["yaw_deg"].astype(np.float32)
    if not len(names) == len(params62) == len(yaw_deg):
        raise DatasetError(f"{label_file}: names, params62_fit and yaw_deg differ in length")
    if not np.isfinite(params62).all():
        raise DatasetError(f"{label_file}: params62_fit holds numbers that are not finite")
    points = find_dense_points(bfm, target)
    digest = hashlib.sha256(params62.tobytes()).hexdigest()
    key = cache_key(f"{bfm.sha256}{target.sha256}{digest}{VERSION}")
    crops_file, fit_file = cache / f"aflw-crops-{key}.npy", cache / f"aflw-labels-{key}.npz"
    if not crops_file.is_file():
        with atomic_path(crops_file) as temporary:
            np.save(temporary, _read_crops(archive, names))
    if not fit_file.is_file():
        fitted = convert_labels(params62, bfm, target, points, progress=progress)
        save_labels(fit_file, fitted)
    labels, _ = load_labels(fit_file, camera_of_labels(bfm, target))
    return FaceCrops("aflw", np.load(crops_file, mmap_mode="r"), labels, points, yaw_deg, names)


def read_aflw_crops(folder: str | Path, limit: int) -> tuple[NDArray[np.uint8], list[str]]:
    """Return crops (N, 120, 120, 3) uint8 RGB spread over the archive, and their names.

    Args:
        folder: with `crops120.zip` and `labels.npz`. limit: N at most.

    Raises:
        DatasetError: files are missing, or hold no pictures.
    """
    archive, label_file = Path(folder) / "crops120.zip", Path(folder) / "labels.npz"
    for path in (archive, label_file):
        if not path.is_file():
            raise DatasetError(f"{folder} lacks {path.name}; the aflw data set has both files")
    with np.load(label_file, allow_pickle=False) as file:
        names = file["names"]
    rows = np.unique(np.linspace(0, len(names) - 1, limit).astype(int))
    return _read_crops(archive, names[rows]), [str(name) for name in names[rows]]


def human_landmarks(folder: str | Path) -> NDArray[np.float64]:
    """Return AFLW's 21 landmarks (N, 21, 2) in crop pixels, NaN where they are not visible.

    Raises:
        DatasetError: labels.npz lacks them.
    """
    path = Path(folder) / "labels.npz"
    with np.load(path, allow_pickle=False) as file:
        if "pts21_crop120" not in file:
            raise DatasetError(f"{path} lacks pts21_crop120, which data.relabel needs")
        landmarks = file["pts21_crop120"].astype(np.float64)
    if landmarks.shape[1:] != (21, 2):
        raise DatasetError(f"{path}: pts21_crop120 has shape {landmarks.shape}, not (N, 21, 2)")
    return landmarks


def _read_crops(archive: Path, names: NDArray) -> NDArray[np.uint8]:
    crops = np.empty((len(names), CROP_SIZE_PX, CROP_SIZE_PX, 3), np.uint8)
    try:
        with zipfile.ZipFile(archive) as file:
            inside = {Path(entry).name: entry for entry in file.namelist()}
            for row, name in enumerate(names):
                if name not in inside:
                    raise DatasetError(f"{archive} lacks {name}, which labels.npz names")
                data = np.frombuffer(file.read(inside[name]), np.uint8)
                picture = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
                if picture is None or picture.shape != crops.shape[1:]:
                    raise DatasetError(f"{archive}: {name} is not a 120 x 120 picture")
                crops[row] = picture
    except zipfile.BadZipFile as error:
        raise DatasetError(f"{archive} is damaged ({error}); copy it again") from error
    return crops
