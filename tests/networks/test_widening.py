from __future__ import annotations

import torch

from edge3d.networks.mobilenet import make_student
from edge3d.networks.widening import widen


def trained(name: str) -> torch.nn.Module:
    """Return a student whose batch norms have seen something."""
    torch.manual_seed(0)
    network = make_student(name, 7)
    for _ in range(3):
        network.train()(255 * torch.rand(4, 3, 120, 120))
    return network.eval()


def test_a_widened_student_gives_the_same() -> None:
    narrow = trained("student-025")
    wide = widen(narrow, "student-050", 7, seed=1).eval()
    images = 255 * torch.rand(2, 3, 120, 120)
    with torch.no_grad():
        torch.testing.assert_close(wide(images), narrow(images), rtol=1e-4, atol=1e-4)


def test_twins_learn_different_things() -> None:
    wide = widen(trained("student-025"), "student-050", 7, seed=1)
    wide(255 * torch.rand(2, 3, 120, 120)).square().sum().backward()
    gradient = wide.features[4][0].weight.grad  # a pointwise convolution
    half = len(gradient) // 2
    assert (gradient[:half] - gradient[half:]).abs().max() > 1e-3 * gradient.abs().max()
