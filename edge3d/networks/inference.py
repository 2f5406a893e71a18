"""Running a student or a teacher on a training batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge3d.networks.landmark_map import landmark_map, map_points

Batch = dict[str, Tensor]
"""`image` (B, 3, 120, 120) uint8; `params`, `landmarks`, `dense` as `supervised_terms` wants them;
`detected` (B, 68, 2), landmarks as a 2D detector gives them, NaN where it gives none."""


def images_of(batch: Batch) -> Tensor:
    """Return crops (B, 3, 120, 120) float32 RGB 0..255, channels last in memory."""
    return batch["image"].float().contiguous(memory_format=torch.channels_last)


def whitened_by(network: nn.Module, batch: Batch) -> Tensor:
    """Return the whitened parameters (B, P) that a student or a teacher gives for a batch."""
    if takes_landmarks(network):
        found = network(images_of(batch), landmark_map(map_points(batch["detected"])))
        return found[0] if isinstance(found, tuple) else found
    return network(images_of(batch))


def takes_landmarks(network: nn.Module) -> bool:
    """Return whether a network wants a landmark map beside the crop."""
    return bool(getattr(network, "takes_landmarks", False))
