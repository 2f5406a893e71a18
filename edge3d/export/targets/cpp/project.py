"""`edge3d export --target cpp`: a folder with a C++ library, a sample, the models and their bases.

Everything that the contract says is in the generated `contract.hpp`, so that nothing is parsed at
run time. `face_model.bin`, little-endian: `edge3dfm`, the face model's SHA-256 in 64 digits, three
uint32 (vertices V, modes M, triangles T), then float32: mean (3 V), basis (M, 3 V), the landmarks'
mean (204) and basis (M, 204), then uint32: triangles (3 T).
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.bundled import package_path
from edge3d.calibration.calibration_set import CalibrationSet
from edge3d.errors import ContractError, OutputError
from edge3d.export.exporter import ExportResult, export_model
from edge3d.face_model import FaceModel, load_face_model
from edge3d.io.files import atomic_path
from edge3d.model.contract import ModelContract
from edge3d.model.decoder import DecoderTables
from edge3d.runtime import RUNNERS

MAGIC = b"edge3dfm"


def export_cpp(
    checkpoint: Path, precision: str, out: Path, *, overwrite: bool = False, force: bool = False,
    calibration: CalibrationSet | None = None,
) -> ExportResult:  # fmt: skip
    """Export a checkpoint to an OpenVINO and a TFLite model within a C++ project.

    Args:
        checkpoint, precision, overwrite, force, calibration: as those of `export_model`.
        out: the project's folder, which is made.

    Raises:
        ContractError: the model's camera or face model is one that the C++ code does not know.
        OutputError: the folder holds a project already, or cannot be written.
    """
    if (out / "CMakeLists.txt").exists() and not overwrite:
        raise OutputError(f"{out} holds a project already; use --overwrite, or choose another")
    with tempfile.TemporaryDirectory() as folder:
        result, other = (
            export_model(
                checkpoint, target, precision, folder, force=force, calibration=calibration
            )
            for target in ("openvino", "tflite")
        )
        face_model = load_face_model(result.contract.face_model)
        write_project([result.path, other.path], result.contract, face_model, out)
    return replace(result, path=out / result.path.name)


def write_project(
    models: list[Path], contract: ModelContract, face_model: FaceModel, out: Path
) -> None:
    """Write the folder.

    Args:
        models: exported files, which are copied with the files that belong to them.
        contract: of the first. face_model: that it names. out: the folder, which is made.

    Raises:
        ContractError, OutputError: see `export_cpp`.
    """
    layout = contract.layout
    if layout.camera != "rotation6d" or face_model.expression_bounds is None:
        raise ContractError(
            f"{models[0]}: the C++ code decodes rotation6d cameras and bounded expressions, as the "
            f"open face model's; this file's camera is {layout.camera}"
        )
    files = {
        "src/contract.hpp": _header(contract, face_model).encode(),
        "contract.json": contract.to_json().encode() + b"\n",
        "face_model.bin": _face_model(contract, face_model),
    }
    for model in models:
        for suffix in (model.suffix, *RUNNERS[model.suffix].companions):
            files[model.with_suffix(suffix).name] = model.with_suffix(suffix).read_bytes()
    source = package_path() / "export" / "targets" / "cpp"
    for path in source.rglob("*"):
        if path.is_file():
            files[path.relative_to(source).as_posix()] = path.read_bytes()
    for name, content in files.items():
        with atomic_path(out / name) as temporary:
            temporary.write_bytes(content)


def _header(contract: ModelContract, face_model: FaceModel) -> str:
    layout = contract.layout
    assert face_model.expression_bounds is not None
    low, high = face_model.expression_bounds
    names = ", ".join(f'"{name}"' for name in face_model.expression_names)
    constants = {
        "crop_px": ("int", contract.input.shape[0]),
        "parameter_count": ("std::size_t", layout.size),
        "identity_count": ("std::size_t", face_model.identity_count),
        "expression_count": ("std::size_t", face_model.expression_count),
        **{f"{name}_start": ("std::size_t", start) for name, (start, _) in layout.slices.items()},
        "expression_low": ("float", f"{low}f"),
        "expression_high": ("float", f"{high}f"),
    }
    lines = [f"constexpr {kind} {name} = {value};" for name, (kind, value) in constants.items()]
    return "\n".join(
        [
            f"// Made by edge3d of {contract.architecture}; do not edit. contract.json says more.",
            "#pragma once",
            "",
            "#include <cstddef>",
            "",
            "namespace edge3d::contract {",
            "",
            f'constexpr const char* face_model_sha256 = "{contract.face_model_sha256}";',
            *lines,
            _array("mean", layout.mean),
            _array("stddev", layout.std),
            f"constexpr const char* expression_names[] = {{{names}}};",
            "",
            "}  // namespace edge3d::contract",
            "",
        ]
    )


def _array(name: str, values: NDArray) -> str:
    numbers = ", ".join(f"{float(value)!r}f" for value in values)
    return f"constexpr float {name}[] = {{{numbers}}};"


def _face_model(contract: ModelContract, face_model: FaceModel) -> bytes:
    tables = DecoderTables(face_model, contract.layout)
    vertices, landmarks = tables.vertices(), tables.landmarks()
    counts = (len(face_model.mean), len(vertices.basis), len(face_model.triangles))
    return b"".join(
        [
            MAGIC,
            contract.face_model_sha256.encode(),
            np.array(counts, "<u4").tobytes(),
            *(
                np.ascontiguousarray(array, "<f4").tobytes()
                for table in (vertices, landmarks)
                for array in (table.mean, table.basis)
            ),
            np.ascontiguousarray(face_model.triangles, "<u4").tobytes(),
        ]
    )
