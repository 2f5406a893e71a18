"""Calibration sets: the crops that an int8 file's ranges come from.

A set is a folder with `manifest.json` and one picture a crop. The manifest has each picture's
SHA-256, so that a quantized file says exactly what it was calibrated on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.crop import CROP_SIZE_PX
from edge3d.errors import DatasetError, ImageError, MissingExtraError
from edge3d.face_model import load_face_model
from edge3d.files import atomic_path, sha256_of_file
from edge3d.image_io import SUPPORTED_SUFFIXES, read_image, write_image
from edge3d.reconstructor import FaceReconstructor

MANIFEST = "manifest.json"
SCHEMA = 1
SYNTHETIC_SEED = 7  # training draws with another
FEATURES = ("yaw_deg", "pitch_deg", "brightness", "contrast", "sharpness")


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Crops with what is known of them.

    Attributes:
        crops: (N, 120, 120, 3) uint8 RGB.
        source: what they are of, in words.
        licence: of the pictures.
        sha256: of the manifest.
    """

    crops: NDArray[np.uint8]
    source: str
    licence: str
    sha256: str

    def to_content(self) -> dict[str, Any]:
        """Return what a quantized file's contract says of the set."""
        return {
            "images": len(self.crops),
            "source": self.source,
            "licence": self.licence,
            "manifest_sha256": self.sha256,
        }


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces to choose from.

    Attributes:
        crops: (N, 120, 120, 3) uint8 RGB. names: N, where they are from.
        source: what they are of, in words. licence: of the pictures.
    """

    crops: NDArray[np.uint8]
    names: Sequence[str]
    source: str
    licence: str


def faces_of_pictures(
    folder: str | Path,
    limit: int,
    reconstructor: FaceReconstructor,
    progress: Callable[[int, int], None] | None = None,
) -> Faces:
    """Return the crops of the faces that are found in a folder's pictures.

    Pictures that cannot be read are passed over.

    Args:
        folder: with pictures, also in folders inside. limit: number of crops at most.
        reconstructor: finds and crops faces. progress: called with pictures done and in all.

    Raises:
        DatasetError: no such folder, or no face in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(
            f"{folder} is not a folder; give one with pictures, aflw:DIR, or synthetic"
        )
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUPPORTED_SUFFIXES)
    crops: list[NDArray[np.uint8]] = []
    names: list[str] = []
    for number, path in enumerate(paths):
        try:
            found = reconstructor.reconstruct(read_image(path))
        except ImageError:
            found = []
        crops += [face.crop.pixels for face in found]
        names += [path.relative_to(folder).as_posix()] * len(found)
        if progress is not None:
            progress(number + 1, len(paths))
        if len(crops) >= limit:
            break
    if not crops:
        raise DatasetError(
            f"{folder}: no face was found in {len(paths)} pictures; give pictures of faces"
        )
    return Faces(np.stack(crops[:limit]), names[:limit], "pictures of the user's", "the user's own")


def faces_of_aflw(folder: str | Path, limit: int) -> Faces:
    """Return AFLW crops, spread over the archive.

    Raises:
        DatasetError: not the layout of `edge3d.train.aflw`.
        MissingExtraError: what training needs is not installed.
    """
    try:
        from edge3d.train.aflw import read_aflw_crops
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading AFLW", "train", str(error.name)) from error
    crops, names = read_aflw_crops(folder, limit)
    return Faces(crops, names, "AFLW", "AFLW: for non-commercial research")


def synthetic_faces(limit: int, progress: Callable[[int, int], None] | None = None) -> Faces:
    """Return rendered faces of the open face model, others than those of training.

    Raises:
        MissingExtraError: what rendering needs is not installed.
    """
    try:
        from edge3d.train.synthetic import draw_params, render_faces
    except ModuleNotFoundError as error:
        raise MissingExtraError("synthetic faces", "train", str(error.name)) from error
    face_model = load_face_model("open")
    params = draw_params(limit, face_model, SYNTHETIC_SEED)
    crops = np.empty((limit, CROP_SIZE_PX, CROP_SIZE_PX, 3), np.uint8)
    render_faces(params, face_model, SYNTHETIC_SEED, crops, progress)
    names = [f"synthetic-{SYNTHETIC_SEED}-{number}" for number in range(limit)]
    return Faces(crops, names, "synthetic faces of the open face model", "CC0 1.0")


