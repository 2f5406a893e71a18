"""Decoding parameters to points with gradients, for losses."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from edge3d.face_model import FaceModel
from edge3d.face_model.dense_points import DensePoints
from edge3d.geometry.tddfa_camera import PROTOCOL_OFFSET_PX
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
    upside: Tensor

    def __init__(self, face_model: FaceModel, layout: ParameterLayout, points: DensePoints) -> None:
        super().__init__()
        basis = np.concatenate([face_model.identity_basis, face_model.expression_basis], axis=2)
        landmark_basis = np.einsum(
            "lk,lkcm->lcm", face_model.landmark_weights, basis[face_model.landmark_triangles]
        )
        mean = np.concatenate(
            [face_model.landmarks(face_model.mean), points.on_target(face_model.mean)]
        )
        basis = np.concatenate([landmark_basis, points.on_target(basis)])
        self.register_buffer("mean", torch.from_numpy(layout.mean))
        self.register_buffer("std", torch.from_numpy(layout.std))
        self.register_buffer("shape_mean", torch.from_numpy(mean.reshape(-1)).float())
        self.register_buffer(
            "shape_basis", torch.from_numpy(basis.reshape(-1, basis.shape[2]).T.copy()).float()
        )
        self.expression = slice(*layout.slices["expression"])
        self.shape = slice(layout.slices["identity"][0], layout.slices["expression"][1])
        self.bounds = face_model.expression_bounds
        self.register_buffer("upside", torch.tensor([[1.0], [-1.0], [1.0]]))
        self.is_affine = layout.camera == "affine"

    def forward(self, whitened: Tensor) -> tuple[Tensor, Tensor]:
        """Return landmarks (B, 68, 3) and dense points (B, D, 3) in crop pixels."""
        points = self.points(whitened * self.std + self.mean)
        return points[:, :68], points[:, 68:]

    def points(self, params: Tensor) -> Tensor:
        """Return landmarks and dense points (B, 68 + D, 3) of parameters (B, P), not whitened."""
        if self.bounds is not None:
            free = params[:, self.expression]
            bounded = free + (free.clamp(*self.bounds) - free).detach()
            params = torch.cat(
                [
                    params[:, : self.expression.start],
                    bounded,
                    params[:, self.expression.stop :],
                ],
                dim=1,
            )
        shape = (self.shape_mean + params[:, self.shape] @ self.shape_basis).unflatten(1, (-1, 3))
        linear, shift = self.camera(params)
        return shape @ linear.transpose(1, 2) + shift[:, None]

    def camera(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Return the linear part (B, 3, 3) and shift (B, 3) of cameras; see `Decoder.camera`."""
        if self.is_affine:
            matrix = params[:, :12].unflatten(1, (3, 4)) * self.upside
            offset = matrix.new_tensor([-PROTOCOL_OFFSET_PX, 121.0 - PROTOCOL_OFFSET_PX, 0.0])
            return matrix[:, :, :3], matrix[:, :, 3] + offset
        first = nn.functional.normalize(params[:, 0:3], dim=1)
        second = params[:, 3:6]
        second = nn.functional.normalize(
            second - (first * second).sum(1, keepdim=True) * first, dim=1
        )
        rotation = torch.stack([first, -second, torch.linalg.cross(first, second)], dim=1)
        return params[:, 6:7, None] * rotation, nn.functional.pad(params[:, 7:9], (0, 1))
