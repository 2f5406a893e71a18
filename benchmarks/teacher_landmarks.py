"""Measures what a teacher takes from its landmark map, on AFLW2000-3D.

    python -m benchmarks.teacher_landmarks CHECKPOINT... --data DIR

DIR holds `aflw2000-3d-dev` and `aflw2000-3d-dev-protocol.npz`. The map shows, in turn: the
detected landmarks, as in the test protocol; what the teacher then found (2DASL's second pass);
nothing; what it found of nothing; and the annotated landmarks, which no test may use: how much
better detected ones could make it. The numbers are NME in %, by yaw and balanced, balanced against
the re-annotation, and the pose error in degrees.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.evaluate import evaluate_predictions, load_aflw2000
from edge3d.evaluate.aflw2000 import Aflw2000
from edge3d.evaluate.predict_teacher import predict_teacher, read_detected_landmarks
from edge3d.geometry.crop import crop_face


def in_crops(dataset: Aflw2000, landmarks_px: NDArray) -> NDArray[np.float32]:
    """Return landmarks (N, 68, 2) of the pictures in pixels of the protocol's crops."""
    pairs = zip(dataset.images(), dataset.boxes_xyxy, strict=True)
    crops = [crop_face(image, box) for image, box in pairs]
    offsets = np.stack([crop.to_frame[:, 2] for crop in crops])
    scales = np.array([crop.scale for crop in crops])
    planar = landmarks_px[..., :2]
    return ((planar - offsets[:, None]) / scales[:, None, None]).astype(np.float32)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    dataset = load_aflw2000(arguments.data / "aflw2000-3d-dev")
    protocol = arguments.data / "aflw2000-3d-dev-protocol.npz"
    detected = read_detected_landmarks(protocol, dataset.names)
    annotated = in_crops(dataset, dataset.landmarks_px)
    for checkpoint in arguments.checkpoints:
        print(checkpoint)

        def measure(title: str, marks: NDArray, checkpoint: Path = checkpoint) -> NDArray:
            predictions, _ = predict_teacher(checkpoint, dataset, marks)
            result = evaluate_predictions(dataset, predictions)
            nme = result["nme"]
            numbers = [*nme["bins"], nme["balanced"], result["nme_reannotated"]["balanced"]]
            told = "  ".join(f"{value:.3f}" for value in numbers)
            print(f"{title:22s} {told}  {result['pose_mae_deg']['mean']:.2f}", flush=True)
            return in_crops(dataset, predictions.landmarks_px)

        measure("detected, fed back", measure("detected", detected))
        nothing = np.full_like(detected, np.nan)
        measure("nothing, fed back", measure("nothing", nothing))
        measure("annotated", annotated)


if __name__ == "__main__":
    main()
