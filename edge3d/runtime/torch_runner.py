"""Running checkpoints with PyTorch, and reading their contract without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import ContractError, MissingExtraError
from edge3d.model.contract import METADATA_KEY, ModelContract
from edge3d.runtime.checks import check_images, damaged, no_contract, read_bytes

if TYPE_CHECKING:
    from torch import nn

BATCH = 64  # images in one pass, which bounds the memory


class TorchRunner:
    """Runs a network in PyTorch, on the device where its weights are.

    Args:
        network: takes crops (B, 3, 120, 120) float32 RGB 0..255, gives whitened parameters.
        contract: of the network.
        threads: used on the CPU during a call, or None for what PyTorch is set to.
    """

    def __init__(
        self, network: nn.Module, contract: ModelContract, threads: int | None = None
    ) -> None:
        self.network = network
        self.contract = contract
        self._threads = threads

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return whitened parameters (B, P) of crops (B, 120, 120, 3) uint8 RGB."""
        import torch

        images = check_images(images)
        device = next(self.network.parameters()).device
        before, training = torch.get_num_threads(), self.network.training
        found = [np.zeros((0, self.contract.layout.size), np.float32)]
        try:
            torch.set_num_threads(self._threads or before)
            self.network.eval()
            with torch.inference_mode():
                for start in range(0, len(images), BATCH):
                    pixels = torch.from_numpy(
                        np.ascontiguousarray(images[start : start + BATCH].transpose(0, 3, 1, 2))
                    )
                    found.append(self.network(pixels.to(device).float()).float().cpu().numpy())
        finally:
            self.network.train(training)
            torch.set_num_threads(before)
        return np.concatenate(found)


def open_checkpoint(path: Path, contract: ModelContract, threads: int = 1) -> TorchRunner:
    """Return a runner of a checkpoint file.

    Raises:
        ContractError: the weights are not those of the contract's architecture, or damaged, or
            those of a teacher.
        MissingExtraError: PyTorch is not installed.
    """
    try:
        from edge3d.networks.checkpoint import load_student
    except ImportError as error:
        raise MissingExtraError(
            "running a .safetensors checkpoint", "train", error.name or "torch"
        ) from error
    network, contract = load_student(path)
    return TorchRunner(network, contract, threads)


def read_checkpoint_contract(path: Path) -> str:
    """Return the contract's JSON in a .safetensors file; no package is needed.

    Format: eight bytes with the header's length, little-endian, the header in JSON, the tensors
    (github.com/huggingface/safetensors).

    Raises:
        ContractError: not a whole safetensors file, or one without a contract.
    """
    data = read_bytes(path)
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = header.pop("__metadata__", {})
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    except (ValueError, AttributeError, TypeError, KeyError, IndexError) as error:
        raise damaged(path, "safetensors", f"its header: {error}") from error
    size = 8 + int.from_bytes(data[:8], "little") + end
    if size != len(data):
        raise damaged(path, "safetensors", f"{len(data)} bytes in place of {size}")
    if METADATA_KEY not in metadata:
        raise no_contract(path, f"metadata entry '{METADATA_KEY}'")
    if not isinstance(metadata[METADATA_KEY], str):
        raise ContractError(f"{path}: field {METADATA_KEY} is no text; train or export it again")
    return metadata[METADATA_KEY]
