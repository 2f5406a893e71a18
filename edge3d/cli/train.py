"""`edge3d train`: train a student."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from edge3d.cli import console
from edge3d.errors import MissingExtraError
from edge3d.face_model import load_face_model

train_app = typer.Typer(no_args_is_help=True, help="Train networks.", rich_markup_mode="rich")


@train_app.callback()
def _train() -> None:
    pass


@train_app.command()
def student(
    recipe: Annotated[Path | None, typer.Option(help="Recipe (TOML), see train/.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and metrics.")] = Path(
        "runs/train"
    ),
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, over the recipe's.")
    ] = None,
) -> None:
    """Train a student; goes on where it stopped if OUT holds a run."""
    try:
        from edge3d.face_model.bfm import import_bfm
        from edge3d.face_model.model import read_face_model
        from edge3d.train.data import load_aflw
        from edge3d.train.loop import Progress, train_student
        from edge3d.train.recipe import load_recipe
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", "train", str(error.name)) from error
    settings = load_recipe(recipe, set_ or [])
    face_model = load_face_model("open")
    with tempfile.TemporaryDirectory() as folder:
        imported = Path(folder) / "bfm.npz"
        import_bfm(settings.data.bfm, imported)
        bfm = read_face_model(imported)
    with console.err.status("reading crops, fitting labels") as status:
        faces = load_aflw(
            settings.data.aflw,
            bfm,
            face_model,
            settings.data.cache,
            progress=lambda done: status.update(f"fitting labels: {done:,} faces"),
        )
    with console.progress_bar("training", settings.train.steps) as bar:

        def report(progress: Progress) -> None:
            bar.update(bar.task_ids[0], completed=progress.step)
            bar.console.print(
                f"step {progress.step:6d}  landmarks {progress.terms['landmarks_2d']:6.3f} %  "
                f"loss {progress.terms['loss']:7.3f}  {progress.images_per_second:.0f} images/s"
            )

        train_student(settings, faces, face_model, out, report)
    console.out.print(f"wrote {escape(str(out / 'student.safetensors'))}")
