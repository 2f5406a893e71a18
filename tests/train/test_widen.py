from __future__ import annotations

import pytest
import torch

from edge3d.train.networks import is_teacher, make_network
from edge3d.train.widen import can_widen, widen


def trained(name: str) -> torch.nn.Module:
    """Return a network whose batch norms have seen something."""
    torch.manual_seed(0)
    network = make_network(name, 7)
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.weight, 0.5, 1.0)
    for _ in range(3):
        network.train()(*inputs(name, 4))
    return network.eval()


def inputs(name: str, count: int) -> list[torch.Tensor]:
    """Return what a network sees: images, and for a teacher maps."""
    images = 255 * torch.rand(count, 3, 120, 120)
    return [images, torch.rand(count, 1, 120, 120)] if is_teacher(name) else [images]


@pytest.mark.parametrize(
    ("name", "wider"), [("student-025", "student-050"), ("teacher-025", "teacher-050")]
)
def test_a_widened_network_gives_the_same(name: str, wider: str) -> None:
    narrow = trained(name)
    wide = widen(narrow, wider, 7, seed=1).eval()
    seen = inputs(name, 2)
    with torch.no_grad():
        got, wanted = (
            network(*seen)[0] if is_teacher(name) else network(*seen) for network in (wide, narrow)
        )
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_twins_learn_different_things() -> None:
    wide = widen(trained("student-025"), "student-050", 7, seed=1)
    wide(255 * torch.rand(2, 3, 120, 120)).square().sum().backward()
    gradient = wide.features[4][0].weight.grad  # a pointwise convolution
    half = len(gradient) // 2
    assert (gradient[:half] - gradient[half:]).abs().max() > 1e-3 * gradient.abs().max()


@pytest.mark.parametrize(
    ("narrow", "wide", "can"),
    [
        ("student-050", "student-100", True),
        ("student-025", "student-050", True),
        ("student-025", "student-100", False),
        ("student-050", "student-050", False),
        ("student-100", "student-050", False),
        ("teacher-050", "teacher", True),
        ("teacher-025", "teacher", False),
        ("student-050", "teacher", False),
    ],
)
def test_only_twice_the_width_will_do(narrow: str, wide: str, can: bool) -> None:
    assert can_widen(narrow, wide) is can
