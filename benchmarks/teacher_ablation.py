"""Measures what each term of 2DASL is worth: the same data and steps without it, with it, with all.

    python -m benchmarks.teacher_ablation --recipe train/teacher-ablation.toml --data DIR \
        --set model.init=CHECKPOINT --set data.relabel=CHECKPOINT

DIR holds `aflw`, `aflw2000-3d-dev`, `aflw2000-3d-dev-protocol.npz` and `bfm/bfm62.npz`. Run it by
`torchrun --nproc_per_node N -m benchmarks.teacher_ablation ...` for several processes. Runs that
are done are not repeated.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from edge3d.evaluate import evaluate_predictions, load_aflw2000
from edge3d.evaluate.predict_teacher import predict_teacher, read_detected_landmarks
from edge3d.train.recipe import load_recipe
from edge3d.train.sources import face_model_of, load_faces
from edge3d.train.trainer import join_processes, train_network

# As in train/teacher.toml.
WEIGHTS = {
    "self_prediction_2d": 0.5,
    "consistency_3d": 0.2,
    "cycle": 0.2,
    "self_critic": 0.05,
}
VARIANTS: dict[str, tuple[str, ...]] = {
    "none": (),
    **{name: (name,) for name in WEIGHTS},
    "all": tuple(WEIGHTS),
}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    arguments = parser.parse_args()
    data: Path = arguments.data
    overrides = [
        f"data.aflw={data / 'aflw'}",
        f"data.bfm={data / 'bfm' / 'bfm62.npz'}",
        *arguments.overrides,
    ]
    processes = join_processes()
    recipe = load_recipe(arguments.recipe, overrides, "teacher")
    face_model = face_model_of(recipe)
    with processes.main_process_first():
        faces = load_faces(recipe.data, face_model, 0, lambda *_: None)
    dataset = load_aflw2000(data / "aflw2000-3d-dev")
    detected = read_detected_landmarks(data / "aflw2000-3d-dev-protocol.npz", dataset.names)
    for variant in arguments.variants:
        terms = [f"loss.{name}={WEIGHTS[name]}" for name in VARIANTS[variant]]
        own = load_recipe(arguments.recipe, [*overrides, *terms], "teacher")
        train_network(own, faces, face_model, arguments.out / variant)
        processes.wait_for_everyone()
        if processes.is_main_process:
            checkpoint = arguments.out / variant / "teacher.safetensors"
            predictions, _ = predict_teacher(checkpoint, dataset, detected, face_model)
            result = evaluate_predictions(dataset, predictions)
            nme, again = result["nme"], result["nme_reannotated"]["balanced"]
            cells = [f"{value:.3f}" for value in (nme["balanced"], *nme["bins"], again)]
            pose = result["pose_mae_deg"]["mean"]
            print("| " + " | ".join([variant, *cells, f"{pose:.2f}"]) + " |", flush=True)
    processes.destroy_process_group()


if __name__ == "__main__":
    main()
