"""Export: a trained checkpoint into one self-describing file for each target.

    result = export_model("student.safetensors", "tflite", "fp32", "exported")
    result.path, result.parity.landmark_px_max

Every target goes one way: load, wrap, convert, embed the contract, open the written file in its
own runtime, compare with PyTorch, write the figures into the contract.
"""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge3d.calibration.calibration_set import CalibrationSet, load_calibration_set, sample_faces
from edge3d.errors import (
    ContractError,
    Edge3dError,
    MissingExtraError,
    OutputError,
    ParityError,
    shortened,
)
from edge3d.export.parity_images import parity_images
from edge3d.export.quiet import quiet
from edge3d.face_model import FaceModel, load_face_model
from edge3d.io.files import atomic_path, sha256_of_file
from edge3d.model.contract import InputSpec, ModelContract
from edge3d.model.decoder import Decoder
from edge3d.runtime import RUNNERS, model_bytes, open_runner, read_contract
from edge3d.runtime.checks import IMAGE_SHAPE
from edge3d.runtime.parity import BUDGETS, Parity, compare_faces
from edge3d.runtime.runner import Runner

if TYPE_CHECKING:
    from edge3d.export.deploy_module import DeployModule
from edge3d.export.registry import TARGETS, Converter, Target

# What converters raise at a network they cannot convert; other errors are bugs and pass.
_CONVERTER_ERRORS = (
    RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError
)  # fmt: skip


@dataclass(frozen=True)
class ExportResult:
    """An exported file.

    Attributes:
        path: of the file.
        parity: how far its faces are from PyTorch's.
        contract: what the file carries.
        size_bytes: with the files that belong to it.
    """

    path: Path
    parity: Parity
    contract: ModelContract
    size_bytes: int


def export_model(
    checkpoint: str | Path,
    target: str,
    precision: str,
    out_dir: str | Path,
    outputs: Sequence[str] = ("params",),
    *,
    overwrite: bool = False,
    force: bool = False,
    face_model: FaceModel | None = None,
    images: NDArray[np.uint8] | None = None,
    calibration: CalibrationSet | None = None,
) -> ExportResult:
    """Export a checkpoint to `out_dir/ARCHITECTURE-PRECISION.SUFFIX`, checked against PyTorch.

    Args:
        checkpoint: a .safetensors file that training wrote.
        target: a name in `TARGETS`.
        precision: one of the target's.
        out_dir: made if it does not exist.
        outputs: of `params` (always there), `landmarks` and `vertices`, decoded in the graph.
        overwrite: replace an older file.
        force: keep a file that fails its parity budget; its contract then says so.
        face_model: that the checkpoint was trained with; None takes the one that it names.
        images: (N, 120, 120, 3) uint8 RGB crops for the parity check; None takes
            `parity_images`, which need no data set, and for int8 `sample_faces`.
        calibration: what int8 takes its ranges from; None takes the set that ships.

    Raises:
        ContractError: the checkpoint is missing, damaged or has no valid contract, or the face
            model is another one.
        Edge3dError: an unknown target, precision or output, or the converter failed.
        FaceModelError: the face model is not there.
        MissingExtraError: the converter or the runtime is not installed.
        OutputError: the file exists already, or cannot be written.
        ParityError: the file does not give PyTorch's faces; nothing was written.
    """
    checkpoint = Path(checkpoint)
    chosen = _target(target, precision)
    if checkpoint.suffix.lower() != ".safetensors":
        raise ContractError(f"{checkpoint}: is no checkpoint; export takes a .safetensors file")
    contract = read_contract(checkpoint)
    path = Path(out_dir) / f"{contract.architecture}-{precision}{chosen.suffix}"
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; use --overwrite, or choose another folder")
    face_model = face_model or load_face_model(contract.face_model)
    contract.check_face_model(face_model, str(checkpoint))
    converter, model = _load(chosen, checkpoint, face_model, outputs)
    contract = _with_graph(contract, model, face_model, precision)
    crops = np.zeros((0, *IMAGE_SHAPE), np.uint8)
    if precision == "int8":
        calibration = calibration or load_calibration_set()
        crops = calibration.crops
        contract = contract.replace(quantization=calibration.to_content())
        from edge3d.export.equalize import equalized

        model.network = equalized(model.network, crops)
    if images is None:
        images = sample_faces() if precision == "int8" else parity_images()
    decoder = Decoder(face_model, contract.layout)
    made_by: dict[str, Any] = {
        "target": target,
        "checkpoint_sha256": sha256_of_file(checkpoint),
        "tools": {tool: metadata.version(tool) for tool in converter.TOOLS},
    }
    with atomic_path(path, RUNNERS[chosen.suffix].companions) as temporary:
        _convert(converter, model, contract.input, precision, temporary, chosen, crops)
        converter.embed(temporary, contract.to_json())
        parity = compare_faces(_opened(temporary), open_runner(checkpoint), images, decoder)
        excesses = parity.excesses(BUDGETS[precision])
        if excesses and not force:
            raise ParityError(
                f"{target} {precision} of {checkpoint} does not give PyTorch's faces: "
                f"{'; '.join(excesses)} (image {parity.worst_index} of {parity.n}); nothing was "
                "written; use --force to write it all the same, its contract will say so"
            )
        made_by |= {"parity": parity.to_content(), "within_parity_budget": not excesses}
        contract = contract.replace(provenance={**contract.provenance, "export": made_by})
        converter.embed(temporary, contract.to_json())
        _opened(temporary)  # what the user gets can be opened
    return ExportResult(path, parity, contract, model_bytes(path))


