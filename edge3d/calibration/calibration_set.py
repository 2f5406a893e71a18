"""Calibration sets: the crops that an int8 file's ranges come from.

A set is a folder with `manifest.json` and one picture a crop. The manifest has each picture's
SHA-256, so that a quantized file says exactly what it was calibrated on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.bundled import calibration_set_path
from edge3d.calibration.spread import FEATURES
from edge3d.errors import DatasetError
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.io.files import atomic_path, sha256_of_file
from edge3d.io.image import read_image, write_image

MANIFEST = "manifest.json"
SCHEMA = 1


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
        values: dict[str, float] = {
            key: round(float(value), 3) for key, value in zip(FEATURES, row, strict=True)
        }
        entries.append({"file": path.name, "sha256": sha256_of_file(path), "from": name, **values})
    content = {"schema": SCHEMA, "source": source, "licence": licence, "crops": entries}
    with atomic_path(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_calibration_set(folder: str | Path | None = None) -> CalibrationSet:
    """Read a set; without a folder the one that ships with the package: synthetic faces, CC0.

    Raises:
        DatasetError: no such set, or a picture is not the one that the manifest names.
    """
    folder = calibration_set_path() if folder is None else Path(folder)
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


def sample_faces() -> NDArray[np.uint8]:
    """Return crops of many faces (N, 120, 120, 3) uint8 RGB: the calibration set, mirrored.

    What 8 bit does to a face differs from one to the next, so that `parity_images`, which are of
    one person in many ways, say little about it. Mirrored, they are none of the calibrated ones.
    """
    return np.ascontiguousarray(load_calibration_set().crops[:, :, ::-1])
