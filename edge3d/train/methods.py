"""How a network is taught: what a batch makes of it, as named terms. The loop does the rest."""

from __future__ import annotations

from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from edge3d.errors import ContractError
from edge3d.face_model import FaceModel
from edge3d.train import asl2d
from edge3d.train.checkpoint import load_checkpoint
from edge3d.train.distil import FeatureMatch, teacher_terms
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


class Distilled(Supervised):
    """A student learns labels, and what a teacher says of the same faces.

    Args:
        decoder: of the student's parameters. recipe: `model.teacher`, and which terms are wanted.
        accelerator: for the features' linear layer, which has an optimizer of its own.
        network: the student. face_model: of both.

    Raises:
        ContractError: the teacher is no checkpoint, or of another face model or layout.
    """

    def __init__(
        self, decoder: PointDecoder, recipe: Recipe, accelerator: Accelerator,
        network: nn.Module, face_model: FaceModel,
    ) -> None:  # fmt: skip
        super().__init__(decoder)
        self.accelerator, path = accelerator, recipe.model.teacher
        teacher, contract = load_checkpoint(path)
        contract.check_face_model(face_model, path)
        layout = contract.layout
        if (layout.size, layout.camera) != (len(decoder.mean), "rotation6d"):
            raise ContractError(
                f"{path}: its layout has {layout.size} parameters with a {layout.camera} camera, "
                f"the student's {len(decoder.mean)} with a rotation6d one; train a teacher with "
                "`edge3d train teacher`"
            )
        device = accelerator.device
        self.teacher = teacher.to(device, memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
        self.mean = torch.from_numpy(layout.mean).to(device)
        self.std = torch.from_numpy(layout.std).to(device)
        self.match: nn.Module | None = None
        if recipe.loss.teacher_features:
            self.features, self.taught_features = _HeadInput(network), _HeadInput(self.teacher)
            match = FeatureMatch(_head(network).in_features, _head(teacher).in_features)
            optimizer = torch.optim.AdamW(match.parameters(), lr=1e-3)
            self.match, self.optimizer = accelerator.prepare(match, optimizer)

    def terms(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """See `supervised_terms` and `teacher_terms`."""
        decoder = self.decoder
        with torch.no_grad():
            taught = whitened_by(self.teacher, batch) * self.std + self.mean
            taught = (taught - decoder.mean) / decoder.std
            taught_points = decoder(taught)
        if self.match is not None:  # moves with the gradient of the step before
            self.optimizer.step()
            self.optimizer.zero_grad()
        whitened = network(images_of(batch))
        points = decoder(whitened)
        landmarks, dense = points
        terms = supervised_terms(whitened, landmarks, dense, batch, decoder.std, decoder.mean)
        terms |= teacher_terms(whitened, points, taught, taught_points)
        if self.match is not None:
            terms["teacher_features"] = self.match(self.features.last, self.taught_features.last)
        return terms

    def extra_state(self) -> dict[str, nn.Module]:
        """Return the features' linear layer."""
        if self.match is None:
            return {}
        return {"match": self.accelerator.unwrap_model(self.match)}


class _HeadInput:
    """Remembers what a network's last layer was given."""

    def __init__(self, network: nn.Module) -> None:
        self.last = torch.empty(0)
        _head(network).register_forward_pre_hook(self._keep)

    def _keep(self, _head: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.last = inputs[0]


def _head(network: nn.Module) -> nn.Linear:
    head = network.get_submodule("head")
    assert isinstance(head, nn.Linear)
    return head


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


def make_method(
    recipe: Recipe, decoder: PointDecoder, accelerator: Accelerator, network: nn.Module,
    face_model: FaceModel,
) -> Method:  # fmt: skip
    """Return how a recipe's network is taught.

    Raises:
        ContractError: `model.teacher` is no teacher for it.
    """
    if recipe.model.name == "teacher":
        return Asl2d(decoder, recipe, accelerator)
    if recipe.model.teacher:
        return Distilled(decoder, recipe, accelerator, network, face_model)
    return Supervised(decoder)
