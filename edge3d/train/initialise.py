"""The network that a run starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from edge3d.datasets.faces import FaceCrops
from edge3d.errors import ContractError
from edge3d.face_model import FaceModel
from edge3d.model.parameters import ParameterLayout, make_layout
from edge3d.model.provenance import history_after_run
from edge3d.networks.checkpoint import load_checkpoint
from edge3d.networks.landmark_map import landmark_map, map_points
from edge3d.networks.mobilenet import MobileNetV1
from edge3d.networks.registry import STARTS, make_network
from edge3d.networks.resnet import ResNet50, SeparableResNet
from edge3d.networks.transfer import copy_student_blocks, init_resnet_from_separable
from edge3d.networks.whitening import rewhiten
from edge3d.networks.widening import widen
from edge3d.train.recipe import Recipe


def whitening(parts: Sequence[FaceCrops], face_model: FaceModel) -> ParameterLayout:
    """Return the labels' layout with the mean and standard deviation of all known ones."""
    params = np.concatenate([part.labels.params for part in parts])
    params = params[np.isfinite(params).all(axis=1)].astype(np.float64)
    mean, std = params.mean(axis=0), params.std(axis=0)
    camera = parts[0].labels.camera
    if face_model.expression_bounds is not None:
        # A coefficient that hardly ever moves in the labels must not be blown up.
        expression = slice(*make_layout(camera, face_model).slices["expression"])
        std[expression] = np.maximum(std[expression], 0.05)
    lowest = 1e-3 if camera == "rotation6d" else 1e-9  # a matrix's entries are 1e-4 and less
    return make_layout(camera, face_model, mean, np.maximum(std, lowest))


def initial_network(
    recipe: Recipe, parts: Sequence[FaceCrops], face_model: FaceModel
) -> tuple[nn.Module, ParameterLayout, dict[str, Any]]:
    """Return the network that a run starts from: random, a checkpoint's, or one widened.

    With it come its parameters' layout and what the provenance says of the checkpoint.

    Raises:
        ContractError: the checkpoint is of another network or face model.
    """
    name, init = recipe.model.name, recipe.model.init
    layout = whitening(parts, face_model)
    if not init:
        return make_network(name, layout.size), layout, {}
    network, contract = load_checkpoint(init)
    started_from = history_after_run(contract.provenance)
    if contract.architecture not in STARTS[name]:
        raise ContractError(
            f"{init}: is a {contract.architecture}, and model.name is {name}; start from a "
            f"{' or a '.join(STARTS[name])}, or leave model.init empty"
        )
    wanted = make_network(name, contract.layout.size)
    if isinstance(network, MobileNetV1) and isinstance(wanted, SeparableResNet):
        lent = copy_student_blocks(network, SeparableResNet(layout.size))
        return lent, layout, started_from  # of any face model: its last layer is new
    contract.check_face_model(face_model, init)
    if isinstance(network, SeparableResNet) and isinstance(wanted, ResNet50):
        network = init_resnet_from_separable(network, wanted, *_some_faces(parts))
    elif contract.architecture != name:
        network = widen(network, name, contract.layout.size, recipe.train.seed)
    rewhiten(network, contract.layout, layout)
    return network.train(), layout, started_from


def _some_faces(parts: Sequence[FaceCrops], count: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    """Return crops (N, 3, 120, 120) RGB 0..255 of the first source, N <= count, and their maps."""
    crops = parts[0].crops
    rows = np.linspace(0, len(crops) - 1, min(count, len(crops))).astype(int)
    maps = landmark_map(map_points(torch.from_numpy(parts[0].labels.landmarks[rows])))
    return torch.from_numpy(crops[rows]).permute(0, 3, 1, 2).float(), maps
