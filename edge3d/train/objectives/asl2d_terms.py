"""The terms of 2DASL: what labelled faces, and faces with 2D landmarks alone, teach.

X. Tu et al., 3D Face Reconstruction from A Single Image Assisted by 2D Face Images in the Wild,
arXiv 1903.09359. Distances are in % of the face's size, as the NME.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge3d.networks.point_decoder import PointDecoder, camera_of
from edge3d.train.objectives.distances import face_scale, squared_then_linear

# Landmarks that count more: nose tip and middle of the mouth, eyes and corners of the mouth.
_STRONG, _MEDIUM = (30, 62, 66), (37, 38, 40, 41, 43, 44, 46, 47, 48, 54)
LANDMARK_WEIGHTS = tuple(
    4.0 if number in _STRONG else 2.0 if number in _MEDIUM else 1.0 for number in range(68)
)


def weighted_parameter_distance(whitened: Tensor, target: Tensor, decoder: PointDecoder) -> Tensor:
    """Return the distance of parameters, each weighted by what it does to the landmarks.

    The weighted parameter distance cost of 3DDFA (X. Zhu et al., arXiv 1511.07212): the weight of a
    parameter is how far the projected landmarks move when it alone is changed from what is known to
    what is predicted, divided by the largest of the face's weights. No gradient passes the weights.

    Args:
        whitened: (B, P) predicted. target: (B, P) whitened, NaN in faces without labels.
        decoder: of the parameters.

    Returns:
        A scalar, the mean over the faces with labels; 0 if there are none.
    """
    known = target.isfinite().all(1)
    if not known.any():
        return whitened.sum() * 0
    predicted, truth = whitened[known], target[known]
    weights = parameter_weights(predicted.detach(), truth, decoder)
    distance = squared_then_linear(predicted - truth)
    return (weights * distance).sum(1).mean() / weights.shape[1] ** 0.5


@torch.no_grad()
def parameter_weights(predicted: Tensor, truth: Tensor, decoder: PointDecoder) -> Tensor:
    """Return the weights (B, P), 0..1, of `weighted_parameter_distance`; arguments are whitened."""
    start = decoder.layout.shape.start
    params, wanted = (value * decoder.std + decoder.mean for value in (predicted, truth))
    here = decoder.points(wanted)[:, :68, :2]
    effects = []
    for number in range(start):  # the camera
        changed = wanted.clone()
        changed[:, number] = params[:, number]
        moved = decoder.points(changed)[:, :68, :2] - here
        effects.append(moved.square().sum((1, 2)).sqrt())
    # The landmarks are linear in the coefficients.
    linear = camera_of(decoder.layout, wanted)[0][:, :2]
    basis = decoder.shape_basis.unflatten(1, (-1, 3))[:, :68]
    turned = torch.einsum("bij,mlj->bmli", linear, basis)
    size = turned.square().sum((2, 3)).sqrt()
    shape_effects = size * decoder.layout.coefficients(params - wanted).abs()
    weights = torch.cat([torch.stack(effects, dim=1), shape_effects], dim=1)
    return weights / weights.amax(1, keepdim=True).clamp_min(1e-6)


def landmark_distance(predicted: Tensor, known: Tensor) -> Tensor:
    """Return the mean distance of 2D landmarks, weighted by `LANDMARK_WEIGHTS`.

    The term of both 2D landmark self-prediction (landmarks of the first pass) and cycle
    consistency (of the second pass).

    Args:
        predicted, known: (B, 68, 2 or 3) crop pixels; NaN in `known` where it is not known.
    """
    planar = known[..., :2]
    is_known = planar.isfinite().all(2)
    weights = predicted.new_tensor(LANDMARK_WEIGHTS) * is_known
    difference = torch.where(is_known[..., None], predicted[..., :2] - planar, 0.0)
    distance = (difference.square().sum(2) + 1e-4).sqrt()
    mean = (distance * weights).sum(1) / weights.sum(1).clamp_min(1e-6)
    present = is_known.any(1)
    return (mean * face_scale(planar) * present).sum() / present.sum().clamp_min(1)


def consistency(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean distance of the 3D landmarks (B, 68, 3) of the two passes.

    Depths are compared up to a shift, since the camera is orthographic.
    """
    middle = first.new_tensor([0.0, 0.0, 1.0])
    first, second = (value - value.mean(1, keepdim=True) * middle for value in (first, second))
    distance = ((first - second).square().sum(2) + 1e-4).sqrt().mean(1)
    return (distance * face_scale(first[..., :2].detach())).mean()


def critic_terms(critic: nn.Module, code: Tensor, real: Tensor, predicted: Tensor, labelled: Tensor
) -> Tensor:  # fmt: skip
    """Return what the critic itself is trained to reduce: hinge loss of real against predicted.

    Args:
        critic: judges pairs. code: (B, F) image codes. real: (B, P) whitened labels.
        predicted: (B, P) whitened predictions. labelled: (B,) bool; real pairs are these faces
            with their labels, the others with their predictions are the false ones.
    """
    code, predicted = code.detach(), predicted.detach()
    terms = []
    if labelled.any():
        terms.append(torch.relu(1 - critic(code[labelled], real[labelled])).mean())
    if (~labelled).any():
        terms.append(torch.relu(1 + critic(code[~labelled], predicted[~labelled])).mean())
    return torch.stack(terms).sum()


def self_critic(critic: nn.Module, code: Tensor, predicted: Tensor, labelled: Tensor) -> Tensor:
    """Return the network's term: its parameters of faces without labels shall look like real ones.

    Arguments as those of `critic_terms`. 0 where all faces have labels.
    """
    if labelled.all():
        return predicted.sum() * 0
    return -critic(code[~labelled].detach(), predicted[~labelled]).mean()
