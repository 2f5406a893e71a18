"""A student as a camera app wants it: pixels in, parameters and points out, one graph."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edge3d.errors import Edge3dError
from edge3d.face_model import FaceModel
from edge3d.model.contract import OutputSpec
from edge3d.model.decoder import DecoderTables
from edge3d.model.parameters import ParameterLayout
from edge3d.networks.mobilenet import MobileNetV1
from edge3d.networks.point_decoder import camera_of

OUTPUTS = ("params", "landmarks", "vertices")


def output_names(wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the outputs of a graph in order: `params` always, and what else is wanted.

    Raises:
        Edge3dError: an unknown output.
    """
    unknown = [name for name in wanted if name not in OUTPUTS]
    if unknown:
        raise Edge3dError(f"unknown output '{unknown[0]}'; known: {', '.join(OUTPUTS)}")
    return tuple(name for name in OUTPUTS if name == "params" or name in wanted)


def output_specs(
    names: Sequence[str], layout: ParameterLayout, face_model: FaceModel
) -> tuple[OutputSpec, ...]:
    """Return what the contract says of a graph's outputs."""
    specs = {
        "params": OutputSpec("params", (layout.size,), "whitened", "standard deviation"),
        "landmarks": OutputSpec(
            "landmarks", (len(face_model.landmark_triangles), 3), "crop", "pixel"
        ),
        "vertices": OutputSpec("vertices", face_model.mean.shape, "crop", "pixel"),
    }
    return tuple(specs[name] for name in names)


class GraphDecoder(nn.Module):
    """Decodes whitened parameters to points in crop pixels, as `edge3d.model.decoder.Decoder` does.

    Args:
        layout: of the parameters.
        face_model: whose coefficients they hold.
        names: `landmarks`, `vertices` or both.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, layout: ParameterLayout, face_model: FaceModel, names: Sequence[str]
    ) -> None:
        super().__init__()
        self.layout = layout
        self.bounds = face_model.expression_bounds
        self.names = tuple(names)
        self.register_buffer("mean", torch.from_numpy(layout.mean))
        self.register_buffer("std", torch.from_numpy(layout.std))
        tables = DecoderTables(face_model, layout)
        for name in self.names:
            table = tables.landmarks() if name == "landmarks" else tables.vertices()
            self.register_buffer(f"{name}_mean", torch.from_numpy(table.mean[None]))
            self.register_buffer(f"{name}_basis", torch.from_numpy(table.basis))

    def forward(self, whitened: Tensor) -> list[Tensor]:
        """Return the points (B, N, 3) of each name of parameters (B, P)."""
        params = whitened * self.std + self.mean
        expression = self.layout.part(params, "expression")
        if self.bounds is not None:
            expression = expression.clamp(*self.bounds)
        coefficients = torch.cat([self.layout.part(params, "identity"), expression], dim=1)
        linear, translation = camera_of(self.layout, params)
        points = []
        for name in self.names:
            shape = coefficients @ self.get_buffer(f"{name}_basis")
            shape = (shape + self.get_buffer(f"{name}_mean")).reshape(len(whitened), -1, 3)
            points.append(torch.bmm(shape, linear.transpose(1, 2)) + translation[:, None])
        return points


class DeployModule(nn.Module):
    """A student that takes the camera's pixels; cast, layout and decoding are in the graph.

    The normalisation of a `MobileNetV1` is folded into its first layer, in a copy.

    Args:
        network: a student, crops (B, 3, 120, 120) float32 to whitened parameters (B, P).
        layout: of the parameters.
        face_model: whose coefficients they hold.
        outputs: of `OUTPUTS`; `params` always comes first.

    Raises:
        Edge3dError: an unknown output.
    """

    def __init__(
        self,
        network: nn.Module,
        layout: ParameterLayout,
        face_model: FaceModel,
        outputs: Sequence[str] = ("params",),
    ) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        if isinstance(self.network, MobileNetV1):
            self.network.fold_normalisation()
        self.output_names = output_names(outputs)
        points = self.output_names[1:]
        self.decoder = GraphDecoder(layout, face_model, points) if points else None

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return whitened parameters (B, P), or a tuple in the order of `output_names`.

        Args:
            image: (B, 120, 120, 3) RGB 0..255, uint8 or float32. Points are in crop pixels.
        """
        if isinstance(self.network, MobileNetV1):
            whitened = self.network.on_pixels(image.float())
        else:
            whitened = self.network(image.permute(0, 3, 1, 2).float())
        if self.decoder is None:
            return whitened
        return (whitened, *self.decoder(whitened))
