"""Measures how well a model's blendshapes follow the true ones, on rendered faces.

    python -m benchmarks.blendshapes [MODEL] [--faces 400]

The faces are those of `edge3d calibrate synthetic`, which are others than those of training. For
each name: the correlation of predicted and true weights over all faces.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from edge3d.calibration import SYNTHETIC_SEED, synthetic_faces
from edge3d.decode import Decoder
from edge3d.face_model import load_face_model
from edge3d.parameters import make_layout
from edge3d.reconstructor import default_model_path
from edge3d.runtime import open_runner
from edge3d.train.synthetic import draw_params

BATCH = 50


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path, nargs="?", default=default_model_path())
    parser.add_argument("--faces", type=int, default=400)
    arguments = parser.parse_args()
    face_model = load_face_model("open")
    truth = draw_params(arguments.faces, face_model, SYNTHETIC_SEED)
    crops = synthetic_faces(arguments.faces).crops
    runner = open_runner(arguments.model)
    decoder = Decoder(face_model, runner.contract.layout)
    whitened = [runner(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
    found = decoder.layout.part(decoder.params(np.concatenate(whitened)), "expression")
    known = make_layout("rotation6d", face_model).part(truth, "expression")
    for name, own, right in zip(face_model.expression_names, found.T, known.T, strict=True):
        varies = own.std() > 0 and right.std() > 0
        print(f"{name:22s} {np.corrcoef(own, right)[0, 1] if varies else 0.0:6.2f}")


if __name__ == "__main__":
    main()
