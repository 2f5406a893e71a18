from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edge3d.datasets.faces import FaceCrops
from edge3d.face_model import FaceModel
from edge3d.networks.point_decoder import PointDecoder
from edge3d.train.initialise import whitening
from edge3d.train.objectives import asl2d_terms


@pytest.fixture(scope="module")
def decoder(open_model: FaceModel, faces: FaceCrops) -> PointDecoder:
    return PointDecoder(open_model, whitening([faces], open_model), faces.points)


@pytest.fixture
def truth(faces: FaceCrops, decoder: PointDecoder) -> torch.Tensor:
    return (torch.from_numpy(faces.labels.params[:4]) - decoder.mean) / decoder.std


def test_weights_are_what_a_parameter_alone_does(
    decoder: PointDecoder, truth: torch.Tensor
) -> None:
    predicted = truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    # A coefficient at its bound moves nothing beyond: compare within.
    weights = asl2d_terms.parameter_weights(predicted, truth, decoder)
    here = decoder.points(truth * decoder.std + decoder.mean)[0, :68, :2]
    effects = []
    for number in range(9 + 80):
        changed = truth[:1].clone()
        changed[0, number] = predicted[0, number]
        moved = decoder.points(changed * decoder.std + decoder.mean)[0, :68, :2]
        effects.append(float((moved - here).square().sum().sqrt()))
    expected = np.array(effects) / max(effects)
    assert weights.max() == 1
    np.testing.assert_allclose(weights[0, :89] / weights[0, :89].max(), expected, atol=2e-3)


def test_parameters_without_labels_cost_nothing(decoder: PointDecoder, truth: torch.Tensor) -> None:
    unknown = torch.full_like(truth, torch.nan)
    assert asl2d_terms.weighted_parameter_distance(truth, unknown, decoder) == 0
    both = torch.cat([truth[:1], unknown[1:]])
    off = truth + 0.5
    one = asl2d_terms.weighted_parameter_distance(off[:1], truth[:1], decoder)
    assert asl2d_terms.weighted_parameter_distance(off, both, decoder) == pytest.approx(float(one))


def square(size_px: float) -> torch.Tensor:
    """68 landmarks whose box is a square."""
    points = torch.zeros(1, 68, 3)
    points[:, 1, :2] = size_px
    return points


def test_landmark_distance_weighs_landmarks() -> None:
    known = square(50.0)
    moved = known.clone()
    moved[0, 30, 0] += 5.0  # the nose tip: 10 % of the box at a weight of 4
    total = sum(asl2d_terms.LANDMARK_WEIGHTS)
    distance = asl2d_terms.landmark_distance(moved, known)
    assert distance == pytest.approx(10.0 * 4 / total, abs=0.03)
    known[0, 30] = torch.nan
    assert asl2d_terms.landmark_distance(moved, known) == pytest.approx(0.02, abs=0.001)


def test_landmarks_that_nobody_knows_cost_nothing() -> None:
    known = torch.full((2, 68, 2), torch.nan)
    assert asl2d_terms.landmark_distance(torch.zeros(2, 68, 3), known) == 0


def test_consistency_looks_past_a_shift_in_depth() -> None:
    first = square(50.0)
    assert asl2d_terms.consistency(first, first + torch.tensor([0, 0, 7.0])) < 0.03
    assert asl2d_terms.consistency(first, first + torch.tensor([3.0, 4.0, 7.0])) == pytest.approx(
        10.0, abs=0.01
    )


class Sum(nn.Module):
    """A critic whose score is the sum of the parameters."""

    def forward(self, code: torch.Tensor, whitened: torch.Tensor) -> torch.Tensor:
        return whitened.sum(1)


def test_critic_by_hand() -> None:
    code = torch.zeros(3, 2)
    real = torch.tensor([[0.25, 0.0], [torch.nan, 0.0], [torch.nan, 0.0]])
    predicted = torch.tensor([[9.0, 0.0], [0.5, 0.0], [-2.0, 0.0]], requires_grad=True)
    labelled = torch.tensor([True, False, False])
    # hinge: 1 - 0.25 for the real one; 1 + 0.5 and 0 for the predicted ones
    own = asl2d_terms.critic_terms(Sum(), code, real, predicted, labelled)
    assert own == pytest.approx(0.75 + 0.75)
    assert not own.requires_grad
    term = asl2d_terms.self_critic(Sum(), code, predicted, labelled)
    assert term.item() == pytest.approx(0.75)
    term.backward()
    assert predicted.grad is not None and predicted.grad[:, 0].tolist() == [0, -0.5, -0.5]


def test_no_critic_without_unlabelled_faces() -> None:
    code, predicted = torch.zeros(1, 2), torch.ones(1, 2)
    labelled = torch.tensor([True])
    assert asl2d_terms.self_critic(Sum(), code, predicted, labelled) == 0
    assert asl2d_terms.critic_terms(Sum(), code, predicted, predicted, labelled) == 0
