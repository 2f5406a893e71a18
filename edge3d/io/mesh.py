"""What all mesh formats share: checks of the arrays, and the optional packages."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import MissingExtraError


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
    vertices, triangles = check_mesh(vertices_mm, triangles, colours, uv)
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


def check_mesh(
    vertices: NDArray, triangles: NDArray, colours: NDArray | None, uv: NDArray | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return vertices (N, 3) float32 and triangles (T, 3) int64 of arrays that fit together.

    Raises:
        ValueError: a shape, a type or an index that does not fit, or a vertex that is not finite.
    """
    vertices = np.ascontiguousarray(vertices, np.float32)
    triangles = np.asarray(triangles)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or not len(vertices):
        raise ValueError(f"vertices of {vertices.shape}; (N, 3) wanted")
    if not np.isfinite(vertices).all():
        raise ValueError("vertices that are not finite")
    if triangles.ndim != 2 or triangles.shape[1] != 3 or not len(triangles):
        raise ValueError(f"triangles of {triangles.shape}; (T, 3) wanted")
    if not 0 <= triangles.min() <= triangles.max() < len(vertices):
        raise ValueError(f"triangles point beyond {len(vertices)} vertices")
    if colours is not None and (
        np.shape(colours) != (len(vertices), 3) or np.asarray(colours).dtype != np.uint8
    ):
        raise ValueError(f"colours of {np.shape(colours)}; ({len(vertices)}, 3) uint8 wanted")
    if uv is not None and np.shape(uv) != (len(vertices), 2):
        raise ValueError(f"uv of {np.shape(uv)}; ({len(vertices)}, 2) wanted")
    return vertices, triangles.astype(np.int64)
