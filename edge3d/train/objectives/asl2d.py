"""The objective of 2DASL: labels, and self-supervision from 2D landmarks."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from edge3d.errors import TrainingStoppedError
from edge3d.networks.inference import Batch, images_of
from edge3d.networks.landmark_map import landmark_map, map_points, soft_landmark_map
from edge3d.networks.point_decoder import PointDecoder
from edge3d.train.objectives import asl2d_terms
from edge3d.train.objectives.critic import Critic
from edge3d.train.objectives.distillation import DistillationTeacher
from edge3d.train.objectives.supervised import supervised_terms
from edge3d.train.recipe import Recipe

CRITIC_LIMIT = 100.0  # of its mean score; what tells real from false is 1 and -1


class Asl2d:
    """2DASL: a teacher learns labels, and from 2D landmarks alone by self-supervision.

    The map of the first pass shows detected landmarks; that of the second pass the landmarks that
    the first one found. See `edge3d.train.objectives.asl2d_terms` for the terms.

    Args:
        decoder: of its parameters. recipe: its `[loss]` says which terms are wanted.
        accelerator: for the critic, which has an optimizer of its own.
        network: the teacher.
        taught_by: what the teacher itself learns from beside the labels, if anything.
    """

    def __init__(
        self, decoder: PointDecoder, recipe: Recipe, accelerator: Accelerator,
        network: nn.Module, taught_by: DistillationTeacher | None = None,
    ) -> None:  # fmt: skip
        self.decoder, self.accelerator, self.taught_by = decoder, accelerator, taught_by
        self.weights = recipe.loss
        self.make_map = soft_landmark_map if recipe.loss.soft_map else landmark_map
        head = network.get_submodule("head")
        assert isinstance(head, nn.Linear)
        critic = Critic(head.in_features, len(decoder.mean))
        optimizer = torch.optim.AdamW(critic.parameters(), lr=recipe.loss.critic_learning_rate)
        self.critic, self.optimizer = accelerator.prepare(critic, optimizer)

    def terms(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the supervised terms and those of 2DASL; only passes that count are made.

        Raises:
            TrainingStoppedError: the critic has collapsed.
        """
        weights, decoder = self.weights, self.decoder
        second_pass = weights.consistency_3d > 0 or weights.cycle > 0
        maps = landmark_map(map_points(batch["detected"]))
        again = self._second_map if second_pass else None
        whitened, code, whitened_again = network(images_of(batch), maps, again)
        landmarks, dense = decoder(whitened)
        known = batch["landmarks"]
        wanted = (batch["params"] - decoder.mean) / decoder.std
        terms = supervised_terms(whitened, landmarks, dense, batch, decoder.std, decoder.mean)
        if weights.weighted_params:
            terms["weighted_params"] = asl2d_terms.weighted_parameter_distance(
                whitened, wanted, decoder
            )
        if weights.self_prediction_2d:
            terms["self_prediction_2d"] = asl2d_terms.landmark_distance(landmarks, known)
        if second_pass:
            landmarks_again, _ = decoder(whitened_again)
            terms["consistency_3d"] = asl2d_terms.consistency(landmarks, landmarks_again)
            terms["cycle"] = asl2d_terms.landmark_distance(landmarks_again, known)
        if weights.self_critic:
            labelled = wanted.isfinite().all(1)
            self._teach_critic(code, wanted, whitened, labelled)
            # Not through what `accelerate` wraps it in: there all processes must take part, and
            # one whose faces all have labels does not.
            critic = self.accelerator.unwrap_model(self.critic)
            terms["self_critic"] = asl2d_terms.self_critic(critic, code, whitened, labelled)
            if terms["self_critic"].detach().abs() > CRITIC_LIMIT:
                raise TrainingStoppedError(
                    "self_critic: the critic has collapsed, its scores went beyond "
                    f"{CRITIC_LIMIT:.0f}; lower loss.critic_learning_rate or loss.self_critic"
                )
        if self.taught_by is not None:
            terms |= self.taught_by.terms(batch, whitened, (landmarks, dense))
        return terms

    def extra_state(self) -> dict[str, nn.Module]:
        """Return the critic, and the distillation teacher's linear layers."""
        own = {"critic": self.accelerator.unwrap_model(self.critic)}
        return own | (self.taught_by.extra_state() if self.taught_by else {})

    def _second_map(self, whitened: Tensor) -> Tensor:
        with torch.autocast(whitened.device.type, enabled=False):  # pixels want float32
            return self.make_map(map_points(self.decoder(whitened.float())[0]))

    def _teach_critic(
        self, code: Tensor, wanted: Tensor, whitened: Tensor, labelled: Tensor
    ) -> None:
        loss = asl2d_terms.critic_terms(self.critic, code, wanted, whitened, labelled)
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        self.optimizer.step()
