"""Changing the whitening of a network's output layer."""

from __future__ import annotations

import torch
from torch import nn

from edge3d.model.parameters import ParameterLayout


@torch.no_grad()
def rewhiten(network: nn.Module, old: ParameterLayout, new: ParameterLayout) -> None:
    """Change the last layer so that whitened by another mean and deviation it gives the same faces.

    Args:
        network: its last layer is `head`. old: what its outputs are whitened by. new: what they
            are to be whitened by.
    """
    head: nn.Linear = network.get_submodule("head")  # type: ignore[assignment]
    share = torch.from_numpy(old.std / new.std)
    head.weight *= share[:, None]
    head.bias.copy_(head.bias * share + torch.from_numpy((old.mean - new.mean) / new.std))
