"""The AFLW training set: crops with 3DDFA labels moved into the open face model's space."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from edge3d.errors import DatasetError
from edge3d.face_model import FaceModel
from edge3d.files import atomic_path
from edge3d.train.augment import AugmentConfig, change_pixels, random_similarity, warp
from edge3d.train.labels import ConvertedLabels, DensePoints, convert_labels, find_dense_points

CROP_SIZE_PX = 120


@dataclass(frozen=True, eq=False)
class FaceCrops:
    """Crops with labels; behind the N faces come their mirror images' labels.

    Attributes:
        crops: (N, 120, 120, 3) uint8 RGB, not mirrored.
        labels: of 2 N faces.
        points: where the dense points lie on the face model.
        yaw_deg: (N,).
        names: N file names.
    """

    crops: NDArray[np.uint8]
    labels: ConvertedLabels
    points: DensePoints
    yaw_deg: NDArray[np.float32]
    names: NDArray[np.str_]


def load_aflw(
    folder: str | Path,
    bfm: FaceModel,
    target: FaceModel,
    cache: str | Path,
    progress: Callable[[int], None] | None = None,
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
    key = hashlib.sha256(
        f"{bfm.sha256}{target.sha256}{hashlib.sha256(params62.tobytes()).hexdigest()}1".encode()
    ).hexdigest()[:16]
    crops_file, fit_file = cache / f"aflw-crops-{key}.npy", cache / f"aflw-labels-{key}.npz"
    if not crops_file.is_file():
        with atomic_path(crops_file) as temporary:
            np.save(temporary, _read_crops(archive, names))
    if not fit_file.is_file():
        fitted = convert_labels(params62, bfm, target, points, progress=progress)
        with atomic_path(fit_file) as temporary:
            np.savez(
                temporary, params=fitted.params, landmarks=fitted.landmarks, dense=fitted.dense
            )
    with np.load(fit_file, allow_pickle=False) as file:
        labels = ConvertedLabels(file["params"], file["landmarks"], file["dense"])
    return FaceCrops(np.load(crops_file, mmap_mode="r"), labels, points, yaw_deg, names)


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


class TrainingFaces(Dataset):
    """Augmented faces, as a map from a draw's number to tensors.

    Draw `index` is a face and everything random about it, decided by `seed` and `index` alone: a
    resumed run sees the same faces.

    Args:
        faces: the crops and labels.
        draws: how many draws there are (steps times batch size).
        config: the augmentation.
        seed: of all randomness.
        balance: 0 draws faces as often as they are, 1 the three yaw bins equally often.
    """

    def __init__(
        self, faces: FaceCrops, draws: int, config: AugmentConfig, seed: int, balance: float = 0.5
    ) -> None:
        self.faces, self.draws, self.config, self.seed = faces, draws, config, seed
        bins = np.digitize(abs(faces.yaw_deg), (30, 60))
        share = np.bincount(bins, minlength=3) / len(bins)
        weight = (1 - balance) + balance / (3 * np.maximum(share, 1e-6))[bins]
        self._cumulative = np.cumsum(weight / weight.sum())

    def __len__(self) -> int:
        return self.draws

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return `image` (3, 120, 120) uint8 and the labels of one draw, float32."""
        rng = np.random.default_rng((self.seed, index))
        count = len(self.faces.names)
        row = min(int(np.searchsorted(self._cumulative, rng.random())), count - 1)
        image = self.faces.crops[row]
        mirrored = rng.random() < 0.5
        if mirrored:
            image = np.ascontiguousarray(image[:, ::-1])
        label = row + count * mirrored
        change = random_similarity(self.config, rng, CROP_SIZE_PX)
        image = change_pixels(warp(image, change, rng), self.config, rng)
        labels = self.faces.labels
        return {
            "image": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
            "params": torch.from_numpy(change.move_params(labels.params[label])),
            "landmarks": torch.from_numpy(change.move_points(labels.landmarks[label])),
            "dense": torch.from_numpy(change.move_points(labels.dense[label])),
        }
