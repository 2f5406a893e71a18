"""Writing binary PLY files.

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


def write_ply(
    path: str | Path,
    vertices_mm: NDArray,
    triangles: NDArray,
    colours: NDArray[np.uint8] | None = None,
    uv: NDArray | None = None,
) -> None:
    """Write a binary PLY in millimetres.

    Args and errors: as `write_obj`; texture coordinates become the properties `s` and `t`.
    """
    mesh = make_trimesh(vertices_mm, triangles, colours, uv, "writing PLY files")
    if uv is not None:
        mesh.vertex_attributes["s"], mesh.vertex_attributes["t"] = np.asarray(uv, np.float32).T
    ply = importlib.import_module("trimesh.exchange.ply")
    content = ply.export_ply(mesh, encoding="binary", vertex_normal=False)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
