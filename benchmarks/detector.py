"""Measures the face detector on AFLW2000-3D, and fits its crop rule on AFLW.

    python -m benchmarks.detector --data DIR [--json OUT] [--every N] [--only NAME] [--min-score S]
    python -m benchmarks.detector --data DIR --fit-crop-rule
    python -m benchmarks.detector --data DIR --beside [--every N] [--min-score S]
    python -m benchmarks.detector --data DIR --nme MODEL
    python -m benchmarks.detector --data DIR --times

DIR holds `aflw2000-3d-dev`, `aflw2000-3d-dev-protocol.npz`, and for the fit `aflw` and
`bfm/bfm62.npz`.

A **hit** is a detection whose box, grown about its centre by a factor of 1 to 1.4, reaches an
intersection over union of 0.4 with the protocol's crop box. The pictures may show more faces than
the annotated one: `hit` counts any detection, `first` only the highest-ranked one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.crop import crop_face
from edge3d.detector import Detection, FaceDetector, crop_box
from edge3d.detector.crop_rule import crop_features
from edge3d.evaluate import load_aflw2000, predict, predict_with_detector
from edge3d.evaluate.metrics import landmark_nme, summarise_nme
from edge3d.files import atomic_path
from edge3d.image_io import read_image
from edge3d.reconstructor import FaceReconstructor, portrait_path

GROWTH = np.linspace(1.0, 1.4, 9)
HIT_IOU = 0.4
FRAME_SIZE = (1080, 1920)
# Crop-rule fit: residuals beyond this many robust standard deviations count less (Huber's value),
# and a ridge small enough to cost nothing keeps coefficients of like features from growing
# against each other.
HUBER = 1.345
RIDGE = 3e-5


def hits(detections: list[Detection], box: NDArray) -> NDArray[np.bool_]:
    """Return which detections hit a crop box (4,) xyxy: (N,) bool."""
    boxes = np.array([found.box_xyxy for found in detections], np.float64).reshape(-1, 1, 4)
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = (boxes[..., 2:] - boxes[..., :2]) / 2 * GROWTH[:, None]
    grown = np.concatenate([middle - half, middle + half], axis=-1)
    return np.asarray((iou(grown, box) >= HIT_IOU).any(axis=1))


def iou(boxes: NDArray, box: NDArray) -> NDArray:
    """Return the intersection over union of boxes (..., 4) with boxes (4,) or (..., 4)."""
    low = np.maximum(boxes[..., :2], box[..., :2])
    high = np.minimum(boxes[..., 2:], box[..., 2:])
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1)
    return common / (areas + np.prod(box[..., 2:] - box[..., :2], axis=-1) - common)


def pictures(data: Path, every: int) -> Iterator[tuple[str, NDArray, NDArray, float]]:
    """Yield (name, RGB picture, crop box xyxy half-open 0-based, |yaw| degrees)."""
    with np.load(data / "aflw2000-3d-dev-protocol.npz") as protocol:
        names, boxes, yaws = protocol["names"], protocol["roi_box"], protocol["yaw_deg"]
    for name, box, yaw in list(zip(names, boxes, yaws, strict=True))[::every]:
        bgr = cv2.imread(str(data / "aflw2000-3d-dev" / str(name)), cv2.IMREAD_COLOR)
        if bgr is None:
            raise SystemExit(f"cannot read {data / 'aflw2000-3d-dev' / str(name)}")
        # 1-based inclusive -> 0-based half-open
        xyxy = box.astype(np.float64) - [1, 1, 0, 0]
        yield str(name), np.ascontiguousarray(bgr[..., ::-1]), xyxy, abs(float(yaw))


Change = Callable[[NDArray, NDArray, np.random.Generator], tuple[NDArray, NDArray]]


def as_they_are(image: NDArray, box: NDArray, _: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Return the picture and its crop box."""
    return image, box


def picture_at(fraction: float) -> Change:
    """Return a change that shrinks the picture to a fraction of a large frame's height."""

    def change(image: NDArray, box: NDArray, random: np.random.Generator) -> tuple:
        return _into_frame(image, box, fraction * FRAME_SIZE[0] / image.shape[0], random)

    return change


