"""`edge3d reconstruct`: photos and folders in, pictures, meshes and numbers out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from edge3d.cli import console
from edge3d.errors import Edge3dError, ImageError
from edge3d.io.image import list_images, read_image
from edge3d.reconstruct.face import Face
from edge3d.reconstruct.reconstructor import FaceReconstructor
from edge3d.reconstruct.savers import parse_save, save_faces

DEFAULT_SAVE = "overlay,landmarks,pose,json,glb"


def reconstruct(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Pictures, or folders of pictures.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results; it is made.")] = Path(
        "runs/reconstruct"
    ),
    save: Annotated[
        str,
        typer.Option(
            help="What to write, by commas: overlay, landmarks, mesh, pose, depth (pictures), "
            "json, obj, ply, glb."
        ),
    ] = DEFAULT_SAVE,
    model: Annotated[
        Path | None, typer.Option(help="Model file; the bundled student if not given.")
    ] = None,
    face_model: Annotated[
        str | None, typer.Option(help="Name or file of the face model, if not the file's own.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the network.")] = 1,
) -> None:
    """Reconstruct the faces of photos: overlays, landmarks, pose, blendshapes, meshes."""
    wanted = parse_save(save)
    pictures, problems = _collect(inputs)
    reconstructor = FaceReconstructor(model, face_model=face_model, threads=threads)
    names = _result_names(pictures)
    total = 0
    with console.progress_bar("reconstructing", len(pictures)) as progress:
        for path, name in zip(pictures, names, strict=True):
            try:
                image = read_image(path)
            except ImageError as error:
                problems.append(str(error))
                progress.console.print(f"[red]skipped[/] {escape(str(error))}")
            else:
                faces = reconstructor.reconstruct(image)
                total += len(faces)
                save_faces(reconstructor, image, faces, out, name, wanted, source=path.name)
                progress.console.print(_summary(path, faces), style="default")
            progress.advance(progress.task_ids[0])
    console.out.print(
        f"{total} {'face' if total == 1 else 'faces'} in {len(pictures)} "
        f"{'picture' if len(pictures) == 1 else 'pictures'}; results are in {escape(str(out))}"
    )
    if problems:
        console.err.print(f"[bold red]{len(problems)} could not be read:[/]")
        for problem in problems:
            console.err.print(f"  {escape(problem)}")
        raise typer.Exit(1)


def _collect(inputs: list[Path]) -> tuple[list[Path], list[str]]:
    """Return the pictures of files and folders, and what is wrong with the others."""
    pictures: list[Path] = []
    problems: list[str] = []
    for path in inputs:
        try:
            pictures += list_images(path) if path.is_dir() else [path]
        except ImageError as error:
            problems.append(str(error))
    if not pictures:
        raise Edge3dError("; ".join(problems))
    return pictures, problems


def _result_names(pictures: list[Path]) -> list[str]:
    """Return a name for each picture's results: its stem, made unique where two are alike."""
    names: list[str] = []
    for path in pictures:
        name, number = path.stem, 2
        if sum(other.stem == path.stem for other in pictures) > 1:
            name = f"{path.stem}-{path.suffix[1:].lower()}"
        base = name
        while name in names:
            name, number = f"{base}-{number}", number + 1
        names.append(name)
    return names


def _summary(path: Path, faces: list[Face]) -> str:
    if not faces:
        return f"{escape(path.name)}: no face found"
    poses = "; ".join(
        f"yaw {face.pose.yaw_deg:+.0f}, pitch {face.pose.pitch_deg:+.0f}, "
        f"roll {face.pose.roll_deg:+.0f} deg"
        for face in faces[:3]
    )
    more = f" and {len(faces) - 3} more" if len(faces) > 3 else ""
    return f"{escape(path.name)}: {len(faces)} face{'s' * (len(faces) > 1)} ({poses}{more})"
