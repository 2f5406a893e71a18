"""`edge3d validate`: how far exported files are from PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from edge3d.bundled import default_checkpoint_path
from edge3d.cli import console
from edge3d.evaluate.registry import open_dataset
from edge3d.evaluate.validation import exported_files, faces_of, faces_that_ship
from edge3d.evaluate.validation import validate as validate_files
from edge3d.evaluate.validation_report import write_validation
from edge3d.io.files import atomic_path
from edge3d.runtime.arm64 import SUFFIXES as ARM64_SUFFIXES


def validate(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL_OR_DIR", help="Exported file, or a folder of them.")
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="What they come from (.safetensors); the bundled one if not given."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME:DIR",
            help="aflw2000-3d:DIR; if not given, synthetic faces that ship.",
        ),
    ] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the numbers here.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page here.")] = None,
    arm64: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Run the files on an emulated arm64 CPU, by what scripts/arm64.sh made there.",
        ),
    ] = None,
) -> None:
    """Compare exported files with PyTorch; exit code 1 if a budget does not hold."""
    if arm64 is None:
        files = exported_files(model)
        faces = faces_of(None if dataset is None else open_dataset(dataset))
    elif dataset is not None:
        raise typer.BadParameter(
            "--arm64 takes the faces that ship: emulation is too slow for a data set"
        )
    else:
        files, faces = exported_files(model, ARM64_SUFFIXES), faces_that_ship()
    source = checkpoint or default_checkpoint_path()
    with console.progress_bar("validating", len(files)) as bar:
        right, validations = validate_files(
            files, source, faces, lambda: bar.advance(bar.task_ids[0]), arm64
        )
    rows = [validation.figures for validation in validations]
    holds = not any(row["excesses"] for row in rows)
    result: dict[str, Any] = {
        "checkpoint": source.name,
        "cpu": "this machine" if arm64 is None else "arm64, emulated",
        "images": "the faces that ship" if dataset is None else dataset.partition(":")[0],
        "n": len(faces.crops),
        "budgets_hold": holds,
        "files": rows,
    }
    if json_ is not None:
        with atomic_path(json_) as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if report is not None:
        write_validation(report, result, faces, right, validations)
    _print(result)
    for written in (json_, report):
        if written is not None:
            console.out.print(f"written: {escape(str(written))}")
    if not holds:
        raise typer.Exit(1)


def _print(result: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("file", "mean px", "99 % px", "max px", "pose, deg", "NME", "change"):
        table.add_column(heading, justify="left" if heading == "file" else "right")
    for row in result["files"]:
        nme = None if row["nme"] is None else row["nme"]["balanced"]
        change = None if row["nme_change"] is None else row["nme_change"]["balanced"]
        table.add_row(
            escape(row["file"]),
            *(f"{row[f'landmark_px_{name}']:.5f}" for name in ("mean", "p99", "max")),
            f"{row['pose_deg_max']:.4f}",
            "-" if nme is None else f"{nme:.3f}",
            "-" if change is None else f"{change:+.4f}",
        )
    console.out.print(table, soft_wrap=False)
    console.out.print(
        f"{result['n']} faces of {result['images']} against {escape(result['checkpoint'])}; "
        "landmark drift in crop pixels, balanced NME in %"
    )
    for row in result["files"]:
        if "here_params_max" in row:
            console.out.print(
                f"{escape(row['file'])} on arm64: at most {row['here_params_max']:.2g} standard "
                "deviations from the same file here"
            )
        if not row["same_checkpoint"]:
            console.out.print(f"{escape(row['file'])}: was exported from another checkpoint")
        for excess in row["excesses"]:
            console.out.print(f"[bold red]over budget:[/] {escape(row['file'])}: {excess}")
    if result["budgets_hold"]:
        console.out.print("every budget holds")
