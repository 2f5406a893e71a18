"""The NumPy decoder, the one with gradients and the one in exported graphs give the same points."""

from __future__ import annotations

import numpy as np
import pytest

from edge3d.face_model import FaceModel
from edge3d.face_model.dense_points import DensePoints
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import ParameterLayout, make_layout

torch = pytest.importorskip("torch", reason="no PyTorch: needs the extra train or export")

from edge3d.export.deploy_module import GraphDecoder  # noqa: E402
from edge3d.networks.point_decoder import PointDecoder  # noqa: E402

CAMERAS = {
    "affine": [0.6, 0, 0, 60, 0, 0.6, 0, 55, 0, 0, 0.6, -3],
    "rotation6d": [1, 0, 0, 0, 1, 0, 0.6, 60, 65],
}


def layout_of(camera: str, face_model: FaceModel) -> ParameterLayout:
    """Return a layout whose mean is a face in the middle of the crop."""
    size = make_layout(camera, face_model).size
    mean, std = np.zeros(size), np.full(size, 0.2)
    numbers = CAMERAS[camera]
    mean[: len(numbers)], std[: len(numbers)] = numbers, 0.05
    return make_layout(camera, face_model, mean, std)


@pytest.mark.parametrize("camera", CAMERAS)
def test_all_decoders_agree(
    camera: str, open_model: FaceModel, dense_points: DensePoints, rng: np.random.Generator
) -> None:
    layout = layout_of(camera, open_model)
    whitened = rng.normal(0, 2, (4, layout.size)).astype(np.float32)
    free = layout.part(layout.unwhiten(whitened), "expression")
    assert (free < 0).any()  # the bounds of the expressions are put to the test

    decoder = Decoder(open_model, layout)
    params = decoder.params(whitened)
    landmarks, vertices = decoder.landmarks(params), decoder.vertices(params)

    in_graph = GraphDecoder(layout, open_model, ("landmarks", "vertices"))
    with torch.no_grad():
        found = [points.numpy() for points in in_graph(torch.from_numpy(whitened))]
    np.testing.assert_allclose(found[0], landmarks, atol=1e-3)
    np.testing.assert_allclose(found[1], vertices, atol=1e-3)

    with_gradients = PointDecoder(open_model, layout, dense_points)
    marks, dense = (points.numpy() for points in with_gradients(torch.from_numpy(whitened)))
    np.testing.assert_allclose(marks, landmarks, atol=1e-3)
    expected = np.stack([dense_points.on_target(mesh) for mesh in vertices])
    np.testing.assert_allclose(dense, expected, atol=1e-3)