def crop_features(
    crops: NDArray[np.uint8], angles_deg: tuple[NDArray, NDArray]
) -> NDArray[np.float64]:
    """Return what makes crops differ: (N, 5), in the order of `FEATURES`.

    Args:
        crops: (N, 120, 120, 3) uint8 RGB. angles_deg: yaw (N,) and pitch (N,) of the heads.

    Returns:
        Yaw and pitch in degrees, mean and standard deviation of the grey values, and the logarithm
        of the variance of their Laplacian, which is low in blurred and in enlarged crops.
    """
    grey = [cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops]
    sharpness = [np.log1p(cv2.Laplacian(picture, cv2.CV_64F).var()) for picture in grey]
    return np.column_stack(
        [
            *angles_deg,
            [picture.mean() for picture in grey],
            [picture.std() for picture in grey],
            sharpness,
        ]
    )


def choose_spread(features: NDArray, count: int) -> NDArray[np.int64]:
    """Return `count` rows of features (N, F) that are spread as far as they go.

    Farthest-point sampling of the standardised features, from the row nearest to their mean on:
    each next row is the one farthest from all chosen ones.

    Raises:
        DatasetError: fewer than `count` rows.
    """
    if len(features) < count:
        raise DatasetError(
            f"{len(features)} faces were found, {count} are wanted; give more pictures or a "
            "smaller --count"
        )
    scaled = (features - features.mean(0)) / np.maximum(features.std(0), 1e-6)
    chosen = [int(np.linalg.norm(scaled, axis=1).argmin())]
    distance = np.linalg.norm(scaled - scaled[chosen[0]], axis=1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[chosen[-1]], axis=1))
    return np.array(chosen)


def write_calibration_set(
    folder: str | Path,
    crops: NDArray[np.uint8],
    names: Sequence[str],
    features: NDArray,
    source: str,
    licence: str,
) -> None:
    """Write a set; the manifest comes last, so that half a set is none.

    Args:
        folder: made if it does not exist. crops: (N, 120, 120, 3) uint8 RGB.
        names: N names of where the crops are from. features: (N, 5), see `crop_features`.
        source: what they are of, in words. licence: of the pictures.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder, entries = Path(folder), []
    for number, (crop, name, row) in enumerate(zip(crops, names, features, strict=True)):
        path = folder / f"{number:03d}.png"
        write_image(path, crop)
        values = {key: round(float(value), 3) for key, value in zip(FEATURES, row, strict=True)}
        entries.append({"file": path.name, "sha256": sha256_of_file(path), "from": name, **values})
    content = {"schema": SCHEMA, "source": source, "licence": licence, "crops": entries}
    with atomic_path(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_calibration_set(folder: str | Path | None = None) -> CalibrationSet:
    """Read a set; without a folder the one that ships with the package: synthetic faces, CC0.

    Raises:
        DatasetError: no such set, or a picture is not the one that the manifest names.
    """
    folder = default_folder() if folder is None else Path(folder)
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise DatasetError(
            f"{folder} holds no {MANIFEST}; make a calibration set with `edge3d calibrate`"
        )
    text = manifest.read_bytes()
    try:
        content = json.loads(text)
        entries = [(folder / entry["file"], entry["sha256"]) for entry in content["crops"]]
        source, licence = str(content["source"]), str(content["licence"])
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{manifest} is damaged ({error!r}); make the set again") from error
    if not entries:
        raise DatasetError(f"{manifest} names no crops; make the set again")
    crops = []
    for path, digest in entries:
        if not path.is_file() or sha256_of_file(path) != digest:
            raise DatasetError(f"{path} is missing or not what {MANIFEST} says; make the set again")
        crop = read_image(path)
        if crop.shape != (CROP_SIZE_PX, CROP_SIZE_PX, 3):
            raise DatasetError(f"{path} is not a crop of {CROP_SIZE_PX} x {CROP_SIZE_PX} pixels")
        crops.append(crop)
    return CalibrationSet(np.stack(crops), source, licence, hashlib.sha256(text).hexdigest())


def default_folder() -> Path:
    """Return where the package's own calibration set is."""
    return Path(str(resources.files("edge3d") / "assets" / "calibration"))
