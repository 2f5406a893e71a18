"""How a network is taught: what a batch makes of it, as named terms. The loop does the rest."""

from __future__ import annotations

from accelerate import Accelerator
from torch import nn

from edge3d.face_model import FaceModel
from edge3d.networks.point_decoder import PointDecoder
from edge3d.networks.registry import is_teacher
from edge3d.train.objectives.asl2d import Asl2d
from edge3d.train.objectives.distillation import DistillationTeacher, Distilled
from edge3d.train.objectives.objective import Objective
from edge3d.train.objectives.supervised import Supervised
from edge3d.train.recipe import Recipe


def make_objective(
    recipe: Recipe, decoder: PointDecoder, accelerator: Accelerator, network: nn.Module,
    face_model: FaceModel,
) -> Objective:  # fmt: skip
    """Return how a recipe's network is taught.

    Raises:
        ContractError: `model.teacher` cannot teach it.
    """
    taught_by = None
    if recipe.model.teacher:
        taught_by = DistillationTeacher(decoder, recipe, accelerator, network, face_model)
    if is_teacher(recipe.model.name):
        return Asl2d(decoder, recipe, accelerator, network, taught_by)
    return Supervised(decoder) if taught_by is None else Distilled(decoder, taught_by)