def face_at(fraction: float) -> Change:
    """Return a change that shrinks the *crop box* to a fraction of a large frame's height."""

    def change(image: NDArray, box: NDArray, random: np.random.Generator) -> tuple:
        return _into_frame(image, box, fraction * FRAME_SIZE[0] / (box[3] - box[1]), random)

    return change


def cut_to(scale: float) -> Change:
    """Return a change that cuts the picture to its crop box, scaled about its centre."""

    def change(image: NDArray, box: NDArray, _: np.random.Generator) -> tuple:
        middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * scale
        low = np.maximum(np.floor(middle - half), 0).astype(int)
        high = np.ceil(middle + half).astype(int)
        return image[low[1] : high[1], low[0] : high[0]], box - np.tile(low, 2)

    return change


def half_outside(image: NDArray, box: NDArray, random: np.random.Generator) -> tuple:
    """Cut the picture through the middle of its crop box and keep the left, right or upper part.

    A hit is measured against the whole crop box.
    """
    x, y = ((box[:2] + box[2:]) / 2).astype(int)
    side = random.integers(3)
    if side == 0:
        return image[:, :x], box
    if side == 1:
        return image[:, x:], box - [x, 0, x, 0]
    return image[:y], box


def turned_left(image: NDArray, box: NDArray, _: np.random.Generator) -> tuple:
    """Turn the picture by 90 degrees, as of a camera held upright without saying so."""
    x0, y0, x1, y1 = box
    width = image.shape[1]
    return np.rot90(image), np.array([y0, width - x1, y1, width - x0])


def _into_frame(
    image: NDArray, box: NDArray, scale: float, random: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """Put a picture, shrunk, at a random place of a large frame.

    Around it the colours of the picture's corners run into each other: a picture out of focus
    would do as well, but the networks see faces even in that.
    """
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    height, width = FRAME_SIZE
    corners = np.ascontiguousarray(image[:: image.shape[0] - 1, :: image.shape[1] - 1])
    frame = np.array(cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR))
    # A picture larger than the frame (a small face in it) is cut, around the face.
    room = np.array([width, height]) - size
    middle = (box[:2] + box[2:]) / 2 * scale
    centred = np.array([width, height]) / 2 - middle
    free = np.floor(random.uniform(0, 1, 2) * np.maximum(room, 1))
    x, y = np.where(room >= 0, free, np.clip(centred, room, 0)).astype(int)
    part = small[max(0, -y) : height - y, max(0, -x) : width - x]
    frame[max(0, y) : max(0, y) + part.shape[0], max(0, x) : max(0, x) + part.shape[1]] = part
    factor = np.array([size[0] / image.shape[1], size[1] / image.shape[0]])
    return frame, box * np.tile(factor, 2) + [x, y, x, y]


# name -> (change, every n-th picture: those in large frames take longer)
EXPERIMENTS: dict[str, tuple[Change, int]] = {
    "as they are": (as_they_are, 1),
    "cut to the crop box": (cut_to(1.0), 2),
    "cut to 0.75 of the crop box": (cut_to(0.75), 2),
    "half of the face outside": (half_outside, 2),
    "turned by 90 degrees": (turned_left, 2),
    "crop box 20 % of a 1080p frame's height": (face_at(0.20), 4),
    "crop box 10 % of a 1080p frame's height": (face_at(0.10), 4),
    "crop box 5 % of a 1080p frame's height": (face_at(0.05), 4),
    "picture 20 % of a 1080p frame's height": (picture_at(0.20), 4),
    "picture 10 % of a 1080p frame's height": (picture_at(0.10), 4),
    "picture 5 % of a 1080p frame's height": (picture_at(0.05), 4),
}


def measure(data: Path, every: int, only: str, min_score: float) -> dict[str, Any]:
    """Run the experiments whose name starts with `only`; return their rows by name."""
    detector = FaceDetector(threads=1, min_score=min_score)
    return {
        name: _measure(detector, pictures(data, every * step), change)
        for name, (change, step) in EXPERIMENTS.items()
        if name.startswith(only)
    }


