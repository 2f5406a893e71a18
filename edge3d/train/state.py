"""The state that a training run resumes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edge3d.errors import ContractError
from edge3d.networks.checkpoint import read_safetensors, write_safetensors

SETTINGS_KEY = "edge3d.settings"


def save_training_state(
    path: str | Path,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    extra: Mapping[str, nn.Module] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write what a run resumes from: weights, their moving average, the optimizer's moments.

    Args:
        path: of the file. network, average: of one architecture. optimizer: of the network.
        step: number of steps done.
        extra: further modules by name; their optimizers start anew.
        settings: that the run was made with, for `read_run`.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {"step": torch.tensor(step)}
    tensors |= {f"network/{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in average.state_dict().items()}
    for own, module in (extra or {}).items():
        tensors |= {f"{own}/{name}": value for name, value in module.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{name}": value for name, value in state.items()}
    write_safetensors(path, tensors, {SETTINGS_KEY: json.dumps(settings or {})})


def read_run(path: str | Path) -> tuple[int, dict[str, Any]]:
    """Return the number of steps done and the settings of the run whose state is in a file.

    The settings are empty where an older version of edge3d wrote the file.

    Raises:
        ContractError: not such a file.
    """
    tensors, metadata = read_safetensors(path)
    if "step" not in tensors:
        raise ContractError(f"{path}: not the state of a training run; choose another --out")
    return int(tensors["step"]), json.loads(metadata.get(SETTINGS_KEY, "{}"))


def load_training_state(
    path: str | Path,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    extra: Mapping[str, nn.Module] | None = None,
) -> int:
    """Restore what `save_training_state` wrote; return the number of steps done.

    Raises:
        ContractError: not such a file, or one of another network.
    """
    tensors, _ = read_safetensors(path)
    modules = {"network": network, "average": average, **(extra or {})}
    parts: dict[str, dict[str, Tensor]] = {name: {} for name in modules}
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        part, _, name = key.partition("/")
        if part in parts:
            parts[part][name] = value
        elif part == "optimizer":
            number, _, moment = name.partition("/")
            moments.setdefault(int(number), {})[moment] = value
    try:
        for name, module in modules.items():
            module.load_state_dict(parts[name])
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    except (RuntimeError, ValueError) as error:
        raise ContractError(
            f"{path}: is the state of another run ({str(error).splitlines()[0]}); "
            "choose another --out, or delete the file to start over"
        ) from error
    return int(tensors["step"])
