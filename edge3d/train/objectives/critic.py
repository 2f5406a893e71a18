"""2DASL's self-critic network."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Critic(nn.Module):
    """Judges whether coefficients belong to a face: pairs of image code and parameters.

    Args:
        code: number of features in an image code, F. parameters: number of parameters, P.
    """

    def __init__(self, code: int, parameters: int) -> None:
        super().__init__()
        self.image = nn.Linear(code, 128)
        self.coefficients = nn.Linear(parameters, 128)
        self.judge = nn.Sequential(
            nn.LeakyReLU(0.2),
            nn.Linear(256, 128),
            nn.LeakyReLU(0.2),
            nn.Linear(128, 1),
        )

    def forward(self, code: Tensor, whitened: Tensor) -> Tensor:
        """Return a score (B,) of codes (B, F) and whitened parameters (B, P); high is real."""
        both = torch.cat([self.image(code), self.coefficients(whitened)], dim=1)
        return self.judge(both).squeeze(1)
