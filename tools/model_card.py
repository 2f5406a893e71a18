"""Writes a network's model card from its checkpoint and what `edge3d evaluate` measured.

    edge3d evaluate CHECKPOINT --dataset aflw2000-3d:DIR --json RESULT.json
    python -m benchmarks.blendshapes CHECKPOINT --aflw DIR --face-mesh DIR --json BLENDSHAPES.json
    python -m tools.model_card CHECKPOINT RESULT.json BLENDSHAPES.json --out NAME.md

Every number in the card is from one of the three files.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edge3d.datasets.augment import AugmentConfig
from edge3d.io.files import atomic_path
from edge3d.metrics import BIN_NAMES
from edge3d.model.contract import ModelContract
from edge3d.model.provenance import training_steps
from edge3d.networks.registry import is_teacher
from edge3d.runtime import read_contract

ROWS = (
    ("original annotation", "nme"),
    ("re-annotated", "nme_reannotated"),
    ("original, the detector's box", "nme_detector_box"),
)
NEEDS_MAP = """\
- It needs 2D landmarks in addition to the image, and is only as good as these landmarks. It teaches
  students and does not run in apps.
"""
LIMITS = """\
- A closed eye comes out half closed: its blink is well below 1 (see the slopes above).
- A person's neutral face is not zero in all blendshapes: AFLW's labels cannot separate the resting
  shape of a mouth or a brow from an expression. Subtract the person's own neutral face, as avatar
  software does.
- Faces upside down, or rolled by more than about 100 degrees, were not trained on.
- Beyond 60 degrees of yaw the hidden half of the face is an estimate, as it is in the annotation.
- Skin tones, ages and cameras are those of the training photos (Flickr, up to 2011), which are not
  balanced. Measure on your own faces before you rely on it.
- Not for identification: the identity modes describe a shape, not a person."""

RELABELLED = """; in the last rounds they are
pseudo-labels by an earlier student, corrected with the human landmarks
(`edge3d.datasets.labels.pseudo_labels`)"""

MESHED = """, and
eyelid and lip apertures are those that MediaPipe's networks measure
(`edge3d.datasets.labels.face_mesh`)"""

SHOWN = (
    "eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "mouthSmileLeft", "mouthSmileRight", "browInnerUp",
    "browOuterUpLeft", "mouthPucker", "cheekPuff", "eyeSquintLeft", "noseSneerLeft",
)  # fmt: skip


def _numbered(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return steps as lines of a list; those that do not go on from the line before say so."""
    lines = []
    for place, step in enumerate(steps):
        start = step.get("started_from", -1)
        if "mean_of" in step:
            ends = " and ".join(str(member + 1) for member in step["mean_of"])
            lines.append(f"{place + 1}. The weight average of {ends}.")
        elif start == place - 1:
            lines.append(f"{place + 1}. {_run(step)}")
        else:
            origin = "nothing" if start < 0 else start + 1
            lines.append(f"{place + 1}. From {origin}: {_run(step)}")
    return lines


def _run(provenance: Mapping[str, Any]) -> str:
    """Return what one run did, in a line."""
    recipe = provenance["recipe"]
    train, shares = recipe["train"], recipe["data"].get("shares", {})
    faces = ", ".join(f"{name} ({count:,} faces)" for name, count in provenance["data"].items())
    note, teacher = provenance.get("note"), recipe["model"].get("teacher")
    strength = _augment_strength(recipe.get("augment", {}))
    drawn = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return (
        f"{recipe['model']['name']} on {faces}{f', sampled {drawn}' if drawn else ''}: "
        f"{train['steps']:,} steps of {train['batch']} "
        f"({train['steps'] * train['batch'] / 1e6:.2f} million samples), "
        f"learning rate {train['learning_rate']:g}{', with distillation' if teacher else ''}"
        f"{f', augmentation at {strength:.0%} of the default strength' if strength < 0.95 else ''}"
        f"{f'; {note}' if note else ''}."
    )


