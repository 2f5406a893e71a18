"""Starts a wide student from a trained one of half the width, which gives the same outputs.

Net2WiderNet (T. Chen, I. Goodfellow, J. Shlens, arXiv 1511.05641): every channel is there twice,
and what reads a pair shares the old weight out between the two. The shares are random, so that
the twins learn different things from the first step on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge3d.networks.mobilenet import make_student

SHARES = (0.25, 0.75)  # of a weight that goes to the first of a pair


def widen(network: nn.Module, wide: str, outputs: int, seed: int) -> nn.Module:
    """Return a student of twice the width with the same outputs.

    Args:
        network: the narrow student. wide: name of the wide one.
        outputs: number of parameters, P. seed: of the shares.
    """
    result = make_student(wide, outputs)
    generator = torch.Generator().manual_seed(seed)
    narrow = network.state_dict()
    result.load_state_dict(
        {
            name: _widened(narrow[name], value.shape, generator)
            for name, value in result.state_dict().items()
        }
    )
    return result


def _widened(value: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Return a tensor of the wide network: twice the rows, twice the columns, where it has them."""
    if value.ndim and shape[0] == 2 * value.shape[0]:
        value = torch.cat([value, value])
    if value.ndim > 1 and shape[1] == 2 * value.shape[1]:
        low, high = SHARES
        share = low + (high - low) * torch.rand(value.shape[:2], generator=generator)
        share = share.reshape(*share.shape, *(1,) * (value.ndim - 2))
        value = torch.cat([value * share, value * (1 - share)], dim=1)
    return value.clone()
