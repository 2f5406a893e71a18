"""The mean of several runs' weights.

Runs that started from the same weights end in one valley of the loss, and the mean of their weights
is mostly better than each (M. Wortsman et al., "Model soups", arXiv 2203.05482), at no cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from edge3d.errors import ContractError, OutputError
from edge3d.model.contract import ModelContract
from edge3d.model.provenance import history_after_mean
from edge3d.networks.checkpoint import load_checkpoint, save_checkpoint
from edge3d.networks.whitening import rewhiten


@torch.no_grad()
def average_checkpoints(paths: Sequence[str | Path], out: str | Path) -> ModelContract:
    """Write the mean of checkpoints' weights and batch statistics, and return its contract.

    What a checkpoint's parameters are whitened by may differ: all are brought to the first one's.

    Raises:
        ContractError: fewer than two checkpoints; one is not a checkpoint, or of another network,
            face model or layout than the first.
        OutputError: `out` does not end in .safetensors, or cannot be written.
    """
    if Path(out).suffix != ".safetensors":
        raise OutputError(f"{out}: a checkpoint's name ends in .safetensors; choose such a name")
    if len(paths) < 2:
        raise ContractError("a mean wants two checkpoints or more")
    network, contract = load_checkpoint(paths[0])
    total = {name: value.double() for name, value in network.state_dict().items()}
    provenances = [contract.provenance]
    for path in paths[1:]:
        other, its = load_checkpoint(path)
        if _kind(its) != _kind(contract):
            raise ContractError(
                f"{path}: is a {its.architecture} in the face model {its.face_model}, and "
                f"{paths[0]} a {contract.architecture} in {contract.face_model}, or their "
                "parameters differ; take the mean of runs that started from the same weights"
            )
        rewhiten(other, its.layout, contract.layout)
        for name, value in other.state_dict().items():
            total[name] += value
        provenances.append(its.provenance)
    kinds = {name: value.dtype for name, value in network.state_dict().items()}
    network.load_state_dict(
        {name: (value / len(paths)).to(kinds[name]) for name, value in total.items()}
    )
    own: dict[str, Any] = {
        key: provenances[0][key] for key in ("data", "licence", "network") if key in provenances[0]
    }
    contract = contract.replace(provenance=own | history_after_mean(provenances))
    save_checkpoint(out, network, contract)
    return contract


def _kind(contract: ModelContract) -> tuple[str, str, str, dict[str, tuple[int, int]]]:
    layout = contract.layout
    return (
        contract.architecture, contract.face_model_sha256, layout.camera, dict(layout.slices)
    )  # fmt: skip
