"""How well the open face model reaches faces of the Basel Face Model.

    python -m benchmarks.face_model_reach --bfm FILE [--model NAME] [--aflw FOLDER] [--json OUT]

Fits pose, identity and bounded expressions to the 68 landmarks of 300 random BFM faces (3D,
shape and expression drawn with 2DASL's parameter statistics) and prints the mean distance as a
share of the landmarks' box; and how closely the surface reaches 16 random faces
(`benchmarks.surface_reach`). With `--aflw`, also the labels of every 16th AFLW face (landmarks
and dense points), and the mean rotation between both models' frames.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.surface_reach import surface_reach
from edge3d.datasets.labels.transfer import convert_labels
from edge3d.face_model import FaceModel, load_face_model
from edge3d.face_model.bfm import random_bfm_landmarks, read_bfm
from edge3d.face_model.dense_points import find_dense_points
from edge3d.face_model.fitting import LinearShape, fit_shape
from edge3d.geometry.pose import angles_from_rotation
from edge3d.io.files import atomic_path
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout

# mm^2 for one standard deviation of identity, and for one blendshape fully on: light, since the
# question is what can be reached, not what is likely.
IDENTITY_RIDGE, EXPRESSION_RIDGE = 0.05, 0.5


def landmark_shape(model: FaceModel) -> LinearShape:
    """Return the model's 68 landmarks as a shape to fit."""
    identity, expression = model.identity_count, model.expression_count
    low, high = model.expression_bounds or (-np.inf, np.inf)
    return LinearShape(
        mean=model.landmarks(model.mean).astype(np.float64),
        basis=model.landmark_basis.astype(np.float64),
        weights=np.ones(68),
        ridge=np.r_[np.full(identity, IDENTITY_RIDGE), np.full(expression, EXPRESSION_RIDGE)],
        lower=np.r_[np.full(identity, -np.inf), np.full(expression, low)],
        upper=np.r_[np.full(identity, np.inf), np.full(expression, high)],
    )


def box_share(difference: NDArray, points: NDArray) -> NDArray:
    """Return the mean distance of each face in % of the root of its landmark box's area."""
    box = np.sqrt(np.prod(np.ptp(points[:, :68, :2], axis=1), axis=1))
    return 100 * np.linalg.norm(difference, axis=2).mean(axis=1) / box


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--bfm", type=Path, required=True, help="bfm62.npz")
    parser.add_argument("--model", default="open", help="open, open-2, or an .npz file")
    parser.add_argument("--aflw", type=Path, help="folder with labels.npz")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    model = load_face_model(arguments.model)
    shape = landmark_shape(model)
    faces = random_bfm_landmarks(dict(np.load(arguments.bfm)), 300, seed=2)
    pose, coefficients = fit_shape(shape, faces, rounds=8, steps=100)
    fitted = pose.apply(shape.points(coefficients))
    residual = fitted - faces
    figures = {
        "random_bfm_faces": len(faces),
        "landmarks_3d_percent_of_box": float(box_share(residual, faces).mean()),
    }
    figures |= surface_reach(model, arguments.bfm)
    if arguments.aflw:
        figures |= _aflw(arguments, model)
    for name, value in figures.items():
        print(f"{name:34s} {value:.4g}")
    if arguments.json:
        with atomic_path(arguments.json) as temporary:
            temporary.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _aflw(arguments: argparse.Namespace, model: FaceModel) -> dict[str, float]:
    bfm = read_bfm(arguments.bfm)
    params62 = np.load(arguments.aflw / "labels.npz")["params62_fit"][::16]
    points = find_dense_points(bfm, model)
    labels = convert_labels(params62, bfm, model, points)
    count = len(params62)
    decoder = Decoder(model, make_layout("rotation6d", model))
    own = decoder.landmarks(labels.params[:count])
    rotation, _ = decoder.rotation_and_scale(labels.params[:count])
    bfm_rotation, _ = Decoder(bfm, make_layout("affine", bfm)).rotation_and_scale(params62)
    relative = np.einsum("bji,bjk->bik", bfm_rotation, rotation)
    yaw, pitch, roll = (float(angle.mean()) for angle in angles_from_rotation(relative))
    known = labels.landmarks[:count]
    return {
        "aflw_faces": count,
        "aflw_landmarks_2d_percent_of_box": float(box_share((own - known)[..., :2], known).mean()),
        "dense_points": len(points.source_ids),
        "frame_yaw_deg": yaw,
        "frame_pitch_deg": pitch,
        "frame_roll_deg": roll,
    }


if __name__ == "__main__":
    main()
