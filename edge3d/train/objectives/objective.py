"""What an objective is: it turns a batch into named loss terms."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from edge3d.networks.inference import Batch


class Objective(Protocol):
    """How a network is taught."""

    def terms(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of a batch, to be weighted and added up."""

    def extra_state(self) -> dict[str, nn.Module]:
        """Return further modules that a run needs to go on, by name."""
