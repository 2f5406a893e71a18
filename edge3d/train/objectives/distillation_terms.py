"""The terms of distillation: what a teacher says of the same pictures.

A teacher has a landmark map beside the picture; the student never sees it (learning using
privileged information; D. Lopez-Paz et al., arXiv 1511.03643). A wider student can be the teacher
as well. The teacher speaks of every face: of those with 2D landmarks alone it is the only one that
knows parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge3d.train.objectives.distances import squared_then_linear

MAP_SIZES = (15, 8)  # sides of the feature maps that students and teachers have in common


def teacher_terms(
    whitened: Tensor, points: tuple[Tensor, Tensor], taught: Tensor,
    taught_points: tuple[Tensor, Tensor],
) -> dict[str, Tensor]:  # fmt: skip
    """Return how far a student is from its teacher; no gradient passes the teacher's part.

    Args:
        whitened, taught: (B, P) parameters of student and teacher, by the student's whitening.
        points, taught_points: landmarks (B, 68, 3) and dense points (B, D, 3), crop pixels.

    Returns:
        teacher_params: mean squared difference, as `params` of `supervised_terms`.
        teacher_landmarks, teacher_dense: mean distance in 3D, depth up to a shift, in % of the
            root of the landmark box's area.
    """
    planar = taught_points[0][..., :2]
    scale = 100.0 / (planar.amax(1) - planar.amin(1)).clamp_min(1.0).prod(dim=1).sqrt()
    terms = {"teacher_params": squared_then_linear(whitened - taught.detach()).mean()}
    names = ("teacher_landmarks", "teacher_dense")
    for name, found, wanted in zip(names, points, taught_points, strict=True):
        difference = found - wanted.detach()
        shift = difference[..., 2:].mean(1, keepdim=True)  # the camera is orthographic
        difference = torch.cat([difference[..., :2], difference[..., 2:] - shift], dim=2)
        distance = (difference.square().sum(2) + 1e-4).sqrt().mean(1)
        terms[name] = (scale.detach() * distance).mean()
    return terms


class FeatureMatch(nn.Module):
    """How far a student's features are from its teacher's, seen through a linear layer.

    Args:
        width, taught_width: numbers of features of student and teacher.
    """

    def __init__(self, width: int, taught_width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, taught_width)

    def forward(self, features: Tensor, taught: Tensor) -> Tensor:
        """Return the mean squared difference of (..., width) and (..., taught_width), normalised.

        Features have mean 0 and variance 1 first, so that 2 is no likeness at all. Those of a map
        have their channels last, and each place is normalised alone.
        """
        found = nn.functional.layer_norm(self.linear(features), taught.shape[-1:])
        wanted = nn.functional.layer_norm(taught.detach(), taught.shape[-1:])
        return nn.functional.mse_loss(found, wanted)
