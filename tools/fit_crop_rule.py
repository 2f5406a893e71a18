"""Fits the coefficients of the rule that turns a detection into a crop box.

python -m tools.fit_crop_rule --data DATA    # prints CROP_RULE for edge3d/detector/crop_rule.py
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.detector import Detection, FaceDetector
from edge3d.detector.crop_rule import crop_features

# Crop-rule fit: residuals beyond this many robust standard deviations count less (Huber's value),
# and a ridge small enough to cost nothing keeps coefficients of like features from growing
# against each other.
HUBER = 1.345
RIDGE = 3e-5


def fit_crop_rule(data: Path) -> str:
    """Fit the coefficients of `edge3d.detector.crop_rule.CROP_RULE`; return them as Python text.

    The target is the protocol's rule applied to the 68 landmarks of each training crop's label
    (`params62_fit`), in every second crop, put into a frame with grey, repeated or mirrored
    surroundings, mirrored itself half the time. AFLW2000-3D has no part in it.
    """
    detector = FaceDetector(threads=1)
    random = np.random.default_rng(0)
    rows = []
    centres, sides = _label_boxes(data)
    with zipfile.ZipFile(data / "aflw" / "crops120.zip") as archive:
        members = {Path(name).name: name for name in archive.namelist()}
        with np.load(data / "aflw" / "labels.npz") as labels:
            names = [str(name) for name in labels["names"]]
        for index in range(0, len(names), 2):
            encoded = np.frombuffer(archive.read(members[Path(names[index]).name]), np.uint8)
            image = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))[..., ::-1]
            centre = centres[index]
            if random.random() < 0.5:
                image, centre = image[:, ::-1], np.array([120 - centre[0], centre[1]])
            frame, corner = _surrounded(image, random)
            best = _face_at_middle(detector.detect(frame), corner + 60)
            if best is not None:
                rows.append((*crop_features(best), centre + corner, sides[index]))
    middle, size, odd, even, centre, side = (np.array(part) for part in zip(*rows, strict=True))
    offset = (centre - middle) / size[:, None]
    log_side = np.log(side / size)
    rule = {
        "offset_x": _robust_fit(odd, offset[:, 0]),
        "offset_y": _robust_fit(even, offset[:, 1]),
        "log_side": _robust_fit(even, log_side),
    }
    low, high = np.percentile(even @ rule["log_side"], [0.1, 99.9])
    lines = [f"# fitted on {len(rows)} faces", "CROP_RULE = {"]
    lines += [
        f'    "{name}": np.array([{", ".join(f"{value:.3f}" for value in values)}]),'
        for name, values in rule.items()
    ]
    return "\n".join([*lines, "}", f"CROP_LOG_SIDE_RANGE = ({low:.2f}, {high:.2f})"])


def _label_boxes(data: Path) -> tuple[NDArray, NDArray]:
    """Return the protocol's crop box of each training label: centre (N, 2) and side (N), pixels.

    In box coordinates of the 120 px crop.
    """
    with np.load(data / "bfm" / "bfm62.npz") as bfm:
        points = bfm["landmarks68"]
        mean, shape, expression = (
            bfm[name][points] for name in ("mean_shape", "shape_basis", "expression_basis")
        )
    with np.load(data / "aflw" / "labels.npz") as labels:
        params = labels["params62_fit"].astype(np.float64)
    faces = mean + np.einsum("vck,nk->nvc", shape, params[:, 12:52])
    faces += np.einsum("vck,nk->nvc", expression, params[:, 52:])
    pose = params[:, :12].reshape(-1, 3, 4)
    landmarks = np.einsum("nij,nvj->nvi", pose[:, :2, :3], faces) + pose[:, None, :2, 3]
    # 1-based pixel centres, y up -> box coordinates, y down
    landmarks = np.stack([landmarks[..., 0] - 0.5, 120.5 - landmarks[..., 1]], axis=-1)
    low, high = landmarks.min(axis=1), landmarks.max(axis=1)
    return (low + high) / 2, np.sqrt(2) * (high - low).max(axis=1)


def _surrounded(image: NDArray, random: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Put a crop at a random place of a larger square frame; return it and the crop's corner."""
    room = round(image.shape[0] * random.uniform(0.15, 1.5))
    x, y = (int(value) for value in random.integers(0, room + 1, 2))
    border = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT)[random.integers(3)]
    frame = cv2.copyMakeBorder(
        np.ascontiguousarray(image), y, room - y, x, room - x, border, value=(127, 127, 127)
    )
    return frame, np.array([x, y], np.float64)


def _face_at_middle(detections: list[Detection], middle: NDArray) -> Detection | None:
    """Return the first face whose box holds the crop's middle and is no detail of it."""
    for found in detections:
        x0, y0, x1, y1 = found.box_xyxy
        if x0 < middle[0] < x1 and y0 < middle[1] < y1 and found.size_px > 48:
            return found
    return None


def _robust_fit(features: NDArray, target: NDArray) -> NDArray:
    """Return the coefficients (K) of Huber's M-estimate, by reweighted least squares."""
    weights = np.ones(len(target))
    ridge = RIDGE * len(target) * np.eye(features.shape[1])
    for _ in range(20):
        weighted = features * weights[:, None]
        fit = np.linalg.solve(weighted.T @ features + ridge, weighted.T @ target)
        residual = np.abs(target - features @ fit)
        weights = np.minimum(1, HUBER * 1.4826 * np.median(residual) / np.maximum(residual, 1e-9))
    return np.asarray(fit)


def main() -> None:
    """Parse the command line, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with aflw/ and bfm/")
    print(fit_crop_rule(parser.parse_args().data))


if __name__ == "__main__":
    main()
