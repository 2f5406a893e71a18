"""Measures the face detector on AFLW2000-3D, and fits its crop rule on AFLW.

    python -m benchmarks.detector --data DIR [--json OUT] [--every N] [--only NAME] [--min-score S]
    python -m tools.fit_crop_rule --data DIR
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.perturbations import EXPERIMENTS, GROWTH, Change
from edge3d.bundled import portrait_path
from edge3d.detector import Detection, FaceDetector, crop_box
from edge3d.evaluate import load_aflw2000, predict, predict_with_detector
from edge3d.geometry.boxes import box_iou
from edge3d.geometry.crop import crop_face
from edge3d.io.files import atomic_path
from edge3d.io.image import read_image
from edge3d.metrics import landmark_nme, summarise_nme
from edge3d.reconstruct.reconstructor import FaceReconstructor

HIT_IOU = 0.4


def hits(detections: list[Detection], box: NDArray) -> NDArray[np.bool_]:
    """Return which detections hit a crop box (4,) xyxy: (N,) bool."""
    boxes = np.array([found.box_xyxy for found in detections], np.float64).reshape(-1, 1, 4)
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = (boxes[..., 2:] - boxes[..., :2]) / 2 * GROWTH[:, None]
    grown = np.concatenate([middle - half, middle + half], axis=-1)
    return np.asarray((box_iou(grown, box) >= HIT_IOU).any(axis=1))


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
    overlap = box_iou(boxes, targets)
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


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--json", type=Path, help="write the measurements here as well")
    parser.add_argument("--every", type=int, default=1, help="use every n-th picture only")
    parser.add_argument("--min-score", type=float, default=0.5, help="of the detector")
    parser.add_argument("--only", default="", help="experiments whose name starts with this")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--beside", action="store_true", help="measure false positives beside the faces"
    )
    choice.add_argument("--nme", type=Path, help="landmark errors of this model file, by box")
    choice.add_argument("--times", action="store_true", help="time detector and student")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
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
