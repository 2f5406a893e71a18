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
from edge3d.crop import CROP_SIZE_PX, Crop, crop_face
from edge3d.evaluate import load_aflw2000
from edge3d.evaluate.aflw2000 import Aflw2000
from edge3d.evaluate.metrics import landmark_nme, summarise_nme
from edge3d.train.augment import Similarity2d

BATCH = 50
MIDDLE_PX = 0.5 * (CROP_SIZE_PX - 1)
SAME = Similarity2d(0.0, 1.0, (0.0, 0.0), MIDDLE_PX)
Spoil = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def _turned(degrees: float) -> Similarity2d:
    return Similarity2d(float(np.radians(degrees)), 1.0, (0.0, 0.0), MIDDLE_PX)


def _scaled(factor: float) -> Similarity2d:
    return Similarity2d(0.0, factor, (0.0, 0.0), MIDDLE_PX)


def _shifted(share: float) -> Similarity2d:
    return Similarity2d(0.0, 1.0, (share * CROP_SIZE_PX, 0.0), MIDDLE_PX)


def _shrunk(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the crop as a camera far away has it: 30 x 30 pixels."""
    small = cv2.resize(image, (30, 30), interpolation=cv2.INTER_AREA)
    return _uint8(cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def _blurred(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _uint8(cv2.GaussianBlur(image, (0, 0), 2.0))


def _noisy(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(0, 15, image.shape)
    return _uint8((image + noise).clip(0, 255))


def _compressed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 15])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def _dark(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _uint8(255 * 0.5 * (image / 255.0) ** 1.5)


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _uint8(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


def _covered(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the crop with a square of grey over its lower right, a ninth of it."""
    spoiled = image.copy()
    spoiled[60:100, 55:95] = 128
    return spoiled


ROWS: tuple[tuple[str, Similarity2d, Spoil | None], ...] = (
    ("as they are", SAME, None),
    ("turned by 15 degrees", _turned(15), None),
    ("turned by 30 degrees", _turned(30), None),
    ("turned by 60 degrees", _turned(60), None),
    ("turned by 90 degrees", _turned(90), None),
    ("smaller by 15 %", _scaled(0.85), None),
    ("larger by 15 %", _scaled(1.15), None),
    ("shifted by 8 %", _shifted(0.08), None),
    ("30 x 30 pixels", SAME, _shrunk),
    ("blurred, 2 px", SAME, _blurred),
    ("noise of 15", SAME, _noisy),
    ("JPEG, quality 15", SAME, _compressed),
    ("dark", SAME, _dark),
    ("grey", SAME, _grey),
    ("covered, a ninth", SAME, _covered),
)


def balanced_nme(
    reconstructor: FaceReconstructor,
    dataset: Aflw2000,
    crops: list[Crop],
    change: Similarity2d,
    spoil: Spoil | None,
) -> float:
    """Return the balanced NME in % of crops that were changed, then spoiled."""
    found = []
    for start in range(0, len(crops), BATCH):
        batch = crops[start : start + BATCH]
        pixels = [crop.pixels for crop in batch]
        if change != SAME:
            size = (CROP_SIZE_PX, CROP_SIZE_PX)
            pixels = [_uint8(cv2.warpAffine(image, change.matrix(), size)) for image in pixels]
        if spoil is not None:
            pixels = [spoil(image) for image in pixels]
        params = reconstructor.decoder.params(reconstructor.runner(np.stack(pixels)))
        landmarks = change.undo_points(reconstructor.decoder.landmarks(params))
        found += [
            crop.points_to_frame(own.astype(np.float32))
            for crop, own in zip(batch, landmarks, strict=True)
        ]
    nme = landmark_nme(np.stack(found), dataset.landmarks_px)
    return float(summarise_nme(nme, dataset.pose_deg[:, 0])["balanced"])


def _uint8(image: NDArray) -> NDArray[np.uint8]:
    return np.asarray(image).astype(np.uint8)


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
        errors = (balanced_nme(own, dataset, crops, change, spoil) for own in reconstructors)
        print(f"{title:22s}" + "".join(f"{error:8.3f}" for error in errors), flush=True)


if __name__ == "__main__":
    main()
