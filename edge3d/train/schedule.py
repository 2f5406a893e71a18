"""The learning rate and the moving average of the weights."""

from __future__ import annotations

import math

import torch
from torch import nn

from edge3d.train.recipe import Recipe


def learning_rate(step: int, recipe: Recipe) -> float:
    """Return the rate at a step: a linear warm-up, then half a cosine down to 1 %."""
    settings = recipe.train
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    share = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights and batch statistics a little towards the present ones."""
    decay = min(decay, (1 + step) / (10 + step))
    for mean, value in zip(
        average.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)
