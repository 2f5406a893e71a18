"""Measures what students make of worse pictures: AFLW2000-3D's crops turned, shifted and spoiled.

    python -m benchmarks.robustness FILE... --dataset FOLDER

FILEs are what `edge3d evaluate` takes. Each row is a change of all of the protocol's crops; the
numbers are the balanced NME in % against the original annotation, one for each file. Landmarks of
turned, scaled and shifted crops are taken back before they are compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d import FaceReconstructor
from edge3d.evaluate import load_aflw2000
from edge3d.evaluate.aflw2000 import Aflw2000
from edge3d.geometry.crop import CROP_SIZE_PX, Crop, crop_face
from edge3d.geometry.similarity2d import Similarity2d
from edge3d.metrics import landmark_nme, summarise_nme

BATCH = 50
Spoil = Callable[[NDArray[np.uint8]], NDArray]


def _moved(degrees: float = 0.0, scale: float = 1.0, shift: float = 0.0) -> Similarity2d:
    """Return a turn, scaling and shift to the right, as a share of the crop's side."""
    middle = 0.5 * (CROP_SIZE_PX - 1)
    return Similarity2d(float(np.radians(degrees)), scale, (shift * CROP_SIZE_PX, 0.0), middle)


def _as_it_is(image: NDArray[np.uint8]) -> NDArray:
    return image


def _shrunk(image: NDArray[np.uint8]) -> NDArray:
    """Return the crop as a camera far away has it: 30 x 30 pixels."""
    small = cv2.resize(image, (30, 30), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _blurred(image: NDArray[np.uint8]) -> NDArray:
    return cv2.GaussianBlur(image, (0, 0), 2.0)


def _noisy(image: NDArray[np.uint8]) -> NDArray:
    noise = np.random.default_rng(0).normal(0, 15, image.shape)
    return (image + noise).clip(0, 255)


def _compressed(image: NDArray[np.uint8]) -> NDArray:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 15])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))


def _dark(image: NDArray[np.uint8]) -> NDArray:
    return 255 * 0.5 * (image / 255.0) ** 1.5


def _grey(image: NDArray[np.uint8]) -> NDArray:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def _covered(image: NDArray[np.uint8]) -> NDArray:
    """Return the crop with a square of grey over its lower right, a ninth of it."""
    spoiled = image.copy()
    spoiled[60:100, 55:95] = 128
    return spoiled


ROWS: tuple[tuple[str, Similarity2d, Spoil], ...] = (
    ("as they are", _moved(), _as_it_is),
    ("turned by 15 degrees", _moved(degrees=15), _as_it_is),
    ("turned by 30 degrees", _moved(degrees=30), _as_it_is),
    ("turned by 60 degrees", _moved(degrees=60), _as_it_is),
    ("turned by 90 degrees", _moved(degrees=90), _as_it_is),
    ("smaller by 15 %", _moved(scale=0.85), _as_it_is),
    ("larger by 15 %", _moved(scale=1.15), _as_it_is),
    ("shifted by 8 %", _moved(shift=0.08), _as_it_is),
    ("30 x 30 pixels", _moved(), _shrunk),
    ("blurred, 2 px", _moved(), _blurred),
    ("noise of 15", _moved(), _noisy),
    ("JPEG, quality 15", _moved(), _compressed),
    ("dark", _moved(), _dark),
    ("grey", _moved(), _grey),
    ("covered, a ninth", _moved(), _covered),
)


def worsened(crops: list[Crop], change: Similarity2d, spoil: Spoil) -> NDArray[np.uint8]:
    """Return crops (N, 120, 120, 3) that were changed, then spoiled."""
    matrix, size = change.matrix(), (CROP_SIZE_PX, CROP_SIZE_PX)
    images = (np.asarray(cv2.warpAffine(crop.pixels, matrix, size), np.uint8) for crop in crops)
    return np.stack([spoil(image).astype(np.uint8) for image in images])


def balanced_nme(
    reconstructor: FaceReconstructor,
    dataset: Aflw2000,
    crops: list[Crop],
    pixels: NDArray[np.uint8],
    change: Similarity2d,
) -> float:
    """Return the balanced NME in % of what is seen in `pixels`: the crops after a change."""
    runs = range(0, len(crops), BATCH)
    whitened = np.concatenate([reconstructor.runner(pixels[i : i + BATCH]) for i in runs])
    decoder = reconstructor.decoder
    landmarks = change.undo_points(decoder.landmarks(decoder.params(whitened)))
    pairs = zip(crops, landmarks, strict=True)
    found = np.stack([crop.points_to_frame(points) for crop, points in pairs])
    nme = landmark_nme(found, dataset.landmarks_px)
    return float(summarise_nme(nme, dataset.pose_deg[:, 0])["balanced"])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--dataset", type=Path, required=True, help="AFLW2000-3D")
    arguments = parser.parse_args()
    dataset = load_aflw2000(arguments.dataset)
    crops = [crop_face(*pair) for pair in zip(dataset.images(), dataset.boxes_xyxy, strict=True)]
    reconstructors = [FaceReconstructor(file) for file in arguments.files]
    for title, change, spoil in ROWS:
        pixels = worsened(crops, change, spoil)
        errors = (balanced_nme(own, dataset, crops, pixels, change) for own in reconstructors)
        print(f"{title:22s}" + "".join(f"{error:8.3f}" for error in errors), flush=True)


if __name__ == "__main__":
    main()
