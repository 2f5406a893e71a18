"""`edge3d export`: from a checkpoint to files that a device runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from edge3d.bundled import default_checkpoint_path
from edge3d.calibration.calibration_set import load_calibration_set
from edge3d.cli import console
from edge3d.errors import Edge3dError


def export(
    checkpoint: Annotated[
        Path | None,
        typer.Argument(help="Checkpoint (.safetensors); the bundled student if not given."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="tflite, onnx, openvino; all: these three; cpp: a C++ project; web: a camera "
            "app. [default: all]",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="fp32, fp16, int8, or all. [default: fp32]"),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Outputs of the graph: params, landmarks, vertices. [default: params]",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Take these from a profile: android, ios, browser, desktop-x86, board-arm, or a "
            "TOML file; see export/.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the files; it is made.")] = Path(
        "runs/export"
    ),
    calibration: Annotated[
        Path | None,
        typer.Option(help="Set of `edge3d calibrate` for int8; the bundled one if not given."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace files that exist.")] = False,
    force: Annotated[
        bool, typer.Option(help="Keep files that fail the parity check; they say so inside.")
    ] = False,
) -> None:
    r"""Export a checkpoint; each file is reloaded and must give the same face as PyTorch.

    Needs the extra: pip install "edge3d\[export]"
    """
    from edge3d.export import export_model
    from edge3d.export.plan import PROJECTS, check_projects, parse_precisions, parse_targets

    plan = None
    if profile is not None:
        from edge3d.export.profile import load_profile

        given = {"--target": target, "--precision": precision, "--output": output}
        clash = next((name for name, value in given.items() if value is not None), None)
        if clash:
            raise Edge3dError(f"--profile {profile} sets {clash}: leave one of the two out")
        plan = load_profile(profile)
    targets = list(plan.export.targets) if plan else parse_targets(target or "all")
    precisions = list(plan.export.precisions) if plan else parse_precisions(precision or "fp32")
    outputs = (
        plan.export.outputs
        if plan
        else tuple(part.strip() for part in (output or "params").split(","))
    )
    check_projects(targets, precisions, outputs)
    source = default_checkpoint_path() if checkpoint is None else checkpoint
    options: dict[str, Any] = {
        "overwrite": overwrite,
        "force": force,
        "calibration": None if calibration is None else load_calibration_set(calibration),
    }
    if targets[0] in PROJECTS:
        _export_project(targets[0], source, precisions[0], out, options)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("file", "MB", "error mean, px", "p99", "max", "parameters max"):
        table.add_column(heading, justify="left" if heading == "file" else "right")
    for name in targets:
        for kind in precisions:
            if plan is not None:
                options |= {"budget": plan.budget(kind), "notes": plan.notes()}
            with console.err.status(f"exporting {name} {kind}"):
                result = export_model(source, name, kind, out, outputs, **options)
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


def _export_project(
    target: str, checkpoint: Path, precision: str, out: Path, options: dict[str, Any]
) -> None:
    folder = escape(str(out))
    with console.err.status(f"exporting {target} {precision}"):
        if target == "cpp":
            from edge3d.export.targets.cpp.project import export_cpp

            result = export_cpp(checkpoint, precision, out, **options)
            said = (
                f"{escape(result.path.name)} and a CMake project are in {folder}; README.md there "
                "says how to build it"
            )
        else:
            from edge3d.export.targets.web.app import export_web

            export_web(checkpoint, precision, out, **options)
            said = f"a camera app is in {folder}; see it with: edge3d serve {folder}"
    console.out.print(said)
