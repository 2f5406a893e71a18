"""Exported files against the PyTorch checkpoint they come from, on the same faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.calibration.calibration_set import sample_faces
from edge3d.errors import ContractError, Edge3dError
from edge3d.evaluate.aflw2000 import Aflw2000
from edge3d.face_model import load_face_model
from edge3d.geometry.crop import Crop, crop_face
from edge3d.io.files import sha256_of_file
from edge3d.metrics import landmark_nme, summarise_nme
from edge3d.model.contract import ModelContract
from edge3d.model.decoder import Decoder
from edge3d.runtime import RUNNERS, model_bytes, open_runner, read_contract
from edge3d.runtime.arm64 import Arm64Runner
from edge3d.runtime.parity import BUDGETS, Budget, compare_faces
from edge3d.runtime.runner import Runner

CHECKPOINT_SUFFIX = ".safetensors"
EXPORTED = tuple(suffix for suffix in RUNNERS if suffix != CHECKPOINT_SUFFIX)
BATCH = 32


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces that all files are compared on.

    Attributes:
        crops: (N, 120, 120, 3) uint8 RGB.
        cut: the crops with their way back, and `dataset`: what they come from; both None for
            the faces that ship.
    """

    crops: NDArray[np.uint8]
    cut: tuple[Crop, ...] | None = None
    dataset: Aflw2000 | None = None

    def nme(self, landmarks_px: NDArray) -> dict[str, Any] | None:
        """Return the NME of landmarks (N, 68, 3) in crop pixels, see `summarise_nme`."""
        if self.cut is None or self.dataset is None:
            return None
        moved = [c.points_to_frame(p) for c, p in zip(self.cut, landmarks_px, strict=True)]
        nme = landmark_nme(np.stack(moved), self.dataset.landmarks_px)
        return summarise_nme(nme, self.dataset.pose_deg[:, 0])


@dataclass(frozen=True, eq=False)
class Validation:
    """One file against PyTorch.

    Attributes:
        path: of the file.
        figures: what goes into JSON; `excesses` is empty where every budget holds.
        drift_px: (N, 68) distances of the landmarks decoded from the parameters, crop pixels.
        landmarks_px: (N, 68, 3) of the file, crop pixels.
    """

    path: Path
    figures: dict[str, Any]
    drift_px: NDArray
    landmarks_px: NDArray


def faces_that_ship() -> Faces:
    """Return the calibration set as it is and mirrored: 128 synthetic faces, for arm64."""
    mirrored = sample_faces()
    return Faces(np.concatenate([mirrored, mirrored[:, :, ::-1]]))


def faces_of(dataset: Aflw2000 | None) -> Faces:
    """Return the faces of a data set in the protocol's boxes, or `sample_faces` without one.

    Raises:
        ImageError: an image cannot be read.
    """
    if dataset is None:
        return Faces(sample_faces())
    cut = tuple(
        crop_face(image, box)
        for image, box in zip(dataset.images(), dataset.boxes_xyxy, strict=True)
    )
    return Faces(np.stack([crop.pixels for crop in cut]), cut, dataset)


def exported_files(path: str | Path, suffixes: Sequence[str] = EXPORTED) -> list[Path]:
    """Return a file, or the exported model files of a folder in the order of their names.

    Raises:
        Edge3dError: there are none of these suffixes.
    """
    path = Path(path)
    if not path.is_dir():
        if path.suffix.lower() not in suffixes:
            raise Edge3dError(f"{path}: is no {' or '.join(suffixes)} file")
        return [path]
    files = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in suffixes)
    if not files:
        raise Edge3dError(
            f"{path}: holds no exported file ({', '.join(suffixes)}); "
            "make some with `edge3d export`"
        )
    return files


def validate(
    files: Sequence[Path],
    checkpoint: Path,
    faces: Faces,
    progress: Callable[[], None] | None = None,
    arm64: Path | None = None,
) -> tuple[NDArray, list[Validation]]:
    """Compare files with their checkpoint.

    Args:
        files: exported from the checkpoint. checkpoint: a .safetensors file.
        faces: of `faces_of`.
        progress: called after each file.
        arm64: run the files on an emulated arm64 CPU, with the user space of this folder; the
            figures then also hold `here_params_max`, the largest difference of whitened
            parameters from the same file on this machine.

    Returns:
        PyTorch's landmarks (N, 68, 3) in crop pixels, and one result for each file.

    Raises:
        ContractError: a file is damaged, or its parameters or face model are other ones.
        MissingExtraError: a runtime is not installed.
    """
    if checkpoint.suffix.lower() != CHECKPOINT_SUFFIX:
        raise ContractError(f"{checkpoint}: is no checkpoint; give a {CHECKPOINT_SUFFIX} file")
    contract = read_contract(checkpoint)
    for path in files:  # before the long work starts
        _check_same(read_contract(path), contract, path, checkpoint)
    decoder = Decoder(load_face_model(contract.face_model), contract.layout)
    contract.check_face_model(decoder.face_model, str(checkpoint))
    reference = open_runner(checkpoint)
    wanted = decoder.params(_run(reference, faces.crops))
    digest = sha256_of_file(checkpoint)
    results = []
    for path in files:
        if arm64 is None:
            runner = open_runner(path)
            results.append(_validate_file(path, runner, reference, wanted, decoder, faces, digest))
        else:
            results.append(
                _validate_on_arm64(path, arm64, reference, wanted, decoder, faces, digest)
            )
        if progress is not None:
            progress()
    return decoder.landmarks(wanted), results


