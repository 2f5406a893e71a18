"""Export: a trained checkpoint into one self-describing file for each target.

    result = export_model("student.safetensors", "tflite", "fp32", "exported")
    result.path, result.parity.landmark_px_max

Every target takes the same steps: resolve the request (load and wrap the network), convert, embed
the contract, prove the written file in its own runtime against PyTorch, record the figures in the
contract.
"""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

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
from edge3d.export.registry import TARGETS, Converter, Target
from edge3d.face_model import FaceModel, load_face_model
from edge3d.io.files import atomic_path, sha256_of_file
from edge3d.model.contract import InputSpec, ModelContract
from edge3d.model.decoder import Decoder
from edge3d.runtime import RUNNERS, model_bytes, open_runner, read_contract
from edge3d.runtime.checks import IMAGE_SHAPE
from edge3d.runtime.parity import BUDGETS, Budget, Parity, compare_faces
from edge3d.runtime.runner import Runner

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from edge3d.export.deploy_module import DeployModule

# What converters raise at a network they cannot convert; other errors are bugs and pass.
_CONVERTER_ERRORS = (
    RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError
)  # fmt: skip


@dataclass(frozen=True)
class ExportResult:
    """An exported file.

    Attributes:
        path: of the file.
        parity: the parity error against PyTorch.
        contract: what the file carries.
        size_bytes: with the files that belong to it.
    """

    path: Path
    parity: Parity
    contract: ModelContract
    size_bytes: int


class ExportOptions(TypedDict, total=False):
    """Keyword arguments of `export_model`; see there."""

    overwrite: bool
    force: bool
    face_model: FaceModel | None
    images: NDArray[np.uint8] | None
    calibration: CalibrationSet | None
    budget: Budget | None
    notes: Mapping[str, Any] | None


@dataclass(frozen=True, eq=False)
class ExportRequest:
    """One file to export; the fields are the arguments of `export_model`."""

    checkpoint: Path
    target: str
    precision: str
    out_dir: Path
    outputs: Sequence[str] = ("params",)
    overwrite: bool = False
    force: bool = False
    face_model: FaceModel | None = None
    images: NDArray[np.uint8] | None = None
    calibration: CalibrationSet | None = None
    budget: Budget | None = None
    notes: Mapping[str, Any] | None = None

    def run(self) -> ExportResult:
        """Export the file; see `export_model`."""
        job = _resolve(self)
        crops = _quantize(job) if self.precision == "int8" else np.zeros((0, *IMAGE_SHAPE), "u1")
        with atomic_path(job.path, RUNNERS[job.target.suffix].companions) as temporary:
            _convert(job, temporary, crops)
            job.converter.embed(temporary, job.contract.to_json())
            parity = _prove(job, temporary)
            job.converter.embed(temporary, job.contract.to_json())
            _opened(temporary)  # what the user gets can be opened
        return ExportResult(job.path, parity, job.contract, model_bytes(job.path))


def export_model(
    checkpoint: str | Path,
    target: str,
    precision: str,
    out_dir: str | Path,
    outputs: Sequence[str] = ("params",),
    **options: Unpack[ExportOptions],
) -> ExportResult:
    """Export a checkpoint to `out_dir/ARCHITECTURE-PRECISION.SUFFIX`, checked against PyTorch.

    Args:
        checkpoint: a .safetensors file that training wrote.
        target: a name in `TARGETS`.
        precision: one of the target's.
        out_dir: made if it does not exist.
        outputs: of `params` (always there), `landmarks` and `vertices`, decoded in the graph.
        options: `overwrite`: replace an older file. `force`: keep a file that fails its parity
            budget; its contract then says so. `face_model`: that the checkpoint was trained with;
            None takes the one that it names. `images`: (N, 120, 120, 3) uint8 RGB crops for the
            parity check; None takes `parity_images`, which need no data set, and for int8
            `sample_faces`. `calibration`: what int8 takes its ranges from; None takes the bundled
            set. `budget`: limits of the parity error; None takes those of the precision.
            `notes`: entries that go into the contract's provenance under `export`.

    Raises:
        ContractError: the checkpoint is missing, damaged or has no valid contract, or the face
            model is another one.
        Edge3dError: an unknown target, precision or output, or the converter failed.
        FaceModelError: the face model is not there.
        MissingExtraError: the converter or the runtime is not installed.
        OutputError: the file exists already, or cannot be written.
        ParityError: the file does not give PyTorch's faces; nothing was written.
    """
    return ExportRequest(
        Path(checkpoint), target, precision, Path(out_dir), outputs, **options
    ).run()


