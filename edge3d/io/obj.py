"""Writing Wavefront OBJ files.

Convention: x to the right, y up, z towards the camera, in millimetres; triangles are
counter-clockwise seen from outside.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.io.files import atomic_path
from edge3d.io.mesh import make_trimesh


def write_obj(
    path: str | Path,
    vertices_mm: NDArray,
    triangles: NDArray,
    colours: NDArray[np.uint8] | None = None,
    uv: NDArray | None = None,
) -> None:
    """Write a Wavefront OBJ in millimetres; one vertex a line, in the given order.

    Args:
        path: the file to write.
        vertices_mm: (N, 3).
        triangles: (T, 3) integer.
        colours: (N, 3) uint8 sRGB; written behind the coordinates, as most tools read them.
        uv: (N, 2) texture coordinates, v up.

    Raises:
        MissingExtraError: the package trimesh is not installed.
        OutputError: the file cannot be written.
        ValueError: shapes that do not fit.
    """
    mesh = make_trimesh(vertices_mm, triangles, colours, uv, "writing OBJ files")
    obj = importlib.import_module("trimesh.exchange.obj")
    text = obj.export_obj(
        mesh,
        include_normals=False,
        include_texture=False,
        digits=5,
        header="made by edge3d; millimetres; x right, y up, z towards the camera",
    )
    if uv is not None:  # trimesh writes them only together with a material file
        head, faces = text[: text.index("\nf ")], np.asarray(triangles) + 1
        lines = [head, *(f"vt {u:.6f} {v:.6f}" for u, v in np.asarray(uv, float))]
        lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in faces]
        text = "\n".join(lines)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
