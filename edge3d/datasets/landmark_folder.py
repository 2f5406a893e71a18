"""Pictures in the wild with 68 2D landmarks: a folder with `landmarks.csv` or `landmarks.json`.

CSV: a header `file,x0,y0,...,x67,y67` and a row for each face; an empty cell is a landmark that is
not known. JSON: a list of `{"file": ..., "landmarks": [[x, y], ...]}`, null for one that is not
known. Pixels are 0-based, y down; files are named relative to the folder.

Nothing is known here of depth, pose and shape: such faces train with the 2D terms alone, beside
faces that have labels.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.faces import ConvertedLabels, FaceCrops
from edge3d.errors import DatasetError
from edge3d.face_model.dense_points import DensePoints
from edge3d.geometry.boxes import landmark_box
from edge3d.geometry.crop import CROP_SIZE_PX, crop_face
from edge3d.geometry.landmarks68 import MIRROR
from edge3d.geometry.mirror import mirror_points
from edge3d.io.image import read_image

COUNT = 68
FEWEST = 20  # landmarks that must be known to cut a face out


def load_landmark_folder(
    folder: str | Path,
    points: DensePoints,
    parameters: int,
    progress: Callable[[int, int], None] | None = None,
    camera: str = "rotation6d",
) -> FaceCrops:
    """Load a folder of pictures with 2D landmarks.

    Args:
        folder: with `landmarks.csv` or `landmarks.json`.
        points: the dense points of the other sources, which are not known here.
        parameters: number of parameters, P, likewise.
        progress: called with faces done and in all.
        camera: of the parameters' layout.

    Raises:
        DatasetError: no landmark file, or it is malformed, names no faces, or has landmarks far
            outside of their picture; the message names the file and row.
        ImageError: a picture cannot be read.
    """
    folder = Path(folder)
    names, landmarks_px = _read_landmarks(folder)
    crops = np.empty((len(names), CROP_SIZE_PX, CROP_SIZE_PX, 3), np.uint8)
    in_crop = np.full((len(names), COUNT, 3), np.nan, np.float32)
    for row, (name, points_px) in enumerate(zip(names, landmarks_px, strict=True)):
        image = read_image(folder / name)
        known = np.isfinite(points_px).all(axis=1)
        size = np.array(image.shape[1::-1])
        if ((points_px[known] < -size) | (points_px[known] > 2 * size)).any():
            raise DatasetError(
                f"{folder}, row {row + 1}: landmarks of {name} lie far outside of the picture "
                f"({size[0]} x {size[1]} pixels); they are wanted in pixels, 0-based, y down"
            )
        crop = crop_face(image, landmark_box(points_px[known]))
        crops[row] = crop.pixels
        in_crop[row, :, :2] = (points_px - crop.to_frame[:, 2]) / crop.scale
        if progress is not None:
            progress(row + 1, len(names))
    mirrored = mirror_points(in_crop[:, MIRROR], CROP_SIZE_PX).astype(np.float32)
    unknown = np.float32(np.nan)
    labels = ConvertedLabels(
        params=np.full((2 * len(names), parameters), unknown),
        landmarks=np.concatenate([in_crop, mirrored]),
        dense=np.full((2 * len(names), len(points.source_ids), 3), unknown),
        camera=camera,
    )
    yaw_deg = np.zeros(len(names), np.float32)
    return FaceCrops("folder", crops, labels, points, yaw_deg, np.array(names))


def _read_landmarks(folder: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Return file names and landmarks (N, 68, 2), NaN where not known."""
    table, tree = folder / "landmarks.csv", folder / "landmarks.json"
    if table.is_file():
        names, rows = _read_csv(table)
    elif tree.is_file():
        names, rows = _read_json(tree)
    else:
        raise DatasetError(
            f"{folder} has neither landmarks.csv nor landmarks.json; one of them must say where "
            "the 68 landmarks are"
        )
    path = table if table.is_file() else tree
    if not names:
        raise DatasetError(f"{path} names no faces")
    landmarks = np.full((len(rows), COUNT, 2), np.nan)
    for number, values in enumerate(rows):
        try:
            face = np.array([np.nan if v in ("", None) else float(v) for v in values])
        except (TypeError, ValueError) as error:
            raise DatasetError(f"{path}, row {number + 1}: not a number ({error})") from error
        if face.shape != (2 * COUNT,):
            raise DatasetError(
                f"{path}, row {number + 1}: {len(face)} numbers, wanted are x and y of "
                f"{COUNT} landmarks ({2 * COUNT})"
            )
        landmarks[number] = face.reshape(COUNT, 2)
        known = int(np.isfinite(landmarks[number]).all(axis=1).sum())
        if known < FEWEST:
            raise DatasetError(
                f"{path}, row {number + 1}: only {known} landmarks are known, at least {FEWEST} "
                "are needed; leave the row out"
            )
    return names, landmarks


def _read_csv(path: Path) -> tuple[list[str], list[list]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read ({error})") from error
    if header[:3] != ["file", "x0", "y0"]:
        raise DatasetError(f"{path}: the first line must be file,x0,y0,...,x67,y67")
    rows = [row for row in rows if row]
    return [row[0] for row in rows], [row[1:] for row in rows]


def _read_json(path: Path) -> tuple[list[str], list[list]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = [str(entry["file"]) for entry in content]
        rows = [
            [value for point in entry["landmarks"] for value in (point or (None, None))]
            for entry in content
        ]
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} is not JSON ({error})") from error
    except (KeyError, TypeError) as error:
        raise DatasetError(
            f'{path}: wanted is a list of {{"file": ..., "landmarks": [[x, y], ...]}} ({error})'
        ) from error
    return names, rows
