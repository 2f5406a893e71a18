"""`edge3d reconstruct`: photos and folders in, pictures, meshes and numbers out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.markup import escape

from edge3d import mesh_io, render
from edge3d.cli import console
from edge3d.errors import Edge3dError, ImageError
from edge3d.files import atomic_path
from edge3d.image_io import list_images, read_image, write_image
from edge3d.reconstructor import Face, FaceReconstructor

Pixels = NDArray[np.uint8]

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


def parse_save(text: str) -> tuple[str, ...]:
    """Return the kinds of results that a comma-separated list names.

    Raises:
        Edge3dError: an unknown kind, or none.
    """
    kinds = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [kind for kind in kinds if kind not in SAVERS]
    if unknown or not kinds:
        raise Edge3dError(
            f"--save {text}: {', '.join(unknown) or 'nothing'} cannot be saved; "
            f"choose from {', '.join(SAVERS)}"
        )
    return kinds


def save_faces(
    reconstructor: FaceReconstructor,
    image: Pixels,
    faces: list[Face],
    out: Path,
    name: str,
    kinds: tuple[str, ...],
    source: str,
) -> None:
    """Write a picture's results to `out`, each file named after `name`.

    Raises:
        OutputError: a file cannot be written.
    """
    for kind in kinds:
        SAVERS[kind](reconstructor, image, faces, out, name, source)


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


def _picture_saver(
    suffix: str, draw: Callable[[FaceReconstructor, Pixels, Face], Pixels]
) -> Callable[..., None]:
    """Return a saver that draws all faces, the farthest first, into one picture."""

    def save(
        reconstructor: FaceReconstructor,
        image: Pixels,
        faces: list[Face],
        out: Path,
        name: str,
        source: str,
    ) -> None:
        picture = image
        for face in sorted(faces, key=lambda face: face.pose.scale_px):
            picture = draw(reconstructor, picture, face)
        write_image(out / f"{name}_{suffix}.jpg", picture)

    return save


def draw_overlay(reconstructor: FaceReconstructor, picture: Pixels, face: Face) -> Pixels:
    """Return a picture with a face's shaded mesh over it."""
    model = reconstructor.face_model
    return render.draw_mesh(picture, face.vertices_px, model.mask_triangles, opacity=model.mask)


def _draw_wireframe(reconstructor: FaceReconstructor, picture: Pixels, face: Face) -> Pixels:
    return render.draw_wireframe(picture, face.vertices_px, reconstructor.face_model.mask_triangles)


def _draw_landmarks(_: FaceReconstructor, picture: Pixels, face: Face) -> Pixels:
    return render.draw_landmarks(picture, face.landmarks_px)


def _draw_pose(_: FaceReconstructor, picture: Pixels, face: Face) -> Pixels:
    size = 0.5 * float(np.ptp(face.landmarks_px[:, :2], axis=0).max())
    return render.draw_pose(picture, face.pose.rotation, face.landmarks_px[30, :2], size)


def _save_depth(
    reconstructor: FaceReconstructor,
    image: Pixels,
    faces: list[Face],
    out: Path,
    name: str,
    source: str,
) -> None:
    depth = np.zeros_like(image)
    for face in faces:
        own = render.draw_depth(
            face.vertices_px, reconstructor.face_model.triangles, image.shape[:2]
        )
        depth = np.maximum(depth, own if own.ndim == 3 else own[..., None])
    write_image(out / f"{name}_depth.png", depth)


def _mesh_saver(suffix: str) -> Callable[..., None]:
    """Return a saver that writes one mesh file a face, in millimetres, y up."""

    def save(
        reconstructor: FaceReconstructor,
        image: Pixels,
        faces: list[Face],
        out: Path,
        name: str,
        source: str,
    ) -> None:
        model = reconstructor.face_model
        for number, face in enumerate(faces):
            path = out / f"{name}_face{number}.{suffix}"
            colours = render.vertex_colours(image, face.vertices_px)
            if suffix == "glb":
                targets = {
                    label: model.expression_basis[:, :, i] * model.unit_mm
                    for i, label in enumerate(model.expression_names)
                }
                mesh_io.write_glb(
                    path,
                    reconstructor.neutral_vertices(face) * model.unit_mm,
                    model.triangles,
                    colours=colours,
                    morph_targets=targets,
                    weights=face.blendshapes,
                )
            else:
                write = mesh_io.write_obj if suffix == "obj" else mesh_io.write_ply
                shape = reconstructor.expressive_vertices(face) * model.unit_mm
                write(path, shape, model.triangles, colours=colours)

    return save


def _save_json(
    reconstructor: FaceReconstructor,
    image: Pixels,
    faces: list[Face],
    out: Path,
    name: str,
    source: str,
) -> None:
    content: dict[str, Any] = {
        "source": source,
        "size_hw": list(image.shape[:2]),
        "model": reconstructor.contract.architecture,
        "face_model": reconstructor.face_model.name,
        "faces": [face_to_dict(face) for face in faces],
    }
    with atomic_path(out / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def face_to_dict(face: Face) -> dict[str, Any]:
    """Return what JSON says of a face: box, pose, landmarks, blendshapes, parameters."""
    return {
        "box_xyxy": np.round(face.box_xyxy, 3).tolist(),
        "score": round(face.score, 4),
        "pose": {
            "yaw_deg": round(face.pose.yaw_deg, 3),
            "pitch_deg": round(face.pose.pitch_deg, 3),
            "roll_deg": round(face.pose.roll_deg, 3),
            "rotation": np.round(face.pose.rotation.astype(float), 6).tolist(),
            "scale_px": round(face.pose.scale_px, 6),
            "translation_px": np.round(face.pose.translation_px.astype(float), 3).tolist(),
        },
        "landmarks_px": np.round(face.landmarks_px.astype(float), 3).tolist(),
        "blendshapes": {name: round(value, 4) for name, value in face.blendshapes.items()},
        "params": np.round(face.params.astype(float), 6).tolist(),
    }


SAVERS: dict[str, Callable[..., None]] = {
    "overlay": _picture_saver("overlay", draw_overlay),
    "landmarks": _picture_saver("landmarks", _draw_landmarks),
    "mesh": _picture_saver("mesh", _draw_wireframe),
    "pose": _picture_saver("pose", _draw_pose),
    "depth": _save_depth,
    "json": _save_json,
    "obj": _mesh_saver("obj"),
    "ply": _mesh_saver("ply"),
    "glb": _mesh_saver("glb"),
}
