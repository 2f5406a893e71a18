from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edge3d.datasets.faces import FaceCrops
from edge3d.errors import ContractError
from edge3d.face_model import FaceModel
from edge3d.model.provenance import training_steps
from edge3d.networks.checkpoint import load_checkpoint
from edge3d.networks.mobilenet import MobileNetV1, make_student
from edge3d.networks.resnet import STEM_LAYERS, ResNet50, SeparableResNet
from edge3d.networks.transfer import copy_student_blocks, init_resnet_from_separable
from edge3d.train.recipe import load_recipe
from edge3d.train.trainer import train_network

OUTPUTS, WIDTH = 7, 0.25


def used(network: torch.nn.Module, *inputs: torch.Tensor) -> torch.nn.Module:
    """Return a network whose layers are not new ones."""
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.weight, 0.5, 1.0)
            torch.nn.init.uniform_(norm.bias, -0.2, 0.5)
    for _ in range(40):
        network.train()(*inputs)
    return network.eval()


@pytest.fixture
def seen() -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and maps."""
    torch.manual_seed(0)
    return 255 * torch.rand(8, 3, 120, 120), 2 * torch.rand(8, 1, 120, 120) - 1


def test_resnet_gives_what_the_separable_teacher_gives(
    seen: tuple[torch.Tensor, torch.Tensor],
) -> None:
    separable = used(SeparableResNet(OUTPUTS, WIDTH), *seen)
    assert isinstance(separable, SeparableResNet)
    resnet = init_resnet_from_separable(separable, ResNet50(OUTPUTS, WIDTH), *seen)
    with torch.no_grad():
        wanted = separable(*seen)[0]
        assert wanted.std(0).max() > 0.01
        torch.testing.assert_close(resnet.eval()(*seen)[0], wanted, rtol=1e-3, atol=1e-4)
        # Batch norms of a network in training look at the batch: of the same faces, the same.
        torch.testing.assert_close(resnet.train()(*seen)[0], wanted, rtol=1e-3, atol=1e-4)


def test_what_resnet_has_more_learns(seen: tuple[torch.Tensor, torch.Tensor]) -> None:
    separable = used(SeparableResNet(OUTPUTS, WIDTH), *seen)
    assert isinstance(separable, SeparableResNet)
    resnet = init_resnet_from_separable(separable, ResNet50(OUTPUTS, WIDTH), *seen).train()
    resnet(*seen)[0].square().sum().backward()
    own = resnet.features[STEM_LAYERS + 1].body[-1].weight.grad  # a block that starts as nothing
    assert own is not None and own.abs().max() > 0
    around = resnet.features[STEM_LAYERS + 9].body[3].weight.grad  # beside the diagonal
    assert around is not None and around[0, 1].abs().max() > 0


def test_a_student_lends_its_blocks(seen: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, maps = seen
    student = used(make_student("student-025", OUTPUTS), images)
    assert isinstance(student, MobileNetV1)
    separable = copy_student_blocks(student, SeparableResNet(OUTPUTS, 2 * WIDTH)).eval()
    rows = ((images - 127.5) / 128).permute(0, 2, 3, 1).reshape(len(images), 120, 30, 12)
    pixels = torch.cat([(images - 127.5) / 128, maps], dim=1)
    with torch.no_grad():
        patches = student.features[0][0](rows.permute(0, 3, 1, 2))
        found = separable.features[0](pixels)[:, :, ::2, ::2]
        torch.testing.assert_close(found, patches, rtol=1e-4, atol=1e-4)
        own = torch.rand(2, 32, 30, 30)
        for number in range(1, 1 + 2 * 9):  # the blocks whose strides are the same
            wanted = student.features[number](own)
            lent = separable.features[STEM_LAYERS - 1 + number](own)
            torch.testing.assert_close(lent, wanted)
            own = wanted


def test_teachers_start_from_cheaper_networks(
    open_model: FaceModel, faces: FaceCrops, tmp_path: Path
) -> None:
    basics = ["train.steps=1", "train.batch=4", "data.workers=0"]

    def train(name: str, init: Path | None, folder: str = "") -> Path:
        out = tmp_path / (folder or name)
        start = [f"model.init={init}"] if init else []
        train_network(
            load_recipe(None, [f"model.name={name}", *start, *basics]), [faces], open_model, out
        )
        return out / f"{name.partition('-')[0]}.safetensors"

    student = train("student-050", None)
    separable = train("teacher-separable", student)
    teacher = train("teacher", separable)
    provenance = load_checkpoint(teacher)[1].provenance
    names = [step["recipe"]["model"]["name"] for step in training_steps(provenance)]
    assert names == ["student-050", "teacher-separable", "teacher"]
    with pytest.raises(ContractError, match="start from a teacher or a teacher-separable"):
        train("teacher", student, "another")
