"""Decoding parameters to points with gradients, for losses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge3d.face_model import FaceModel
from edge3d.face_model.dense_points import DensePoints
from edge3d.geometry.tddfa_camera import ORIGIN_PX
from edge3d.model.decoder import DecoderTables
from edge3d.model.parameters import ParameterLayout


class PointDecoder(nn.Module):
    """Decodes whitened parameters of either layout to landmarks and dense points, with gradients.

    The same as `edge3d.model.decoder.Decoder` (a test compares them), for the few points that a
    loss needs. Expressions are bounded, but a gradient passes through the bound, so that a
    coefficient which left it finds back.

    Args:
        face_model: the face model. layout: of the parameters. points: the dense points.
    """

    mean: Tensor
    std: Tensor
    shape_mean: Tensor
    shape_basis: Tensor

    def __init__(self, face_model: FaceModel, layout: ParameterLayout, points: DensePoints) -> None:
        super().__init__()
        table = DecoderTables(face_model, layout).landmarks_and(points)
        self.layout = layout
        self.bounds = face_model.expression_bounds
        self.register_buffer("mean", torch.from_numpy(layout.mean))
        self.register_buffer("std", torch.from_numpy(layout.std))
        self.register_buffer("shape_mean", torch.from_numpy(table.mean))
        self.register_buffer("shape_basis", torch.from_numpy(table.basis))

    def forward(self, whitened: Tensor) -> tuple[Tensor, Tensor]:
        """Return landmarks (B, 68, 3) and dense points (B, D, 3) in crop pixels."""
        points = self.points(whitened * self.std + self.mean)
        return points[:, :68], points[:, 68:]

    def points(self, params: Tensor) -> Tensor:
        """Return landmarks and dense points (B, 68 + D, 3) of parameters (B, P), not whitened."""
        if self.bounds is not None:
            start, stop = self.layout.slices["expression"]
            free = params[:, start:stop]
            bounded = free + (free.clamp(*self.bounds) - free).detach()
            params = torch.cat([params[:, :start], bounded, params[:, stop:]], dim=1)
        coefficients = self.layout.coefficients(params)
        shape = (self.shape_mean + coefficients @ self.shape_basis).unflatten(1, (-1, 3))
        linear, shift = camera_of(self.layout, params)
        return shape @ linear.transpose(1, 2) + shift[:, None]


def camera_of(layout: ParameterLayout, params: Tensor) -> tuple[Tensor, Tensor]:
    """Return the linear part (B, 3, 3) and translation (B, 3) of the cameras of (B, P).

    As `edge3d.model.camera.camera_of`, in operations that every converter of models knows.
    """
    if layout.camera == "affine":
        matrix = layout.part(params, "camera").reshape(len(params), 3, 4)
        rows = [matrix[:, 0, :3], -matrix[:, 1, :3], matrix[:, 2, :3]]
        x, y, z = ORIGIN_PX
        shift = [matrix[:, 0, 3:] + x, y - matrix[:, 1, 3:], matrix[:, 2, 3:] + z]
        return torch.stack(rows, dim=1), torch.cat(shift, dim=1)
    first, second, third = rotation_rows(layout.part(params, "rotation"))
    scale = layout.part(params, "scale")
    rows = [scale * first, -scale * second, scale * third]
    shift = [layout.part(params, "translation"), torch.zeros_like(scale)]
    return torch.stack(rows, dim=1), torch.cat(shift, dim=1)


def rotation_rows(six: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three rows (B, 3) of proper rotations from two rows each (B, 6).

    As `edge3d.geometry.pose.rotation_from_6d`, which see.
    """
    first = _unit(six[:, :3])
    second = six[:, 3:]
    second = _unit(second - (first * second).sum(dim=1, keepdim=True) * first)
    x1, y1, z1 = first[:, 0:1], first[:, 1:2], first[:, 2:3]
    x2, y2, z2 = second[:, 0:1], second[:, 1:2], second[:, 2:3]
    third = torch.cat([y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2], dim=1)
    return first, second, third


def _unit(vectors: Tensor) -> Tensor:
    """Return vectors (B, 3) with length 1."""
    squared = (vectors * vectors).sum(dim=1, keepdim=True)
    return vectors / squared.clamp(min=1e-16).sqrt()  # finite with a finite gradient at 0
