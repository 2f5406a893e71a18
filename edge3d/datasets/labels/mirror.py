"""Parameters of mirrored faces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from edge3d.face_model import FaceModel
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.geometry.mirror import mirror_rotation, mirror_x
from edge3d.model.parameters import make_layout


def mirror_params(params: NDArray, face_model: FaceModel) -> NDArray[np.float32]:
    """Return `rotation6d` parameters (N, P) of the mirror images of faces.

    A rotation R becomes S R S with S = diag(-1, 1, 1); left and right expressions change places;
    the identity is the least squares fit of the mirrored one.
    """
    layout = make_layout("rotation6d", face_model)
    mirrored = np.array(params, np.float32)
    rows = layout.part(params, "rotation").reshape(-1, 2, 3)
    layout.part(mirrored, "rotation")[:] = mirror_rotation(rows).reshape(-1, 6)
    layout.part(mirrored, "translation")[:, 0] = (
        CROP_SIZE_PX - 1 - layout.part(params, "translation")[:, 0]
    )
    opposite = mirrored_vertices(face_model)
    basis = face_model.identity_basis
    flipped = mirror_x(basis[opposite].transpose(0, 2, 1)).transpose(0, 2, 1)
    modes = face_model.identity_count
    fit = np.linalg.lstsq(basis.reshape(-1, modes), flipped.reshape(-1, modes), rcond=None)[0]
    layout.part(mirrored, "identity")[:] = layout.part(params, "identity") @ fit.T
    names = list(face_model.expression_names)
    partner = [names.index(_other_side(name)) for name in names]
    layout.part(mirrored, "expression")[:] = layout.part(params, "expression")[:, partner]
    return mirrored


def _other_side(name: str) -> str:
    for here, there in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(here):
            return name.removesuffix(here) + there
    return name


def mirrored_vertices(face_model: FaceModel) -> NDArray[np.int64]:
    """Return the vertex (V,) that is where a mirror takes each vertex."""
    mirrored = mirror_x(face_model.mean)
    return np.asarray(cKDTree(face_model.mean).query(mirrored)[1], np.int64)
