"""`edge3d info`: what a model file says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from edge3d.cli import console
from edge3d.model.contract import ModelContract
from edge3d.runtime import RUNNERS, model_bytes, read_contract


def info(
    file: Annotated[Path, typer.Argument(help=f"Model file: {', '.join(RUNNERS)}.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the contract as JSON.")] = False,
) -> None:
    """Print the contract of a model file: input, crop, parameters, outputs, provenance."""
    contract = read_contract(file)
    if as_json:
        typer.echo(json.dumps(json.loads(contract.to_json()), indent=1))
        return
    image, crop = contract.input, contract.crop
    shape = " x ".join(str(size) for size in image.shape)
    low, high = image.value_range
    rows = {
        "file": f"{file.name}, {model_bytes(file) / 1e6:.2f} MB, {contract.precision}",
        "architecture": contract.architecture,
        "input": f"{image.name}: {shape} {image.layout} {image.dtype} {image.colour}, "
        f"{low:g} to {high:g}",
        "crop": f"{crop.box}, margin {crop.margin:.4f}, {crop.size_px} px, {crop.interpolation}, "
        f"{crop.padding} outside",
        "parameters": f"{contract.layout.size}, camera {contract.layout.camera}: "
        + ", ".join(f"{name} {a}:{b}" for name, (a, b) in _in_order(contract)),
        "outputs": "; ".join(
            f"{o.name} {list(o.shape)} in {o.frame} ({o.unit})" for o in contract.outputs
        ),
        "face model": f"{contract.face_model} ({contract.face_model_sha256[:12]})",
    }
    rows |= {f"quantization: {key}": _short(value) for key, value in contract.quantization.items()}
    rows |= {key: _short(value) for key, value in contract.provenance.items()}
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows.items():
        table.add_row(name, escape(text))
    console.out.print(table, soft_wrap=False)


def _in_order(contract: ModelContract) -> list[tuple[str, tuple[int, int]]]:
    return sorted(contract.layout.slices.items(), key=lambda item: item[1])


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 400 else text[:400] + " ... (--json prints all)"
