"""Rendering faces of given parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.augment import AugmentConfig, change_pixels
from edge3d.datasets.synthetic.anatomy import segment_vertices
from edge3d.datasets.synthetic.appearance import paint
from edge3d.face_model import FaceModel
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout

BATCH = 8  # faces decoded at once

CAMERA = AugmentConfig(
    photometric=0.2, blur=0.2, low_resolution=0.15, jpeg=0.2, noise=0.15, grey=0.05, occlusion=0.25
)


def render_faces(
    params: NDArray[np.float32],
    face_model: FaceModel,
    seed: int,
    crops: NDArray[np.uint8],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw a picture of every face of `params` (N, P) into `crops` (N, 120, 120, 3)."""
    decoder = Decoder(face_model, make_layout("rotation6d", face_model))
    anatomy = segment_vertices(face_model)
    for start in range(0, len(params), BATCH):
        batch = params[start : start + BATCH]
        # Always of one size: BLAS sums in another order for another, and pixels could change.
        meshes_px = decoder.vertices(np.resize(batch, (BATCH, params.shape[1])))
        for number, row in enumerate(batch, start):
            rng = np.random.default_rng((seed, number, 1))
            px_per_mm = float(decoder.layout.part(row, "scale")[0]) / face_model.unit_mm
            mesh_px = meshes_px[number - start]
            picture = paint(anatomy, mesh_px, face_model.triangles, px_per_mm, rng)
            crops[number] = change_pixels(picture, CAMERA, rng)
            if progress is not None:
                progress(number + 1, len(params))