def _validate_on_arm64(
    path: Path, space: Path, reference: Runner, wanted: NDArray, decoder: Decoder, faces: Faces,
    digest: str,
) -> Validation:  # fmt: skip
    runner = Arm64Runner(path, space)
    try:
        found = _validate_file(path, runner, reference, wanted, decoder, faces, digest)
        apart = abs(_run(runner, faces.crops) - _run(open_runner(path), faces.crops))
    finally:
        runner.close()
    return replace(found, figures=found.figures | {"here_params_max": float(apart.max())})


def _validate_file(
    path: Path, runner: Runner, reference: Runner, wanted: NDArray, decoder: Decoder,
    faces: Faces, digest: str,
) -> Validation:  # fmt: skip
    parity = compare_faces(runner, reference, faces.crops, decoder)
    found = decoder.params(_run(runner, faces.crops))
    right, landmarks = decoder.landmarks(wanted), decoder.landmarks(found)
    nme, nme_right = faces.nme(landmarks), faces.nme(right)
    change = None if nme is None or nme_right is None else _change(nme, nme_right)
    layout = decoder.layout
    blendshapes = abs(layout.part(found, "expression") - layout.part(wanted, "expression"))
    turn_deg = _turn_deg(
        decoder.rotation_and_scale(found)[0], decoder.rotation_and_scale(wanted)[0]
    )
    contract = runner.contract
    made_from = contract.provenance.get("export", {}).get("checkpoint_sha256")
    budget = BUDGETS[contract.precision]
    figures = {
        "file": path.name,
        "precision": contract.precision,
        "megabytes": model_bytes(path) / 1e6,
        "same_checkpoint": made_from == digest,
        **asdict(parity),
        "pose_deg_mean": float(turn_deg.mean()),
        "pose_deg_max": float(turn_deg.max()),
        "blendshape_mean": float(blendshapes.mean()),
        "blendshape_max": float(blendshapes.max()),
        "nme": nme,
        "nme_change": change,
        "excesses": parity.excesses(budget) + nme_excesses(change, budget),
    }
    drift = np.linalg.norm(landmarks - right, axis=-1)
    return Validation(path, figures, drift, landmarks)


def nme_excesses(change: dict[str, Any] | None, budget: Budget) -> list[str]:
    """Return which changes of the NME are over a budget, in words; None is none."""
    if change is None:
        return []
    limits = [("balanced NME", change["balanced"], budget.nme_balanced)]
    limits += [("NME of a bin", value, budget.nme_bin) for value in change["bins"]]
    return [
        f"change of the {name} {value:+.4f} is over {limit:g} percentage points"
        for name, value, limit in limits
        if value is not None and limit is not None and not value <= limit
    ]


def _change(found: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """Return the change of the NME in percentage points; positive is worse."""

    def less(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else a - b

    bins = [less(a, b) for a, b in zip(found["bins"], right["bins"], strict=True)]
    return {"bins": bins} | {name: less(found[name], right[name]) for name in ("balanced", "all")}


def _turn_deg(rotations: NDArray, others: NDArray) -> NDArray:
    """Return the angles (N,) between rotations: 2 asin(|R - S| / sqrt 8), exact near 0 too."""
    chord = np.linalg.norm(rotations - others, axis=(1, 2)) / np.sqrt(8)
    return np.degrees(2 * np.arcsin(np.clip(chord, 0, 1)))


def _run(runner: Runner, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    parts = [runner(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
    return np.concatenate(parts)


def _check_same(found: ModelContract, wanted: ModelContract, path: Path, checkpoint: Path) -> None:
    if found.precision not in BUDGETS:
        raise ContractError(
            f"{path}: field precision is {found.precision}, which has no budget; "
            f"known: {', '.join(BUDGETS)}"
        )
    for field in ("architecture", "face_model_sha256"):
        if getattr(found, field) != getattr(wanted, field):
            raise ContractError(
                f"{path}: field {field} is {getattr(found, field)}, but {checkpoint} has "
                f"{getattr(wanted, field)}; give its own checkpoint with --checkpoint"
            )
