"""The `edge3d` command and its sub-commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import edge3d
from edge3d.cli import console
from edge3d.cli.bench import bench
from edge3d.cli.calibrate import calibrate
from edge3d.cli.demo import demo
from edge3d.cli.evaluate import evaluate
from edge3d.cli.export import export
from edge3d.cli.face_model import face_model_app
from edge3d.cli.info import info
from edge3d.cli.label import label
from edge3d.cli.reconstruct import reconstruct
from edge3d.cli.serve import serve
from edge3d.cli.track import track
from edge3d.cli.train import train_app
from edge3d.cli.validate import validate
from edge3d.errors import Edge3dError

app = typer.Typer(
    name="edge3d",
    help="3D faces from single images: reconstruct, evaluate, train, export.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(reconstruct)
app.command()(track)
app.command()(info)
app.command()(evaluate)
app.command()(label)
app.command()(calibrate)
app.command()(export)
app.command()(serve)
app.command()(validate)
app.command()(bench)
app.command()(demo)
app.add_typer(train_app, name="train")
app.add_typer(face_model_app, name="face-model")


GREETING = """\
edge3d: 3D faces from single images.

  edge3d demo               everything on the bundled portrait, with a report
  edge3d reconstruct PHOTO  overlay, pose, blendshapes, mesh of each face
  edge3d track VIDEO        follow faces in a video or a camera
  edge3d export             model files for phones, browsers, desktops, boards
  edge3d train student      train a network of your own

edge3d --help lists all commands, edge3d COMMAND --help their options."""


def _version(wanted: bool) -> None:
    if wanted:
        console.out.print(f"edge3d {edge3d.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        console.out.print(GREETING)


def run() -> None:
    """Run the command; a user's mistake ends with its message and exit code 2."""
    try:
        app()
    except Edge3dError as error:
        console.err.print(f"[bold red]error:[/] {_escaped(str(error))}")
        sys.exit(2)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
