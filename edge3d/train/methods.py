"""How a network is taught: what a batch makes of it, as named terms. The loop does the rest."""

from __future__ import annotations

from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from edge3d.train import asl2d
from edge3d.train.landmark_map import landmark_map, map_points, soft_landmark_map
from edge3d.train.losses import PointDecoder, supervised_terms
from edge3d.train.recipe import Recipe
from edge3d.train.teachers import Critic

Batch = dict[str, Tensor]
"""`image` (B, 3, 120, 120) uint8; `params`, `landmarks`, `dense` as `supervised_terms` wants them;
`detected` (B, 68, 2), landmarks as a 2D detector gives them, NaN where it gives none."""


class Method(Protocol):
    """How a network is taught."""

    def terms(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of a batch, to be weighted and added up."""

    def extra_state(self) -> dict[str, nn.Module]:
        """Return further modules that a run needs to go on, by name."""


def images_of(batch: Batch) -> Tensor:
    """Return crops (B, 3, 120, 120) float32 RGB 0..255, channels last in memory."""
    return batch["image"].float().contiguous(memory_format=torch.channels_last)


def whitened_by(network: nn.Module, batch: Batch) -> Tensor:
    """Return the whitened parameters (B, P) that a student or a teacher gives for a batch."""
    if takes_landmarks(network):
        found = network(images_of(batch), landmark_map(map_points(batch["detected"])))
        return found[0] if isinstance(found, tuple) else found
    return network(images_of(batch))


def takes_landmarks(network: nn.Module) -> bool:
    """Return whether a network wants a landmark map beside the crop."""
    return bool(getattr(network, "takes_landmarks", False))


class Supervised:
    """A student learns labels.

    Args:
        decoder: of its parameters.
    """

    def __init__(self, decoder: PointDecoder) -> None:
        self.decoder = decoder

    def terms(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """See `supervised_terms`."""
        whitened = network(images_of(batch))
        landmarks, dense = self.decoder(whitened)
        return supervised_terms(
            whitened, landmarks, dense, batch, self.decoder.std, self.decoder.mean
        )

    def extra_state(self) -> dict[str, nn.Module]:
        """Return nothing: there is none."""
        return {}


class Asl2d:
    """2DASL: a teacher learns labels, and from 2D landmarks alone by self-supervision.

    The map of the first pass shows detected landmarks; that of the second pass the landmarks that
    the first one found. See `edge3d.train.asl2d` for the terms.

    Args:
        decoder: of its parameters. recipe: its `[loss]` says which terms are wanted.
        accelerator: for the critic, which has an optimizer of its own.
    """

    def __init__(self, decoder: PointDecoder, recipe: Recipe, accelerator: Accelerator) -> None:
        self.decoder, self.accelerator = decoder, accelerator
        self.weights = recipe.loss
        self.make_map = soft_landmark_map if recipe.loss.soft_map else landmark_map
        critic = Critic(len(decoder.mean))
        optimizer = torch.optim.AdamW(critic.parameters(), lr=recipe.loss.critic_learning_rate)
        self.critic, self.optimizer = accelerator.prepare(critic, optimizer)

    def terms(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the supervised terms and those of 2DASL; only passes that count are made."""
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
            terms["weighted_params"] = asl2d.weighted_parameter_distance(whitened, wanted, decoder)
        if weights.self_prediction_2d:
            terms["self_prediction_2d"] = asl2d.landmark_distance(landmarks, known)
        if second_pass:
            landmarks_again, _ = decoder(whitened_again)
            terms["consistency_3d"] = asl2d.consistency(landmarks, landmarks_again)
            terms["cycle"] = asl2d.landmark_distance(landmarks_again, known)
        if weights.self_critic:
            labelled = wanted.isfinite().all(1)
            self._teach_critic(code, wanted, whitened, labelled)
            terms["self_critic"] = asl2d.self_critic(self.critic, code, whitened, labelled)
        return terms

    def extra_state(self) -> dict[str, nn.Module]:
        """Return the critic."""
        return {"critic": self.accelerator.unwrap_model(self.critic)}

    def _second_map(self, whitened: Tensor) -> Tensor:
        with torch.autocast(whitened.device.type, enabled=False):  # pixels want float32
            return self.make_map(map_points(self.decoder(whitened.float())[0]))

    def _teach_critic(
        self, code: Tensor, wanted: Tensor, whitened: Tensor, labelled: Tensor
    ) -> None:
        loss = asl2d.critic_terms(self.critic, code, wanted, whitened, labelled)
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        self.optimizer.step()


def make_method(recipe: Recipe, decoder: PointDecoder, accelerator: Accelerator) -> Method:
    """Return how a recipe's network is taught."""
    if recipe.model.name == "teacher":
        return Asl2d(decoder, recipe, accelerator)
    return Supervised(decoder)
