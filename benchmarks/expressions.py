"""Measures how a model's blendshapes move on a video or on photographs, against a reference.

    python -m benchmarks.expressions SOURCE REFERENCE [--model FILE] [--raw] [--all] [--json OUT]
    python -m benchmarks.expressions SOURCE REFERENCE --task face_landmarker.task [--views 8]

SOURCE is a video, followed with `FaceTracker` and smoothed unless `--raw` is given, or a folder of
photographs in the order of their names. REFERENCE is a .npz with `names` (K) of blendshapes and
`weights` (frames, K), one row for each frame. For each shape:

- rest: the 10 % quantile over the frames, of the model and of the reference;
- range: the 98 % quantile less the 2 % quantile, of both, and their ratio;
- correlation over the frames.

With `--task` it measures the labels of `edge3d label` instead: each frame by itself is labelled
from several views. It is what a student that has learned its labels perfectly would give.

Frames in which the model finds no face are left out and counted. Of several faces, the largest
counts. Without `--all`, shapes that move by less than 0.15 in the reference are left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d import FaceReconstructor, FaceTracker, Smoothing
from edge3d.datasets.labels.face_landmarker import BLENDSHAPES, FaceLandmarker
from edge3d.datasets.labels.face_square import detected_square
from edge3d.datasets.labels.mesh_views import agreed_scores, consensus_in_two_steps
from edge3d.detector import FaceDetector
from edge3d.errors import DatasetError, Edge3dError
from edge3d.io.files import atomic_path
from edge3d.io.image import list_images, read_image
from edge3d.io.video import VideoFile
from edge3d.reconstruct.face import Face

REST_QUANTILE = 0.1
RANGE_QUANTILES = (0.02, 0.98)
LEAST_RANGE = 0.15


def read_reference(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Return names (K) and weights (frames, K) of a reference.

    Raises:
        DatasetError: it cannot be read, or its arrays do not fit together.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            names, weights = content["names"].astype(str), content["weights"].astype(float)
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"{path} is no reference ({error}); it needs names (K) and weights (frames, K)"
        ) from error
    if weights.ndim != 2 or weights.shape[1] != len(names):
        raise DatasetError(f"{path}: weights {weights.shape} do not fit {len(names)} names")
    return names.tolist(), weights


def faces_of(
    source: Path, reconstructor: FaceReconstructor, smoothing: Smoothing | None
) -> Iterator[Face | None]:
    """Yield the largest face of each frame of a video or of each photograph of a folder."""
    if source.is_dir():
        for path in list_images(source):
            yield _largest(reconstructor.reconstruct(read_image(path)))
        return
    tracker = FaceTracker(reconstructor, smoothing)
    for time_s, image in VideoFile(source):
        yield _largest([tracked.face for tracked in tracker.update(image, time_s)])


def _largest(faces: list[Face]) -> Face | None:
    return max(faces, key=lambda face: float(np.ptp(face.landmarks_px[:, :2])), default=None)


def label_curves(source: Path, task: Path, pairs: int, names: list[str]) -> NDArray[np.float64]:
    """Return the weights (frames, K) of the labels of each frame, NaN where there is no face."""
    landmarker, detector = FaceLandmarker(task), FaceDetector()
    columns = [BLENDSHAPES.index(name) for name in names]
    rows = []
    for image in _images(source):
        found = detector.detect(image)
        if not found:
            rows.append(np.full(len(names), np.nan))
            continue
        square = detected_square(max(found, key=lambda face: face.size_px))
        seen = consensus_in_two_steps(landmarker, image, square, pairs)
        rows.append(agreed_scores(seen.blendshapes[None])[0, columns].astype(float))
    return np.array(rows)


def _images(source: Path) -> Iterator[NDArray[np.uint8]]:
    if source.is_dir():
        yield from map(read_image, list_images(source))
    else:
        yield from (image for _, image in VideoFile(source))


def curves(faces: Iterable[Face | None], names: list[str]) -> NDArray[np.float64]:
    """Return the weights (frames, K) of named blendshapes, NaN where there is no face.

    Shapes that the model does not have are 0.
    """
    nothing = [np.nan] * len(names)
    return np.array(
        [
            nothing if face is None else [face.blendshapes.get(name, 0.0) for name in names]
            for face in faces
        ]
    )


def compare(found: NDArray, reference: NDArray, names: list[str]) -> list[dict[str, Any]]:
    """Return a row of figures for each shape.

    Args:
        found: (frames, K), rows of NaN where no face was found. reference: (frames, K).
        names: (K).

    Raises:
        DatasetError: the numbers of frames differ, or no frame has a face.
    """
    if len(found) != len(reference):
        raise DatasetError(
            f"the source has {len(found)} frames, the reference {len(reference)}; "
            "make the reference from the same source"
        )
    seen = np.isfinite(found).all(axis=1)
    if seen.sum() < 2:
        raise DatasetError(f"a face was found in {seen.sum()} of {len(found)} frames")
    rows = []
    for name, ours, theirs in zip(names, found[seen].T, reference[seen].T, strict=True):
        moved = [float(np.diff(np.quantile(curve, RANGE_QUANTILES))[0]) for curve in (ours, theirs)]
        still = ours.std() < 1e-9 or theirs.std() < 1e-9
        rows.append(
            {
                "name": name,
                "rest": float(np.quantile(ours, REST_QUANTILE)),
                "rest_reference": float(np.quantile(theirs, REST_QUANTILE)),
                "range": moved[0],
                "range_reference": moved[1],
                "range_ratio": moved[0] / moved[1] if moved[1] > 1e-9 else None,
                "correlation": None if still else float(np.corrcoef(ours, theirs)[0, 1]),
            }
        )
    return rows


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path, metavar="SOURCE")
    parser.add_argument("reference", type=Path, metavar="REFERENCE")
    parser.add_argument("--model", type=Path, help="the bundled student if not given")
    parser.add_argument("--task", type=Path, help="measure the labels made with this file instead")
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--raw", action="store_true", help="do not smooth")
    parser.add_argument("--all", action="store_true", help="also shapes that hardly move")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    try:
        names, weights = read_reference(arguments.reference)
        if arguments.task is not None:
            pairs = (arguments.views + 1) // 2
            found = label_curves(arguments.source, arguments.task, pairs, names)
        else:
            smoothing = None if arguments.raw else Smoothing()
            faces = faces_of(arguments.source, FaceReconstructor(arguments.model), smoothing)
            found = curves(faces, names)
        rows = compare(found, weights, names)
    except Edge3dError as error:
        parser.error(str(error))
    missing = int(np.isnan(found).any(axis=1).sum())
    print(f"{len(found)} frames, {missing} without a face")
    print(f"{'':20s}  rest: model, reference  range: model, reference, ratio  correlation")
    for row in rows:
        if arguments.all or row["range_reference"] >= LEAST_RANGE:
            print(_line(row))
    if arguments.json is not None:
        result = {"frames": len(found), "without_face": missing, "shapes": rows}
        with atomic_path(arguments.json) as temporary:
            temporary.write_text(json.dumps(result, indent=1), encoding="utf-8")


def _line(row: dict[str, Any]) -> str:
    figures = [row["rest"], row["rest_reference"], row["range"], row["range_reference"]]
    figures += [row["range_ratio"], row["correlation"]]
    shown = ["-" if value is None else f"{value:.2f}" for value in figures]
    widths = (13, 11, 14, 11, 7, 13)
    padded = "".join(text.rjust(width) for text, width in zip(shown, widths, strict=True))
    return f"{row['name']:20s}{padded}"


if __name__ == "__main__":
    main()
