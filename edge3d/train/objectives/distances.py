"""Distances that several objectives share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def squared_then_linear(offset: Tensor, limit: float = 4.0) -> Tensor:
    """Return twice Huber's loss: the square up to a limit, its tangent beyond."""
    return 2 * nn.functional.huber_loss(
        offset, torch.zeros_like(offset), reduction="none", delta=limit
    )


def mean_distance(predicted: Tensor, known: Tensor, scale: Tensor) -> Tensor:
    """Return the mean over faces of the mean scaled distance of their known points.

    Args:
        predicted: (B, N, C). known: (B, N, C), NaN where not known. scale: (B,).
    """
    is_known = known.isfinite().all(2)
    difference = torch.where(is_known[..., None], predicted - known, 0.0)
    distance = (difference.square().sum(2) + 1e-4).sqrt() * is_known
    count = is_known.sum(1)
    return mean_of(scale * distance.sum(1) / count.clamp_min(1), count > 0)


def centred(depth: Tensor) -> Tensor:
    """Take the mean over the points off depths (B, N, 1)."""
    return depth - depth.mean(1, keepdim=True)


def mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen values (B,), 0 if there are none."""
    return (values * chosen).sum() / chosen.sum().clamp_min(1)


def face_scale(planar: Tensor) -> Tensor:
    """Return 100 over the root of the landmark box's area (B,) of (B, N, 2), NaN passed over."""
    known = planar.isfinite().all(2, keepdim=True)
    low = torch.where(known, planar, torch.inf).amin(1)
    high = torch.where(known, planar, -torch.inf).amax(1)
    return 100.0 / torch.nan_to_num(high - low, neginf=1.0).clamp_min(1.0).prod(dim=1).sqrt()
