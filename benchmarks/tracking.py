"""Measures the tracker on sequences with known motion.

    python -m benchmarks.tracking

Jitter: mean distance of the landmarks of one frame from those of the next, less what the known
motion moves them, in % of the face's size; with smoothing and without. Lag: by how much the
smoothed face follows the known motion later, in ms. Detector: share of the frames in which the
whole frame was searched, and looks of the small detector at a face for each frame.
"""

from __future__ import annotations

import time
from collections.abc import Sequence as Many
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tracking_sequences import (
    FRAMES_PER_S,
    REAL,
    Placed,
    Sequence,
    SyntheticHead,
    talking,
)
from edge3d import FaceReconstructor, FaceTracker, Smoothing
from edge3d.geometry.boxes import landmark_box

SYNTHETIC_S = 8.0


def measure(reconstructor: FaceReconstructor, sequence: Sequence) -> dict[str, Any]:
    """Return the figures of one sequence."""
    frames = list(sequence.frames())
    row: dict[str, Any] = {"name": sequence.name, "frames": len(frames)}
    for label, smoothing in (("smooth", Smoothing()), ("raw", None)):
        tracker = FaceTracker(reconstructor, smoothing)
        times, faces = [], []
        for time_s, image in frames:
            start = time.perf_counter()
            faces.append(tracker.update(image, time_s))
            times.append(1e3 * (time.perf_counter() - start))
        row[f"{label}_ms"] = float(np.median(times))
        found = [tracked[0].face.landmarks_px[:, :2] if tracked else None for tracked in faces]
        still = [
            _rest(points, sequence.place(time_s)) if points is not None else None
            for points, (time_s, _) in zip(found, frames, strict=True)
        ]
        row[f"{label}_jitter"] = _jitter(still)
        row[f"{label}_lag_ms"] = _lag_ms(found, [sequence.place(t) for t, _ in frames])
        visible = [sequence.visible(time_s) for time_s, _ in frames]
        row["missed"] = sum(v and not f for v, f in zip(visible, faces, strict=True))
        row["false"] = sum(bool(f) and not v for v, f in zip(visible, faces, strict=True))
        row["faces"] = tracker.faces_seen
        row["searched"] = tracker.counts.searches / len(frames)
        row["looks"] = tracker.counts.looks / len(frames)
    return row


def measure_synthetic(reconstructor: FaceReconstructor) -> dict[str, dict[str, float]]:
    """Return how pose and blendshapes of a rendered head that talks are followed."""
    head = SyntheticHead(reconstructor)
    times = np.arange(round(SYNTHETIC_S * FRAMES_PER_S)) / FRAMES_PER_S
    known = [talking(float(time_s)) for time_s in times]
    result = {}
    for label, smoothing in (("smoothed", Smoothing()), ("not smoothed", None)):
        tracker = FaceTracker(reconstructor, smoothing)
        faces = [
            tracker.update(head.frame(one), float(t))[0].face
            for one, t in zip(known, times, strict=True)
        ]
        yaw = np.array([[k.yaw_deg, f.pose.yaw_deg] for k, f in zip(known, faces, strict=True)])
        jaw, eye = (
            np.array([[k.blendshapes[n], f.blendshapes[n]] for k, f in zip(known, faces,
                                                                          strict=True)])
            for n in ("jawOpen", "eyeBlinkLeft")
        )  # fmt: skip
        result[label] = {
            "yaw, mean error, degrees": float(abs(yaw[:, 1] - yaw[:, 0]).mean()),
            "yaw, lag, ms": 1e3 / FRAMES_PER_S * _shift(yaw[:, 0], yaw[:, 1]),
            "jawOpen, correlation": float(np.corrcoef(jaw.T)[0, 1]),
            "jawOpen, lag, ms": 1e3 / FRAMES_PER_S * _shift(jaw[:, 0], jaw[:, 1]),
            "eyeBlinkLeft, correlation": float(np.corrcoef(eye.T)[0, 1]),
        }
    return result


def _rest(points: NDArray, placed: Placed) -> NDArray[np.float64]:
    """Return points of a frame where they are in the portrait, in % of the face's size."""
    affine = placed.affine
    moved = (points - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T
    box = landmark_box(moved, margin=1.0)
    return 100 * moved / float(box[2] - box[0])


def _jitter(points: Many[NDArray | None]) -> float:
    steps = [
        np.linalg.norm(after - before, axis=1).mean()
        for before, after in pairwise(points[10:])
        if before is not None and after is not None
    ]
    return float(np.mean(steps))


def _lag_ms(points: Many[NDArray | None], placed: Many[Placed]) -> float | None:
    """Return the lag of the landmarks' middle along x, or None where it hardly moves."""
    true = np.array([place.x_px for place in placed])
    if np.ptp(true) < 50 or any(one is None for one in points):
        return None
    middle = np.array([one.mean(axis=0)[0] for one in points if one is not None])
    return 1e3 / FRAMES_PER_S * _shift(true, middle)


def _shift(true: NDArray, found: NDArray) -> float:
    """Return by how many frames `found` is later, to a tenth: where their difference is least."""
    grid = np.arange(len(true), dtype=float)
    shifts = np.arange(-30, 60) / 10
    inner = slice(10, -10)
    errors = []
    for shift in shifts:
        difference = (found - np.interp(grid - shift, grid, true))[inner]
        errors.append(difference.std())
    return float(shifts[int(np.argmin(errors))])


def main() -> None:
    """Run from the command line."""
    reconstructor = FaceReconstructor()
    print(
        "| sequence | jitter, % | not smoothed | lag, ms | searched | looks | missed | false "
        "| numbers | ms a frame |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for sequence in REAL:
        row = measure(reconstructor, sequence)
        lag = "" if row["smooth_lag_ms"] is None else f"{row['smooth_lag_ms']:.0f}"
        print(
            f"| {row['name']} | {row['smooth_jitter']:.3f} | {row['raw_jitter']:.3f} | {lag} "
            f"| {100 * row['searched']:.0f} % | {row['looks']:.2f} | {row['missed']} "
            f"| {row['false']} | {row['faces']} | {row['smooth_ms']:.1f} |"
        )
    result = measure_synthetic(reconstructor)
    print("\n| rendered head | " + " | ".join(result) + " |\n|---|---|---|")
    for name in next(iter(result.values())):
        print(f"| {name} | " + " | ".join(f"{r[name]:.2f}" for r in result.values()) + " |")


if __name__ == "__main__":
    main()
