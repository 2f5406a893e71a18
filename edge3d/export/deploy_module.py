"""A student as a camera app wants it: pixels in, parameters and points out, one graph."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from edge3d.errors import Edge3dError
from edge3d.face_model import FaceModel
from edge3d.geometry.tddfa_camera import PROTOCOL_OFFSET_PX
from edge3d.model.contract import OutputSpec
from edge3d.model.parameters import ParameterLayout
from edge3d.networks.mobilenet import MobileNetV1

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

    Written in operations that every converter knows.

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
        modes = np.concatenate([face_model.identity_basis, face_model.expression_basis], axis=2)
        count = modes.shape[2]
        for name in self.names:
            shape, basis = face_model.mean, modes.reshape(len(modes), 3 * count)
            if name == "landmarks":
                shape, basis = face_model.landmarks(shape), face_model.landmarks(basis)
            basis = basis.reshape(-1, count).T.astype(np.float32)
            self.register_buffer(f"{name}_shape", torch.from_numpy(shape.reshape(1, -1).copy()))
            self.register_buffer(f"{name}_basis", torch.from_numpy(basis.copy()))

    def forward(self, whitened: Tensor) -> list[Tensor]:
        """Return the points (B, N, 3) of each name of parameters (B, P)."""
        params = whitened * self.std + self.mean
        expression = self._part(params, "expression")
        if self.bounds is not None:
            expression = expression.clamp(*self.bounds)
        coefficients = torch.cat([self._part(params, "identity"), expression], dim=1)
        linear, translation = self._camera(params)
        points = []
        for name in self.names:
            shape = coefficients @ self.get_buffer(f"{name}_basis")
            shape = (shape + self.get_buffer(f"{name}_shape")).reshape(len(whitened), -1, 3)
            points.append(torch.bmm(shape, linear.transpose(1, 2)) + translation)
        return points

    def _part(self, params: Tensor, name: str) -> Tensor:
        start, stop = self.layout.slices[name]
        return params[:, start:stop]

    def _camera(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Return linear parts (B, 3, 3) and translations (B, 1, 3), y down."""
        zero = torch.zeros_like(params[:, :1])
        if self.layout.camera == "affine":
            matrix = self._part(params, "camera").reshape(len(params), 3, 4)
            rows = [matrix[:, 0, :3], -matrix[:, 1, :3], matrix[:, 2, :3]]
            shift_x = matrix[:, 0, 3:] - PROTOCOL_OFFSET_PX
            shift_y = 121.0 - PROTOCOL_OFFSET_PX - matrix[:, 1, 3:]
            shift = torch.cat([shift_x, shift_y, matrix[:, 2, 3:]], dim=1)
            return torch.stack(rows, dim=1), shift[:, None]
        six, scale = self._part(params, "rotation"), self._part(params, "scale")
        first = _unit(six[:, :3])
        second = six[:, 3:]
        second = _unit(second - (first * second).sum(dim=1, keepdim=True) * first)
        x1, y1, z1 = first[:, 0:1], first[:, 1:2], first[:, 2:3]
        x2, y2, z2 = second[:, 0:1], second[:, 1:2], second[:, 2:3]
        third = torch.cat([y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2], dim=1)
        rows = [scale * first, -scale * second, scale * third]
        shift = torch.cat([self._part(params, "translation"), zero], dim=1)
        return torch.stack(rows, dim=1), shift[:, None]


def _unit(vectors: Tensor) -> Tensor:
    """Return vectors (B, 3) with length 1."""
    length = (vectors * vectors).sum(dim=1, keepdim=True).sqrt()
    return vectors / length.clamp(min=1e-8)


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