def beside_the_face(image: NDArray, box: NDArray) -> NDArray:
    """Return the largest part of a picture left of, right of, above or below a crop box."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = np.round(np.clip(box, 0, [width, height, width, height])).astype(int)
    parts = [image[:, :x0], image[:, x1:], image[:y0], image[y1:]]
    return np.ascontiguousarray(max(parts, key=lambda part: part.size))


def measure_false_positives(data: Path, every: int, min_score: float) -> dict[str, Any]:
    """Count what is found beside the annotated faces: other people, and false positives.

    Returns:
        pictures, faces, and `where`: name, score and box (pixels of the part) of each face.
    """
    detector = FaceDetector(threads=1, min_score=min_score)
    where, count = [], 0
    for name, image, box, _ in pictures(data, every):
        part = beside_the_face(image, box)
        count += 1
        where += [
            {"name": name, "score": found.score, "box": found.box_xyxy.tolist()}
            for found in (detector.detect(part) if part.size else [])
        ]
    return {"pictures": count, "faces": len(where), "where": where}


def measure_nme(data: Path, model: Path) -> dict[str, Any]:
    """Return the landmark error of a model file by kind of box, of the detected faces alone.

    `nme_of_most` leaves out the ten faces that the refined boxes serve worst against the
    protocol's: whose loss, if they are few, makes most of a mean.
    """
    dataset = load_aflw2000(data / "aflw2000-3d-dev")
    reconstructor = FaceReconstructor(model, threads=1)
    plain = predict_with_detector(reconstructor, dataset, refine=False)
    refined = predict_with_detector(reconstructor, dataset)
    errors = {
        name: landmark_nme(predictions.landmarks_px, dataset.landmarks_px)
        for name, predictions in (
            ("protocol's box", predict(reconstructor, dataset)),
            ("detector's box", plain.predictions),
            ("detector's box, refined", refined.predictions),
        )
    }
    loss = errors["detector's box, refined"] - errors["protocol's box"]
    most = refined.detected & (loss < np.sort(loss[refined.detected])[-10])
    rows = {}
    for name, nme in errors.items():
        rows[name] = {
            key: summarise_nme(np.where(of, nme, np.nan), dataset.pose_deg[:, 0])
            for key, of in (("nme", refined.detected), ("nme_of_most", most))
        }
    return rows


def measure_times(rounds: int = 100) -> dict[str, float]:
    """Time the detector and the bundled student in turn on the portrait; one thread each.

    Returns:
        Medians in ms: `detect_ms` (a face in plain sight), `search_ms` (all steps, for faces down
        to 0.025 of the frame), `student_ms` (one crop).
    """
    image = read_image(portrait_path())
    reconstructor = FaceReconstructor(threads=1)
    thorough = FaceDetector(threads=1, min_relative_size=0)
    (found,) = reconstructor.detector.detect(image)
    crops = crop_face(image, crop_box(found)).pixels[None]
    calls: dict[str, Callable[[], Any]] = {
        "detect_ms": lambda: reconstructor.detector.detect(image),
        "search_ms": lambda: thorough.detect(image),
        "student_ms": lambda: reconstructor.runner(crops),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(values[5:]) * 1e3) for name, values in seconds.items()}


def _measure(detector: FaceDetector, source: Iterator, change: Change) -> dict[str, Any]:
    random = np.random.default_rng(0)
    yaws, hit, first, faces, seconds, missed, crops = [], [], [], [], [], [], []
    for name, image, box, yaw in source:
        frame, target = change(image, box, random)
        frame = np.ascontiguousarray(frame)
        start = time.perf_counter()
        found = detector.detect(frame)
        seconds.append(time.perf_counter() - start)
        good = hits(found, target)
        yaws.append(yaw)
        hit.append(bool(good.any()))
        first.append(bool(good[:1].any()))
        faces.append(len(found))
        if good.any():
            crops.append((yaw, crop_box(found[int(np.argmax(good))]), target))
        else:
            missed.append(name)
    return {
        "pictures": len(yaws),
        "hit": _per_yaw(yaws, hit),
        "first": _per_yaw(yaws, first),
        "faces_per_picture": float(np.mean(faces)),
        "median_ms": float(np.median(seconds) * 1e3),
        "p90_ms": float(np.percentile(seconds, 90) * 1e3),
        "crop": _crop_errors(*(np.array(part) for part in zip(*crops, strict=True))),
        "missed": missed,
    }


def _per_yaw(yaws: list[float], values: Any) -> dict[str, float | None]:
    yaw, value = np.array(yaws), np.array(values, np.float64)
    groups = {
        "all": yaw >= 0,
        "0-30": yaw <= 30,
        "30-60": (yaw > 30) & (yaw <= 60),
        "60-": yaw > 60,
    }
    # A small sample may leave a group empty.
    return {name: float(value[of].mean()) if of.any() else None for name, of in groups.items()}


def _crop_errors(yaws: NDArray, boxes: NDArray, targets: NDArray) -> dict[str, Any]:
    """Return errors of crop boxes (N, 4): IoU; centre and size in sides of the target."""
    side = np.sqrt(np.prod(targets[:, 2:] - targets[:, :2], axis=1))
    shift = (boxes[:, :2] + boxes[:, 2:] - targets[:, :2] - targets[:, 2:]) / 2 / side[:, None]
    size = np.log((boxes[:, 2] - boxes[:, 0]) / side)
    overlap = iou(boxes, targets)
    return {
        "iou_mean": _per_yaw(list(yaws), overlap),
        "iou_p5": float(np.percentile(overlap, 5)),
        "centre_median": float(np.median(np.hypot(*shift.T))),
        "centre_bias_xy": [float(value) for value in shift.mean(axis=0)],
        "log_size_bias": _per_yaw(list(yaws), size),
        "log_size_median_deviation": float(np.median(np.abs(size - np.median(size)))),
    }


def render(rows: dict[str, Any]) -> str:
    """Return the measurements as a text table."""
    lines = [
        f"{'':40}{'hit %':>7}{'<=30':>7}{'30-60':>7}{'>60':>7}{'first %':>9}{'faces':>7}"
        f"{'ms':>7}{'p90':>7}{'crop IoU':>10}{'p5':>6}{'centre':>8}{'size':>8}"
    ]

    for name, row in rows.items():
        hit = "".join(
            f"{'-' if value is None else format(100 * value, '.1f'):>7}"
            for value in row["hit"].values()
        )
        crop = row["crop"]
        lines.append(
            f"{name:40}{hit}{100 * row['first']['all']:9.1f}{row['faces_per_picture']:7.2f}"
            f"{row['median_ms']:7.1f}{row['p90_ms']:7.1f}{crop['iou_mean']['all']:10.3f}"
            f"{crop['iou_p5']:6.2f}{crop['centre_median']:8.3f}"
            f"{crop['log_size_bias']['all']:+8.3f}"
        )
    return "\n".join(lines)


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
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--json", type=Path, help="write the measurements here as well")
    parser.add_argument("--every", type=int, default=1, help="use every n-th picture only")
    parser.add_argument("--min-score", type=float, default=0.5, help="of the detector")
    parser.add_argument("--only", default="", help="experiments whose name starts with this")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--fit-crop-rule", action="store_true", help="print the coefficients")
    choice.add_argument(
        "--beside", action="store_true", help="measure false positives beside the faces"
    )
    choice.add_argument("--nme", type=Path, help="landmark errors of this model file, by box")
    choice.add_argument("--times", action="store_true", help="time detector and student")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.fit_crop_rule:
        sys.stdout.write(fit_crop_rule(arguments.data) + "\n")
        return
    if arguments.beside:
        rows = measure_false_positives(arguments.data, arguments.every, arguments.min_score)
        sys.stdout.write(f"{rows['faces']} faces in {rows['pictures']} pictures\n")
    elif arguments.nme:
        rows = measure_nme(arguments.data, arguments.nme)
        for name, row in rows.items():
            for key, nme in row.items():
                sys.stdout.write(f"{name:26}{key:14}{nme['bins']} balanced {nme['balanced']}\n")
    elif arguments.times:
        rows = measure_times()
        ratios = {name: value / rows["student_ms"] for name, value in rows.items()}
        sys.stdout.write(f"medians {rows}, ratios to the student {ratios}\n")
    else:
        rows = measure(arguments.data, arguments.every, arguments.only, arguments.min_score)
        sys.stdout.write(render(rows) + "\n")
    if arguments.json:
        with atomic_path(arguments.json) as path:
            path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
