"""`edge3d export`: from a checkpoint to files that a device runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from edge3d.bundled import default_checkpoint_path
from edge3d.calibration.calibration_set import CalibrationSet, load_calibration_set
from edge3d.cli import console
from edge3d.errors import Edge3dError


def export(
    checkpoint: Annotated[
        Path | None,
        typer.Argument(help="Checkpoint (.safetensors); the bundled student if not given."),
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            help="tflite, onnx, openvino, all three, cpp: a C++ project, or web: a camera app."
        ),
    ] = "all",
    precision: Annotated[str, typer.Option(help="fp32, fp16, int8, or all.")] = "fp32",
    output: Annotated[
        str, typer.Option(help="Outputs of the graph, by commas: params, landmarks, vertices.")
    ] = "params",
    out: Annotated[Path, typer.Option(help="Folder for the files; it is made.")] = Path(
        "runs/export"
    ),
    calibration: Annotated[
        Path | None,
        typer.Option(help="Set of `edge3d calibrate` for int8; the one that ships if not given."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace files that exist.")] = False,
    force: Annotated[
        bool, typer.Option(help="Keep files that fail the parity check; they say so inside.")
    ] = False,
) -> None:
    """Export a checkpoint; each file is reloaded and must give the same face as PyTorch."""
    from edge3d.export import TARGETS, export_model

    images = None if calibration is None else load_calibration_set(calibration)
    source = default_checkpoint_path() if checkpoint is None else checkpoint
    if target == "cpp":
        _export_cpp(source, precision, out, overwrite, force, images)
        return
    if target == "web":
        _export_web(source, precision, out, overwrite, force, images)
        return
    targets = list(TARGETS) if target == "all" else [target]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("file", "MB", "drift mean, px", "p99", "max", "parameters max"):
        table.add_column(heading, justify="left" if heading == "file" else "right")
    for name in targets:
        if name not in TARGETS:
            raise Edge3dError(
                f"--target {name}: unknown; choose from {', '.join(TARGETS)}, all, cpp, web"
            )
        precisions = TARGETS[name].precisions if precision == "all" else (precision,)
        for wanted in precisions:
            with console.err.status(f"exporting {name} {wanted}"):
                result = export_model(
                    source,
                    name,
                    wanted,
                    out,
                    outputs=tuple(part.strip() for part in output.split(",")),
                    overwrite=overwrite,
                    force=force,
                    calibration=images,
                )
            parity = result.parity
            table.add_row(
                escape(result.path.name),
                f"{result.size_bytes / 1e6:.2f}",
                f"{parity.landmark_px_mean:.5f}",
                f"{parity.landmark_px_p99:.5f}",
                f"{parity.landmark_px_max:.5f}",
                f"{parity.params_max:.6f}",
            )
    console.out.print(table, soft_wrap=False)
    console.out.print(f"files are in {escape(str(out))}")


def _export_cpp(
    checkpoint: Path, precision: str, out: Path, overwrite: bool, force: bool,
    calibration: CalibrationSet | None,
) -> None:  # fmt: skip
    from edge3d.export.targets.cpp.project import export_cpp

    with console.err.status(f"exporting cpp {precision}"):
        result = export_cpp(
            checkpoint, precision, out, overwrite=overwrite, force=force, calibration=calibration
        )
    console.out.print(
        f"{escape(result.path.name)} and a CMake project are in {escape(str(out))}; README.md "
        "there says how to build it"
    )


def _export_web(
    checkpoint: Path, precision: str, out: Path, overwrite: bool, force: bool,
    calibration: CalibrationSet | None,
) -> None:  # fmt: skip
    from edge3d.export.targets.web.app import export_web

    with console.err.status(f"exporting web {precision}"):
        export_web(
            checkpoint, precision, out, overwrite=overwrite, force=force, calibration=calibration
        )
    console.out.print(
        f"a camera app is in {escape(str(out))}; see it with: edge3d serve {escape(str(out))}"
    )
