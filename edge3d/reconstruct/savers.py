"""Saving the faces of an image: overlays, meshes, JSON. One saver a kind of result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import Edge3dError
from edge3d.io import glb, obj, ply
from edge3d.io.files import atomic_path
from edge3d.io.image import write_image
from edge3d.reconstruct.face import Face
from edge3d.reconstruct.reconstructor import FaceReconstructor
from edge3d.reconstruct.schema import face_to_dict
from edge3d.viz import drawing, overlays

Pixels = NDArray[np.uint8]


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
    return overlays.draw_mesh(picture, face.vertices_px, model.mask_triangles, opacity=model.mask)


def _draw_wireframe(reconstructor: FaceReconstructor, picture: Pixels, face: Face) -> Pixels:
    return overlays.draw_wireframe(
        picture, face.vertices_px, reconstructor.face_model.mask_triangles
    )


def _draw_landmarks(_: FaceReconstructor, picture: Pixels, face: Face) -> Pixels:
    return drawing.draw_landmarks(picture, face.landmarks_px)


def _draw_pose(_: FaceReconstructor, picture: Pixels, face: Face) -> Pixels:
    size = 0.5 * float(np.ptp(face.landmarks_px[:, :2], axis=0).max())
    return drawing.draw_pose(picture, face.pose.rotation, face.landmarks_px[30, :2], size)


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
        own = overlays.draw_depth(
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
            colours = overlays.vertex_colours(image, face.vertices_px)
            if suffix == "glb":
                targets = {
                    label: model.expression_basis[:, :, i] * model.unit_mm
                    for i, label in enumerate(model.expression_names)
                }
                glb.write_glb(
                    path,
                    reconstructor.neutral_vertices(face) * model.unit_mm,
                    model.triangles,
                    colours=colours,
                    morph_targets=targets,
                    weights=face.blendshapes,
                )
            else:
                write = obj.write_obj if suffix == "obj" else ply.write_ply
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
