"""Sources of crops for a calibration set: a folder of images, AFLW, rendered faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import DatasetError, ImageError, MissingExtraError
from edge3d.face_model import load_face_model
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.io.image import SUPPORTED_SUFFIXES, read_image
from edge3d.reconstruct.reconstructor import FaceReconstructor

SYNTHETIC_SEED = 7  # training draws with another


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


def faces_of_images(
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
        DatasetError: not the layout of `edge3d.datasets.aflw`.
        MissingExtraError: what training needs is not installed.
    """
    try:
        from edge3d.datasets.aflw import read_aflw_crops
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
        from edge3d.datasets.synthetic.parameters import sample_params
        from edge3d.datasets.synthetic.rendering import render_faces
    except ModuleNotFoundError as error:
        raise MissingExtraError("synthetic faces", "train", str(error.name)) from error
    face_model = load_face_model("open")
    params = sample_params(limit, face_model, SYNTHETIC_SEED)
    crops = np.empty((limit, CROP_SIZE_PX, CROP_SIZE_PX, 3), np.uint8)
    render_faces(params, face_model, SYNTHETIC_SEED, crops, progress)
    names = [f"synthetic-{SYNTHETIC_SEED}-{number}" for number in range(limit)]
    return Faces(crops, names, "synthetic faces of the open face model", "CC0 1.0")
