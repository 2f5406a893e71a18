"""The protocol of everything that runs a model file."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge3d.model.contract import ModelContract


class Runner(Protocol):
    """A network that can be called, whatever runs it.

    `runner(images)` takes crops (B, 120, 120, 3) uint8 RGB, B of 0 or more, and returns whitened
    parameters (B, P) float32. It raises ValueError for other images. Layout changes, casts,
    quantization and dequantization stay inside. One runner must not be called from two threads
    at once.
    """

    @property
    def contract(self) -> ModelContract:
        """What goes in and what comes out."""

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return whitened parameters (B, P) of crops (B, 120, 120, 3)."""


class GraphRunner(Runner, Protocol):
    """A runner of an exported file, which can hold more outputs than the parameters."""

    def outputs(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return all outputs of the graph by name, each (B, ...) float32.

        Which ones, in which frame and unit, is in `contract.outputs`.
        """
