"""Decoding in the graph gives the points that `edge3d.model.decoder.Decoder` gives."""

from __future__ import annotations

import numpy as np
import pytest

from edge3d.errors import Edge3dError
from edge3d.face_model import FaceModel
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import ParameterLayout, make_layout

torch = pytest.importorskip("torch", reason="no PyTorch: needs the extra export")

from edge3d.export.deploy_module import (  # noqa: E402
    DeployModule,
    GraphDecoder,
    output_names,
    output_specs,
)


def _affine(open_model: FaceModel) -> ParameterLayout:
    plain = make_layout("affine", open_model)
    mean, std = np.zeros(plain.size), np.full(plain.size, 0.2)
    mean[:12] = [0.6, 0, 0, 60, 0, 0.6, 0, 55, 0, 0, 0.6, -3]
    std[:12] = 0.05
    return make_layout("affine", open_model, mean, std)


@pytest.mark.parametrize("camera", ["rotation6d", "affine"])
def test_points_equal_decoder(
    camera: str, layout: ParameterLayout, open_model: FaceModel, rng: np.random.Generator
) -> None:
    layout = layout if camera == "rotation6d" else _affine(open_model)
    whitened = rng.normal(0, 2, (4, layout.size)).astype(np.float32)
    decoder = Decoder(open_model, layout)
    params = decoder.params(whitened)
    free = layout.part(layout.unwhiten(whitened), "expression")
    assert (free < 0).any()  # the bound is put to the test
    graph = GraphDecoder(layout, open_model, ("landmarks", "vertices"))
    landmarks, vertices = (points.numpy() for points in graph(torch.from_numpy(whitened)))
    np.testing.assert_allclose(landmarks, decoder.landmarks(params), atol=1e-3)
    np.testing.assert_allclose(vertices, decoder.vertices(params), atol=1e-3)


def test_rotation_of_zeros_is_finite(layout: ParameterLayout, open_model: FaceModel) -> None:
    layout = make_layout("rotation6d", open_model, layout.mean * 0, layout.std)
    (points,) = GraphDecoder(layout, open_model, ("landmarks",))(torch.zeros(1, layout.size))
    assert torch.isfinite(points).all()


def test_pixels_of_either_type(layout: ParameterLayout, open_model: FaceModel) -> None:
    class Corner(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert images.dtype == torch.float32
            assert images.shape[1:] == (3, 120, 120)
            return images[:, :, 5, 7]

    images = torch.zeros(2, 120, 120, 3, dtype=torch.uint8)
    images[1, 5, 7] = torch.tensor([10, 20, 250], dtype=torch.uint8)
    model = DeployModule(Corner(), layout, open_model)
    assert model(images)[1].tolist() == [10, 20, 250]
    assert model(images.float())[1].tolist() == [10, 20, 250]


def test_outputs(layout: ParameterLayout, open_model: FaceModel) -> None:
    assert output_names(()) == ("params",)
    assert output_names(("vertices", "params")) == ("params", "vertices")
    with pytest.raises(Edge3dError, match="unknown output 'mesh'; known: params, landmarks, vert"):
        output_names(("mesh",))
    params, landmarks, vertices = output_specs(
        ("params", "landmarks", "vertices"), layout, open_model
    )
    assert (params.frame, params.unit) == ("whitened", "standard deviation")
    assert (landmarks.shape, landmarks.frame, landmarks.unit) == ((68, 3), "crop", "pixel")
    assert vertices.shape == open_model.mean.shape
