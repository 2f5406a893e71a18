from __future__ import annotations

import pytest

from edge3d.errors import Edge3dError
from edge3d.face_model import FaceModel
from edge3d.model.parameters import ParameterLayout, make_layout

torch = pytest.importorskip("torch", reason="no PyTorch: needs the extra export")

from edge3d.export.deploy_module import (  # noqa: E402
    DeployModule,
    GraphDecoder,
    output_names,
    output_specs,
)


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
