"""Counting a network's multiply-adds."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def count_multiply_adds(network: nn.Module, size_px: int = 120) -> int:
    """Return the multiply-adds of convolutions and linear layers for one crop."""
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()

    handles = [module.register_forward_hook(count) for module in network.modules()]
    run_once(network, size_px)
    for handle in handles:
        handle.remove()
    return total


@torch.no_grad()
def run_once(network: nn.Module, size_px: int = 120) -> None:
    """Let a student or a teacher see one black crop, which changes nothing in it."""
    training, device = network.training, next(network.parameters()).device
    inputs = [torch.zeros(1, 3, size_px, size_px, device=device)]
    if getattr(network, "takes_landmarks", False):
        inputs.append(torch.zeros(1, 1, size_px, size_px, device=device))
    network.eval()(*inputs)
    network.train(training)
