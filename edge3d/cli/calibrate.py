"""`edge3d calibrate`: choose the crops that int8 files take their ranges from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from edge3d.calibration.make import make_calibration_set
from edge3d.calibration.recipe import load_calibration_recipe
from edge3d.cli import console
from edge3d.errors import OutputError


def calibrate(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of images, aflw:DIR for AFLW crops, or synthetic; the recipe's if not "
            "given.",
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            metavar="NAME|PATH",
            help="Recipe: default, photos, aflw, or a TOML file; see calibration/.",
        ),
    ] = "default",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="calibration.key=value, over the recipe."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the set; it is made.")] = Path(
        "runs/calibration"
    ),
    count: Annotated[
        int | None, typer.Option(min=8, help="Crops that are chosen; the recipe's if not given.")
    ] = None,
    pool: Annotated[
        int | None,
        typer.Option(min=8, help="Faces to choose from, at most; the recipe's if not given."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a set that exists.")] = False,
) -> None:
    r"""Choose crops that differ most in pose, brightness, contrast and sharpness.

    Synthetic faces and AFLW need the extra: pip install "edge3d\[train]"
    """
    given = {"source": source, "count": count, "pool": pool}
    overrides = [
        f"calibration.{key}={json.dumps(value, ensure_ascii=False)}"
        for key, value in given.items()
        if value is not None
    ]
    settings = load_calibration_recipe(recipe, [*(set_ or []), *overrides])
    if (out / "manifest.json").exists() and not overwrite:
        raise OutputError(f"{out} holds a set already; use --overwrite, or choose another folder")
    with console.progress_bar("faces", settings.pool) as bar:

        def tell(done: int, total: int) -> None:
            bar.update(bar.task_ids[0], completed=done, total=total)

        found = make_calibration_set(out, settings, tell)
    console.out.print(
        f"{settings.count} of {found} faces; export with --calibration {escape(str(out))}"
    )
