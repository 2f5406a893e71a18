"""Measures how well a model's blendshapes follow the true ones.

    python -m benchmarks.blendshapes [MODEL] [--faces 400] [--json OUT]
        [--aflw FOLDER --face-mesh FOLDER]

On rendered faces, those of `edge3d calibrate synthetic`, which are others than those of training:
the correlation of predicted and true weights, for each name. With `--aflw`, on the photographs that
training holds out: how far eyes and mouth are open by the model's landmarks and as MediaPipe's
networks see it (`edge3d.datasets.labels.face_mesh`), in faces turned by at most 45 degrees: the
correlation, and the slope of the first over the second, which is below 1 where apertures are
underestimated.

A teacher's map shows the landmarks that the bundled student finds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge3d.bundled import default_model_path
from edge3d.calibration.sources import SYNTHETIC_SEED, synthetic_faces
from edge3d.datasets.aflw import read_aflw_crops
from edge3d.datasets.faces import is_held_out
from edge3d.datasets.labels.face_mesh import measure_apertures
from edge3d.datasets.synthetic.parameters import sample_params
from edge3d.face_model import FaceModel, load_face_model
from edge3d.geometry.landmarks68 import GAPS
from edge3d.geometry.pose import angles_from_rotation
from edge3d.io.files import atomic_path
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout
from edge3d.networks.checkpoint import load_checkpoint
from edge3d.networks.inference import whitened_by
from edge3d.networks.registry import is_teacher
from edge3d.runtime import open_runner, read_contract
from edge3d.runtime.runner import Runner
from edge3d.train.recipe import DataSection

BATCH = 50
OPENINGS = {"eye, picture's left": slice(0, 2), "eye, right": slice(2, 4), "mouth": slice(4, 7)}


def predicted(
    runner: Runner | TeacherRunner, decoder: Decoder, crops: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return the parameters (N, P) of crops."""
    parts = [runner(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
    return decoder.params(np.concatenate(parts))


class TeacherRunner:
    """Runs a teacher on crops alone: its map shows what the bundled student finds.

    Args:
        path: of the teacher's checkpoint.
    """

    def __init__(self, path: Path, face_model: FaceModel) -> None:
        self.network, self.contract = load_checkpoint(path)
        self._student = open_runner(default_model_path())
        self._decoder = Decoder(face_model, self._student.contract.layout)

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return whitened parameters (N, P) of crops (N, 120, 120, 3)."""
        seen = self._decoder.landmarks(predicted(self._student, self._decoder, crops))
        images = torch.from_numpy(crops).permute(0, 3, 1, 2)
        with torch.inference_mode():
            batch = {"image": images, "detected": torch.from_numpy(seen[..., :2])}
            return whitened_by(self.network, batch).numpy()


def on_rendered_faces(
    runner: Runner | TeacherRunner, decoder: Decoder, count: int
) -> dict[str, float]:
    """Return the correlation with the true weight, by blendshape."""
    face_model = decoder.face_model
    truth = sample_params(count, face_model, SYNTHETIC_SEED)
    params = predicted(runner, decoder, synthetic_faces(count).crops)
    found = decoder.layout.part(params, "expression")
    known = make_layout("rotation6d", face_model).part(truth, "expression")
    return {
        name: correlation(own, right)
        for name, own, right in zip(face_model.expression_names, found.T, known.T, strict=True)
    }


def on_photographs(
    runner: Runner | TeacherRunner, decoder: Decoder, aflw: Path, face_mesh: Path
) -> tuple[dict[str, float], dict[str, float], int]:
    """Return correlation and slope of openings, by their name, and the number of faces."""
    with np.load(aflw / "labels.npz", allow_pickle=False) as file:
        names = file["names"]
    crops, _ = read_aflw_crops(aflw, len(names))
    crops = crops[is_held_out(names, DataSection().held_out)]
    params = predicted(runner, decoder, crops)
    landmarks = decoder.landmarks(params)[..., :2]
    yaw_deg = angles_from_rotation(decoder.rotation_and_scale(params)[0])[0]
    seen = measure_apertures(crops, landmarks, yaw_deg, face_mesh)
    sure = np.isfinite(seen).all(axis=(1, 2))
    above, below = np.array(GAPS).T
    own = np.linalg.norm(landmarks[:, above] - landmarks[:, below], axis=2)[sure]
    known = np.linalg.norm(seen, axis=2)[sure]
    correlations, slopes = {}, {}
    for name, part in OPENINGS.items():
        one, two = own[:, part].mean(axis=1), known[:, part].mean(axis=1)
        correlations[name] = correlation(one, two)
        slopes[name] = float(np.polyfit(two, one, 1)[0])
    return correlations, slopes, int(sure.sum())


def correlation(one: NDArray, two: NDArray) -> float:
    """Return the correlation of two vectors; 0 where one does not vary."""
    varies = one.std() > 0 and two.std() > 0
    return float(np.corrcoef(one, two)[0, 1]) if varies else 0.0


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path, nargs="?", default=default_model_path())
    parser.add_argument("--faces", type=int, default=400)
    parser.add_argument("--aflw", type=Path, help="folder with crops120.zip and labels.npz")
    parser.add_argument("--face-mesh", type=Path, help="folder of MediaPipe's networks")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if (arguments.aflw is None) != (arguments.face_mesh is None):
        parser.error("--aflw and --face-mesh go together")
    face_model = load_face_model("open")
    if is_teacher(read_contract(arguments.model).architecture):
        runner: Runner | TeacherRunner = TeacherRunner(arguments.model, face_model)
    else:
        runner = open_runner(arguments.model)
    decoder = Decoder(face_model, runner.contract.layout)
    rendered = on_rendered_faces(runner, decoder, arguments.faces)
    result: dict[str, object] = {"rendered": rendered, "rendered_faces": arguments.faces}
    for name, value in rendered.items():
        print(f"{name:22s} {value:6.2f}")
    if arguments.aflw is not None:
        openings, slopes, count = on_photographs(
            runner, decoder, arguments.aflw, arguments.face_mesh
        )
        result |= {"photographs": openings, "slopes": slopes, "photographs_faces": count}
        print(f"opening in {count} photographs: correlation, slope")
        for name, value in openings.items():
            print(f"{name:22s} {value:6.2f} {slopes[name]:6.2f}")
    if arguments.json is not None:
        with atomic_path(arguments.json) as temporary:
            temporary.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