@dataclass(eq=False)
class _Job:
    """A request with everything loaded that it names."""

    request: ExportRequest
    target: Target
    converter: Converter
    model: DeployModule
    decoder: Decoder
    contract: ModelContract
    path: Path


def _resolve(request: ExportRequest) -> _Job:
    """Check a request and load what it names."""
    checkpoint, precision = request.checkpoint, request.precision
    target = _target(request.target, precision)
    if checkpoint.suffix.lower() != ".safetensors":
        raise ContractError(f"{checkpoint}: is no checkpoint; export takes a .safetensors file")
    contract = read_contract(checkpoint)
    path = request.out_dir / f"{contract.architecture}-{precision}{target.suffix}"
    if path.exists() and not request.overwrite:
        raise OutputError(f"{path} exists already; use --overwrite, or choose another folder")
    face_model = request.face_model or load_face_model(contract.face_model)
    contract.check_face_model(face_model, str(checkpoint))
    converter, model = _load(target, checkpoint, face_model, request.outputs)
    contract = _with_graph(contract, model, face_model, precision)
    decoder = Decoder(face_model, contract.layout)
    return _Job(request, target, converter, model, decoder, contract, path)


def _quantize(job: _Job) -> NDArray[np.uint8]:
    """Prepare the network for 8 bits; return the crops that the ranges come from."""
    from edge3d.export.equalize import equalized

    calibration = job.request.calibration or load_calibration_set()
    job.contract = job.contract.replace(quantization=calibration.to_content())
    job.model.network = equalized(job.model.network, calibration.crops)
    return calibration.crops


def _prove(job: _Job, path: Path) -> Parity:
    """Compare a converted file with PyTorch and put the figures into the job's contract."""
    request = job.request
    made_by: dict[str, Any] = {
        "target": request.target,
        "checkpoint_sha256": sha256_of_file(request.checkpoint),
        "tools": {tool: metadata.version(tool) for tool in job.converter.TOOLS},
    }
    images = request.images
    if images is None:
        images = sample_faces() if request.precision == "int8" else parity_images()
    parity = compare_faces(_opened(path), open_runner(request.checkpoint), images, job.decoder)
    excesses = parity.excesses(request.budget or BUDGETS[request.precision])
    if excesses and not request.force:
        raise ParityError(
            f"{request.target} {request.precision} of {request.checkpoint} does not give PyTorch's "
            f"faces: {'; '.join(excesses)} (image {parity.worst_index} of {parity.n}); nothing was "
            "written; use --force to write it all the same, its contract will say so"
        )
    made_by |= {"parity": parity.to_content(), "within_parity_budget": not excesses}
    made_by |= request.notes or {}
    job.contract = job.contract.replace(provenance={**job.contract.provenance, "export": made_by})
    return parity


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


def _convert(job: _Job, path: Path, calibration: NDArray[np.uint8]) -> None:
    descriptor, name = tempfile.mkstemp(prefix="edge3d-export-", suffix=".log")
    os.close(descriptor)
    log = Path(name)
    try:
        with quiet(log):
            job.converter.convert(
                job.model, job.contract.input, job.request.precision, path, calibration
            )
    except _CONVERTER_ERRORS as error:
        with open(log, "a", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
        raise Edge3dError(
            f"the converter to {job.target.name} failed: {type(error).__name__}: "
            f"{shortened(error)}; try with the versions of its packages that the project's "
            f"documentation names; all that it said is in {log}"
        ) from error
    log.unlink()


def _opened(path: Path) -> Runner:
    with quiet():  # LiteRT prints about its delegate
        return open_runner(path)
