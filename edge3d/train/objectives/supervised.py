"""What a student is trained to reduce: named terms, each a pure function of predictions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from edge3d.decode import PROTOCOL_OFFSET_PX
from edge3d.face_model import FaceModel
from edge3d.landmarks68 import GAPS
from edge3d.parameters import ParameterLayout
from edge3d.train.labels import DensePoints


class PointDecoder(nn.Module):
    """Decodes whitened parameters of either layout to landmarks and dense points, with gradients.

    The same as `edge3d.decode.Decoder` (a test holds them together), for the few points that a
    loss looks at. Expressions are bounded, but a gradient passes through the bound, so that a
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


def supervised_terms(
    whitened: Tensor,
    landmarks: Tensor,
    dense: Tensor,
    target: dict[str, Tensor],
    std: Tensor,
    mean: Tensor,
) -> dict[str, Tensor]:
    """Return the terms of supervised training, each a mean over the faces where it is known.

    Args:
        whitened: (B, P) predicted. landmarks: (B, 68, 3), dense: (B, D, 3), decoded from it.
        target: `params` (B, P) not whitened, `landmarks`, `dense` like the predictions; NaN where
            they are not known.
        std, mean: (P,) the whitening.

    Returns:
        landmarks_2d: mean distance in % of the root of the landmark box's area, as the NME.
        landmarks_z: mean distance in depth, likewise. dense_3d: likewise, all axes.
        gaps: likewise, of the differences between lids and between lips in the picture: a lid is a
            small part of the landmarks' mean, and where the whole eye is matters less for a blink.
        params: mean squared difference of whitened parameters; beyond 4 it goes on as a line, so
            that rare values do not rule it, and a coefficient far beyond its bounds finds back.
    """
    known = target["landmarks"]
    planar_known = known[..., :2].isfinite().all(2, keepdim=True)
    low = torch.where(planar_known, known[..., :2], torch.inf).amin(1)
    high = torch.where(planar_known, known[..., :2], -torch.inf).amax(1)
    scale = 100.0 / (high - low).clamp_min(1.0).prod(dim=1).sqrt()
    # Depth is known up to a shift only: the camera is orthographic.
    depth, known_depth = _centred(landmarks[..., 2:]), _centred(known[..., 2:])
    cloud = target["dense"]
    wanted = (target["params"] - mean) / std
    present = wanted.isfinite().all(1)
    offset = torch.where(present[:, None], whitened - wanted, 0.0)
    above, below = torch.tensor(GAPS, device=landmarks.device).T
    return {
        "landmarks_2d": _mean_distance(landmarks[..., :2], known[..., :2], scale),
        "landmarks_z": _mean_distance(depth, known_depth, scale),
        "dense_3d": _mean_distance(
            torch.cat([dense[..., :2], _centred(dense[..., 2:])], 2),
            torch.cat([cloud[..., :2], _centred(cloud[..., 2:])], 2),
            scale,
        ),
        "gaps": _mean_distance(
            (landmarks[:, above] - landmarks[:, below])[..., :2],
            (known[:, above] - known[:, below])[..., :2],
            scale,
        ),
        "params": _mean_of(squared_then_linear(offset).mean(1), present),
    }


def squared_then_linear(offset: Tensor, limit: float = 4.0) -> Tensor:
    """Return twice Huber's loss: the square up to a limit, its tangent beyond."""
    return 2 * nn.functional.huber_loss(
        offset, torch.zeros_like(offset), reduction="none", delta=limit
    )


def _mean_distance(predicted: Tensor, known: Tensor, scale: Tensor) -> Tensor:
    """Return the mean over faces of the mean scaled distance of their known points.

    Args:
        predicted: (B, N, C). known: (B, N, C), NaN where not known. scale: (B,).
    """
    is_known = known.isfinite().all(2)
    difference = torch.where(is_known[..., None], predicted - known, 0.0)
    distance = (difference.square().sum(2) + 1e-4).sqrt() * is_known
    count = is_known.sum(1)
    return _mean_of(scale * distance.sum(1) / count.clamp_min(1), count > 0)


def _centred(depth: Tensor) -> Tensor:
    """Take the mean over the points off depths (B, N, 1)."""
    return depth - depth.mean(1, keepdim=True)


def _mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen values (B,), 0 if there are none."""
    return (values * chosen).sum() / chosen.sum().clamp_min(1)