def _augment_strength(settings: Mapping[str, float]) -> float:
    """Return a recipe's `[augment]` as a share of the default one: the mean over its settings."""
    usual, used = asdict(AugmentConfig()), asdict(AugmentConfig(**settings).effective())
    return float(np.mean([used[name] / usual[name] for name in usual if name != "strength"]))


def card(contract: ModelContract, result: dict[str, Any], blendshapes: dict[str, Any]) -> str:
    """Return the card as Markdown.

    Args:
        contract: of the checkpoint. result: the JSON of `edge3d evaluate`.
        blendshapes: the JSON of `benchmarks.blendshapes`, with photographs.
    """
    made = contract.provenance
    steps = training_steps(made)
    network, data = made["network"], next(s for s in steps[::-1] if "recipe" in s)["recipe"]["data"]
    pose = result["pose_mae_deg"]
    header = " | ".join(["NME, %", *(f"yaw {name}°" for name in BIN_NAMES), "balanced", "all"])
    rows = [f"| {header} |", "|---" * (len(BIN_NAMES) + 3) + "|"]
    for title, key in ROWS:
        part = result.get(key)
        if part:
            values = [*part["bins"], part["balanced"], part["all"]]
            rows.append(f"| {title} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    detected = result.get("nme_detector_box", {}).get("detected")
    rendered, photographs = blendshapes["rendered"], blendshapes["photographs"]
    labels = (RELABELLED if data["relabel"] else "") + (MESHED if data.get("face_mesh") else "")
    sees_map = is_teacher(contract.architecture)
    given = " and a map of 18 landmarks" if sees_map else ""
    return f"""\
# {contract.architecture}

One 120 x 120 crop{given} in, {contract.layout.size} parameters of the face model
`{contract.face_model}` out: pose, identity, expression.

| | |
|---|---|
| parameters | {network["parameters"]:,} |
| multiply-adds | {network["multiply_adds"] / 1e6:.1f} million |
| face model | `{contract.face_model}`, SHA-256 `{contract.face_model_sha256[:12]}` |
| licence | {made["licence"]} |

## Training

{chr(10).join(_numbered(steps))}

All runs use AdamW, a half-cosine learning rate schedule and exponentially averaged weights.
The labels of AFLW are fits
of the Basel Face Model to its human landmarks, moved into the open face model
(`edge3d.datasets.labels.transfer`){labels}. No image
of AFLW2000-3D was trained on, but its error chose between checkpoints.

## Accuracy

AFLW2000-3D, {result["n"]:,} images, by `edge3d evaluate`; the protocol's boxes unless said
otherwise.{" The map shows detected landmarks, `fan68_crop120`." if sees_map else ""}

{chr(10).join(rows)}

Head pose, mean absolute error: yaw {pose["yaw"]:.2f}, pitch {pose["pitch"]:.2f}, roll
{pose["roll"]:.2f}, mean {pose["mean"]:.2f} degrees ({pose["n"]} images with all angles up to 99
degrees).{f" The detector found {100 * detected:.1f} % of the faces." if detected else ""}

## Blendshapes

Correlation with the truth on {blendshapes["rendered_faces"]} rendered faces, none trained \
on{"; the map shows the landmarks that the bundled student finds" if sees_map else ""}:

{_table({name: rendered[name] for name in SHOWN})}

Eyelid and lip apertures in {blendshapes["photographs_faces"]} photographs, none trained on,
against MediaPipe's networks: correlation and slope (below 1: apertures are underestimated):

{_table(photographs, blendshapes["slopes"])}

## Limits

{NEEDS_MAP if sees_map else ""}{LIMITS}
"""


def _table(*values: Mapping[str, float]) -> str:
    rows = [" | ".join(values[0]), " | ".join(["---"] * len(values[0]))]
    rows += [" | ".join(f"{value:.2f}" for value in row.values()) for row in values]
    return "\n".join(f"| {row} |" for row in rows)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("blendshapes", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    result = json.loads(arguments.result.read_text(encoding="utf-8"))
    blendshapes = json.loads(arguments.blendshapes.read_text(encoding="utf-8"))
    text = card(read_contract(arguments.checkpoint), result, blendshapes)
    with atomic_path(arguments.out) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
