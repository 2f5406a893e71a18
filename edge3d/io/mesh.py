"""What all mesh formats share: checks of the arrays, and the optional packages."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import MissingExtraError
from edge3d.geometry.mesh import check_mesh


def make_trimesh(
    vertices_mm: NDArray,
    triangles: NDArray,
    colours: NDArray | None,
    uv: NDArray | None,
    feature: str,
) -> Any:
    """Return a `trimesh.Trimesh` with the vertices in the given order.

    Args and errors: as `edge3d.io.obj.write_obj`; `feature` names the caller in the message.
    """
    trimesh = import_package("trimesh", feature)
    vertices, triangles = check_surface(vertices_mm, triangles, colours, uv)
    # Without process=False trimesh merges and reorders vertices.
    return trimesh.Trimesh(
        vertices=vertices, faces=triangles, vertex_colors=colours, process=False, validate=False
    )


def import_package(package: str, feature: str) -> Any:
    """Import a package of the extra `cli`.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingExtraError(feature, "cli", package) from error


def check_surface(
    vertices: NDArray, triangles: NDArray, colours: NDArray | None, uv: NDArray | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return vertices (N, 3) float32 and triangles (T, 3) int64 of arrays that can be written.

    Raises:
        ValueError: as `check_mesh`, no vertex or triangle, or colours (N, 3) or texture
            coordinates (N, 2) of another shape or type.
    """
    vertices, triangles = check_mesh(vertices, triangles)
    if not len(vertices) or not len(triangles):
        raise ValueError(f"mesh has {len(vertices)} vertices and {len(triangles)} triangles")
    if colours is not None and (
        np.shape(colours) != (len(vertices), 3) or np.asarray(colours).dtype != np.uint8
    ):
        raise ValueError(
            f"colours have shape {np.shape(colours)}, expected ({len(vertices)}, 3) uint8"
        )
    if uv is not None and np.shape(uv) != (len(vertices), 2):
        raise ValueError(f"uv has shape {np.shape(uv)}, expected ({len(vertices)}, 2)")
    return vertices, triangles.astype(np.int64)