def _target(name: str, precision: str) -> Target:
    if name not in TARGETS:
        raise Edge3dError(f"unknown target '{name}'; known: {', '.join(TARGETS)}")
    target = TARGETS[name]
    if precision not in target.precisions:
        raise Edge3dError(
            f"target '{name}' has no precision '{precision}'; known: {', '.join(target.precisions)}"
        )
    return target


def _load(
    target: Target, checkpoint: Path, face_model: FaceModel, outputs: Sequence[str]
) -> tuple[Converter, DeployModule]:
    """Import the converter and bring the checkpoint into the form that it takes."""
    try:
        with quiet():
            from edge3d.export.deploy_module import DeployModule
            from edge3d.networks.checkpoint import load_student

            converter = target.load()
    except ImportError as error:
        raise MissingExtraError(
            f"export to {target.name}", target.extra, error.name or str(error)
        ) from error
    network, contract = load_student(checkpoint)
    return converter, DeployModule(network, contract.layout, face_model, outputs).eval()


def _with_graph(
    contract: ModelContract, model: DeployModule, face_model: FaceModel, precision: str
) -> ModelContract:
    """Return a checkpoint's contract for the graph that is made of it."""
    from edge3d.export.deploy_module import output_specs

    provenance = dict(contract.provenance)
    if len(model.output_names) > 1:
        # The graph then holds a part of the face model, whose licence goes with it.
        provenance["face_model_licence"] = face_model.licence
    return contract.replace(
        input=InputSpec(),
        outputs=output_specs(model.output_names, contract.layout, face_model),
        precision=precision,
        provenance=provenance,
    )


def _convert(
    converter: Converter, model: DeployModule, spec: InputSpec, precision: str, path: Path,
    target: Target, calibration: NDArray[np.uint8],
) -> None:  # fmt: skip
    descriptor, name = tempfile.mkstemp(prefix="edge3d-export-", suffix=".log")
    os.close(descriptor)
    log = Path(name)
    try:
        with quiet(log):
            converter.convert(model, spec, precision, path, calibration)
    except _CONVERTER_ERRORS as error:
        with open(log, "a", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
        raise Edge3dError(
            f"the converter to {target.name} failed: {type(error).__name__}: {shortened(error)}; "
            "try with the versions of its packages that the project's documentation names; all "
            f"that it said is in {log}"
        ) from error
    log.unlink()


def _opened(path: Path) -> Runner:
    with quiet():  # LiteRT tells about its delegate
        return open_runner(path)
