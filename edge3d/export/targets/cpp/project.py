"""`edge3d export --target cpp`: a folder with a C++ library, a sample, the models and their bases.

Everything that the contract says is in the generated `contract.hpp`, so that nothing is parsed at
run time. `face_model.bin`, little-endian: `edge3df2`, the face model's SHA-256 in 64 digits, three
uint32 (vertices V, modes M, triangles T), then float32: mean (3 V), the landmarks' mean (204) and
basis (M, 204), then uint32: triangles (3 T), then float16: basis (M, 3 V), which moves a vertex by
less than 0.01 mm.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.bundled import package_path
from edge3d.calibration.calibration_set import CalibrationSet
from edge3d.detector import crop_rule
from edge3d.errors import ContractError, OutputError
from edge3d.export.exporter import ExportResult, export_model
from edge3d.face_model import FaceModel, load_face_model
from edge3d.io.files import atomic_path
from edge3d.model.contract import ModelContract
from edge3d.model.decoder import DecoderTables
from edge3d.runtime import RUNNERS
from edge3d.tracker import evidence, smoothing
from edge3d.tracker.one_euro import OneEuro

MAGIC = b"edge3df2"


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
            f"the C++ code decodes rotation6d cameras and bounded expressions, as the "
            f"open face model's; this model's camera is {layout.camera}"
        )
    files = {
        "src/contract.hpp": _header(contract, face_model).encode(),
        "src/tracking_constants.hpp": tracking_header().encode(),
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


def tracking_header() -> str:
    """Return tracking_constants.hpp: the constants of `edge3d.detector` and `edge3d.tracker`."""
    rule = crop_rule.CROP_RULE
    low, high = crop_rule.CROP_LOG_SIDE_RANGE
    numbers = {
        "log_side_low": low,
        "log_side_high": high,
        "max_log_size": evidence.MAX_LOG_SIZE,
        "max_shift": evidence.MAX_SHIFT,
        "max_shape_change": evidence.MAX_SHAPE_CHANGE,
        "identity_frames": smoothing.Smoothing().identity_frames,
        "restart_after_s": smoothing.RESTART_AFTER_S,
    }
    filters = {
        name: value
        for name, value in vars(smoothing.Smoothing()).items()
        if isinstance(value, OneEuro)
    }
    lines = [
        "// Made by edge3d; do not edit.",
        "#pragma once",
        "",
        '#include "tracking.hpp"',
        "",
        "namespace edge3d::tracking {",
        "",
        *(f"constexpr double {name} = {value!r};" for name, value in numbers.items()),
    ]
    for name, values in rule.items():
        terms = ", ".join(repr(float(value)) for value in values)
        lines.append(f"constexpr double {name}[] = {{{terms}}};")
    for name, one in filters.items():
        terms = f"{one.min_cutoff_hz!r}, {one.beta!r}, {one.speed_cutoff_hz!r}"
        lines.append(f"constexpr OneEuro {name} = {{{terms}}};")
    return "\n".join([*lines, "", "}  // namespace edge3d::tracking", ""])


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
                for array in (vertices.mean, landmarks.mean, landmarks.basis)
            ),
            np.ascontiguousarray(face_model.triangles, "<u4").tobytes(),
            np.ascontiguousarray(vertices.basis, "<f2").tobytes(),
        ]
    )
