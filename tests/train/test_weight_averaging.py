from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edge3d.errors import ContractError
from edge3d.face_model import FaceModel
from edge3d.model.contract import contract_for
from edge3d.model.parameters import make_layout
from edge3d.networks.checkpoint import load_checkpoint, save_checkpoint
from edge3d.networks.registry import make_network
from edge3d.train.weight_averaging import average_checkpoints


def write(
    path: Path, face_model: FaceModel, seed: int, std: float, name: str = "student-025"
) -> Path:
    """Write a checkpoint of random weights, whitened by a deviation and a mean of it less one."""
    size = make_layout("rotation6d", face_model).size
    deviation = np.full(size, std, np.float32)
    layout = make_layout("rotation6d", face_model, deviation - 1, deviation)
    provenance = {"licence": "x", "seed": seed, "history": [{"data": {}}], "started_from": 0}
    torch.manual_seed(seed)
    network = make_network(name, size)
    save_checkpoint(path, network, contract_for(name, layout, face_model, provenance=provenance))
    return path


def params(path: Path, features: torch.Tensor) -> torch.Tensor:
    """Return the parameters that a checkpoint's last layer gives for its inputs."""
    network, contract = load_checkpoint(path)
    whitened = network.get_submodule("head")(features).detach()
    return torch.from_numpy(contract.layout.unwhiten(whitened.numpy()))


def test_mean_of_two_whitenings(open_model: FaceModel, tmp_path: Path) -> None:
    one = write(tmp_path / "1.safetensors", open_model, 1, 1.0)
    two = write(tmp_path / "2.safetensors", open_model, 2, 3.0)
    contract = average_checkpoints([one, two], tmp_path / "mean.safetensors")
    head = load_checkpoint(one)[0].get_submodule("head")
    features = torch.rand(4, head.in_features)
    found = params(tmp_path / "mean.safetensors", features)
    wanted = (params(one, features) + params(two, features)) / 2
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    weights = [
        load_checkpoint(p)[0].state_dict()["features.0.0.weight"]
        for p in (one, two, tmp_path / "mean.safetensors")
    ]
    torch.testing.assert_close(weights[2], (weights[0] + weights[1]) / 2)
    assert contract.provenance["licence"] == "x"
    history = contract.provenance["history"]
    assert [step.get("seed") for step in history] == [None, 1, 2]  # their start, told once
    assert contract.provenance["mean_of"] == [1, 2]


def test_what_has_no_mean(open_model: FaceModel, tmp_path: Path) -> None:
    one = write(tmp_path / "1.safetensors", open_model, 1, 1.0)
    other = write(tmp_path / "2.safetensors", open_model, 1, 1.0, "student-050")
    out = tmp_path / "mean.safetensors"
    with pytest.raises(ContractError, match="two checkpoints or more"):
        average_checkpoints([one], out)
    with pytest.raises(ContractError, match="2.safetensors: is a student-050 .* student-025"):
        average_checkpoints([one, other], out)
    with pytest.raises(ContractError, match="no such file"):
        average_checkpoints([one, tmp_path / "none.safetensors"], out)
    assert not out.exists()
