"""Measures how good the labels are that relabelling gives, on AFLW2000-3D.

    python -m benchmarks.label_quality CHECKPOINT --data DIR [--faces N]

DIR holds `aflw`, `aflw2000-3d-dev`, `aflw2000-3d-dev-protocol.npz` and `bfm/bfm62.npz`. What
relabelling learns, it learns from AFLW; it is then done to AFLW2000-3D's images with their own 21
human landmarks, and compared with the 68 annotated ones: NME in %, by yaw, balanced, and balanced
against the re-annotation, and the pose error in degrees. Nothing is trained on the result.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.aflw import human_landmarks, load_aflw
from edge3d.datasets.labels.observation_model import correct, fit_observation_model_em
from edge3d.datasets.labels.test_time_augmentation import predict_tta
from edge3d.evaluate import load_aflw2000
from edge3d.evaluate.accuracy import Predictions, evaluate_predictions
from edge3d.face_model import load_face_model
from edge3d.face_model.bfm import read_bfm
from edge3d.geometry.crop import crop_face
from edge3d.geometry.pose import angles_from_rotation
from edge3d.model.camera import rotations
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout
from edge3d.networks.checkpoint import load_checkpoint


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--faces", type=int, default=4000, help="of AFLW, to learn from")
    arguments = parser.parse_args()
    data: Path = arguments.data
    bfm = read_bfm(data / "bfm" / "bfm62.npz")
    face_model = load_face_model("open")
    network, contract = load_checkpoint(arguments.checkpoint)
    aflw = load_aflw(data / "aflw", bfm, face_model, arguments.cache)
    rows = np.linspace(0, len(aflw.names) - 1, arguments.faces).astype(int)
    seen = predict_tta(network, contract, aflw.crops[rows], aflw.points, face_model)
    human = human_landmarks(data / "aflw")[rows]
    correction = fit_observation_model_em(seen, aflw.labels.params[rows], human, face_model)
    print(f"human landmarks: {correction.noise_px:.2f} px of noise; offsets on the head in mm:")
    print(np.round(correction.offsets, 1).tolist())

    dataset = load_aflw2000(data / "aflw2000-3d-dev")
    pairs = zip(dataset.images(), dataset.boxes_xyxy, strict=True)
    crops = [crop_face(image, box) for image, box in pairs]
    with np.load(data / "aflw2000-3d-dev-protocol.npz") as protocol:
        order = {str(name): row for row, name in enumerate(protocol["names"])}
        human = protocol["pts21"].transpose(0, 2, 1)[[order[name] for name in dataset.names]]
    human = np.where((human > 0).all(axis=2, keepdims=True), human - 1.0, np.nan)
    human = np.stack(
        [(own - c.to_frame[:, 2]) / c.scale for own, c in zip(human, crops, strict=True)]
    )
    seen = predict_tta(
        network, contract, np.stack([c.pixels for c in crops]), aflw.points, face_model
    )
    decoder = Decoder(face_model, make_layout("rotation6d", face_model))

    def show(title: str, params: NDArray) -> None:
        pairs = zip(crops, decoder.landmarks(params), strict=True)
        found = np.stack([crop.points_to_frame(own) for crop, own in pairs])
        pose_deg = np.stack(angles_from_rotation(rotations(params)), axis=1)
        result = evaluate_predictions(dataset, Predictions(found, pose_deg))
        values = [*result["nme"]["bins"], result["nme"]["balanced"]]
        if result["nme_reannotated"] is not None:
            values.append(result["nme_reannotated"]["balanced"])
        values.append(result["pose_mae_deg"]["mean"])
        print(f"{title:24s}", *(f"{value:.3f}" for value in values))

    show("mean of the views", seen)
    show("corrected by humans", correct(seen, human, correction, face_model))


if __name__ == "__main__":
    main()
