"""`edge3d train`: train a student or a teacher."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from edge3d.cli import console
from edge3d.errors import MissingExtraError

if TYPE_CHECKING:
    from accelerate import PartialState

    from edge3d.train.metrics_log import Progress
    from edge3d.train.recipe import Recipe as TrainingRecipe

train_app = typer.Typer(no_args_is_help=True, help="Train networks.", rich_markup_mode="rich")


@train_app.callback()
def _app() -> None:
    pass


Recipe = Annotated[Path | None, typer.Option(help="Recipe (TOML), see train/.")]
Out = Annotated[Path, typer.Option(help="Folder for checkpoints and metrics.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="section.key=value, over the recipe's.")
]


@train_app.command()
def student(recipe: Recipe = None, out: Out = Path("runs/train"), set_: Overrides = None) -> None:
    """Train a student; resumes where it stopped if OUT holds a run.

    With no data set in the recipe, it trains on synthetic faces. For several GPUs or machines,
    run it by torchrun: torchrun --nproc_per_node 2 -m edge3d train student ...
    """
    _run(recipe, set_ or [], out, wants_teacher=False)


@train_app.command()
def teacher(recipe: Recipe = None, out: Out = Path("runs/teacher"), set_: Overrides = None) -> None:
    """Train a 2DASL teacher, which sees 2D landmarks beside the picture.

    As `student` otherwise; a GPU is wanted. The recipe train/teacher.toml has the terms of 2DASL.
    """
    _run(recipe, set_ or [], out, wants_teacher=True)


@train_app.command()
def average(
    checkpoints: Annotated[list[Path], typer.Argument(help="Two checkpoints or more.")],
    out: Annotated[Path, typer.Option(help="The checkpoint to write.")],
) -> None:
    """Write the mean of the weights of runs that started from the same checkpoint.

    It is mostly better than each of them, and costs nothing.
    """
    try:
        from edge3d.train.weight_averaging import average_checkpoints
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", "train", str(error.name)) from error
    average_checkpoints(checkpoints, out)
    console.out.print(f"wrote {escape(str(out))}")


def _run(recipe: Path | None, overrides: list[str], out: Path, wants_teacher: bool) -> None:
    try:
        from edge3d.errors import RecipeError
        from edge3d.networks.registry import is_teacher
        from edge3d.train.recipe import load_recipe
        from edge3d.train.run_folder import run_lock
        from edge3d.train.trainer import join_processes
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", "train", str(error.name)) from error
    settings = load_recipe(recipe, overrides, "teacher" if wants_teacher else "student-050")
    if is_teacher(settings.model.name) != wants_teacher:
        wanted = "student" if wants_teacher else "teacher"
        raise RecipeError(
            f"the recipe's model.name is {settings.model.name}: use `edge3d train {wanted}`"
        )
    processes = join_processes()
    try:
        with run_lock(out) if processes.is_main_process else nullcontext():
            _train(settings, out, processes)
    except KeyboardInterrupt:
        console.err.print(f"stopped; the same command resumes from {escape(str(out))}")
        raise typer.Exit(130) from None
    finally:
        processes.destroy_process_group()


def _train(settings: TrainingRecipe, out: Path, processes: PartialState) -> None:
    """Load the faces, train and write the report; the main process holds the run's folder."""
    from edge3d.train.report import write_report
    from edge3d.train.run_folder import checkpoint_name
    from edge3d.train.sources import face_model_of, load_faces
    from edge3d.train.trainer import Trainer, steps_done

    quiet = not processes.is_main_process
    checkpoint, page = out / checkpoint_name(settings), out / "report.html"
    done = steps_done(settings, out)
    is_finished = done >= settings.train.steps
    if is_finished and page.is_file():
        if not quiet:
            console.out.print(
                f"the run in {escape(str(out))} is finished ({done} steps); nothing was written. "
                f"To go on with it, set train.steps above {done}."
            )
        return
    face_model = face_model_of(settings)
    needed = settings.train.steps * settings.train.batch
    # The first process fills the cache, the others read it.
    with processes.main_process_first(), console.progress_bar("faces", 1, quiet) as bar:

        def preparing(what: str, done: int, total: int) -> None:
            bar.update(bar.task_ids[0], description=what, completed=done, total=total)

        faces = load_faces(settings.data, face_model, needed, preparing)
    if not is_finished:
        with console.progress_bar("training", settings.train.steps, quiet) as bar:

            def report(progress: Progress) -> None:
                bar.update(bar.task_ids[0], completed=progress.step)
                bar.console.print(
                    f"step {progress.step:6d}  landmarks {progress.terms['landmarks_2d']:6.3f} %  "
                    f"loss {progress.terms['loss']:7.3f}  "
                    f"{progress.images_per_second:.0f} images/s"
                )

            Trainer(settings, faces, face_model, out, report).run()
    if not quiet:
        write_report(checkpoint, faces, settings.data.held_out, face_model)
        console.out.print(f"wrote {escape(str(checkpoint))}")
        console.out.print(f"look at [bold]{escape(str(page))}[/]")
