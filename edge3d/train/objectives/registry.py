"""How a network is taught: what a batch makes of it, as named terms. The loop does the rest."""

from __future__ import annotations

from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from edge3d.errors import ContractError, Edge3dError
from edge3d.face_model import FaceModel
from edge3d.train import asl2d
from edge3d.train.checkpoint import load_checkpoint
from edge3d.train.distil import MAP_SIZES, FeatureMatch, teacher_terms
from edge3d.train.landmark_map import landmark_map, map_points, soft_landmark_map
from edge3d.train.losses import PointDecoder, supervised_terms
from edge3d.train.networks import is_teacher
from edge3d.train.recipe import Recipe
from edge3d.train.students import run_once
from edge3d.train.teachers import Critic

Batch = dict[str, Tensor]
"""`image` (B, 3, 120, 120) uint8; `params`, `landmarks`, `dense` as `supervised_terms` wants them;
`detected` (B, 68, 2), landmarks as a 2D detector gives them, NaN where it gives none."""

CRITIC_LIMIT = 100.0  # of its mean score; what tells real from false is 1 and -1


class TrainingStoppedError(Edge3dError):
    """Training cannot go on; the last checkpoint is whole."""


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
        decoder: of the student's parameters. tutor: the teacher.
    """

    def __init__(self, decoder: PointDecoder, tutor: Tutor) -> None:
        super().__init__(decoder)
        self.tutor = tutor

    def terms(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """See `supervised_terms` and `Tutor`."""
        decoder = self.decoder
        whitened = network(images_of(batch))
        points = decoder(whitened)
        landmarks, dense = points
        terms = supervised_terms(whitened, landmarks, dense, batch, decoder.std, decoder.mean)
        return terms | self.tutor.terms(batch, whitened, points)

    def extra_state(self) -> dict[str, nn.Module]:
        """Return the tutor's linear layers."""
        return self.tutor.extra_state()


class Tutor:
    """A trained network that another one learns from beside the labels.

    Mostly a teacher that a student learns from. A teacher can learn from a student as well, which
    gives a large network's first steps a direction; see `teacher_maps`.

    Args:
        decoder: of the learner's parameters. recipe: `model.teacher`, and which terms are wanted.
        accelerator: for the linear layers between features, which have an optimizer of their own.
        network: the learner. face_model: of both.

    Raises:
        ContractError: the tutor is no checkpoint, or of another face model or layout.
    """

    def __init__(
        self, decoder: PointDecoder, recipe: Recipe, accelerator: Accelerator,
        network: nn.Module, face_model: FaceModel,
    ) -> None:  # fmt: skip
        self.decoder, path = decoder, recipe.model.teacher
        teacher, contract = load_checkpoint(path)
        contract.check_face_model(face_model, path)
        layout = contract.layout
        own = "affine" if decoder.is_affine else "rotation6d"
        if (layout.size, layout.camera) != (len(decoder.mean), own):
            raise ContractError(
                f"{path}: its layout has {layout.size} parameters with a {layout.camera} camera, "
                f"the learner's {len(decoder.mean)} with a {own} one; train a teacher with "
                "`edge3d train teacher`"
            )
        device = accelerator.device
        self.teacher = teacher.to(device, memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
        self.mean = torch.from_numpy(layout.mean).to(device)
        self.std = torch.from_numpy(layout.std).to(device)
        self.matches: dict[str, _Match] = {}
        if recipe.loss.teacher_features:
            watched: tuple[_Watcher, _Watcher] = _HeadInput(network), _HeadInput(self.teacher)
            self.matches["teacher_features"] = _Match(*watched, accelerator)
        if recipe.loss.teacher_maps:
            for size in MAP_SIZES:
                watched = _LastMap(network, size), _LastMap(self.teacher, size)
                self.matches[f"teacher_maps_{size}"] = _Match(*watched, accelerator)

    def terms(
        self, batch: Batch, whitened: Tensor, points: tuple[Tensor, Tensor]
    ) -> dict[str, Tensor]:
        """Return the terms of `edge3d.train.distil` for what the learner just gave for a batch.

        Args:
            batch: the faces. whitened: (B, P) the learner's parameters. points: their landmarks
                and dense points.
        """
        decoder = self.decoder
        with torch.no_grad():
            taught = whitened_by(self.teacher, batch).float() * self.std + self.mean
            taught = (taught - decoder.mean) / decoder.std
            taught_points = decoder(taught)
        terms = teacher_terms(whitened, points, taught, taught_points)
        for name, match in self.matches.items():
            key = name if name == "teacher_features" else "teacher_maps"
            terms[key] = terms.get(key, 0) + match.term()
        return terms

    def extra_state(self) -> dict[str, nn.Module]:
        """Return the linear layers between features."""
        return {name: match.bare() for name, match in self.matches.items()}


class _Match:
    """A `FeatureMatch` of what two networks were seen to hold, with its optimizer."""

    def __init__(self, own: _Watcher, taught: _Watcher, accelerator: Accelerator) -> None:
        self.own, self.taught, self.accelerator = own, taught, accelerator
        match = FeatureMatch(own.width, taught.width)
        optimizer = torch.optim.AdamW(match.parameters(), lr=1e-3)
        self.match, self.optimizer = accelerator.prepare(match, optimizer)

    def term(self) -> Tensor:
        """Return the term; the layer first moves with the gradient of the step before."""
        self.optimizer.step()
        self.optimizer.zero_grad()
        return self.match(self.own.last, self.taught.last)

    def bare(self) -> nn.Module:
        """Return the layer itself."""
        return self.accelerator.unwrap_model(self.match)


class _Watcher(Protocol):
    """Remembers what a network computed: `last` (..., `width`)."""

    width: int
    last: Tensor


class _HeadInput:
    """Remembers what a network's last layer was given."""

    def __init__(self, network: nn.Module) -> None:
        head = network.get_submodule("head")
        assert isinstance(head, nn.Linear)
        self.width, self.last = head.in_features, torch.empty(0)
        head.register_forward_pre_hook(self._keep)

    def _keep(self, _head: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.last = inputs[0]


class _LastMap:
    """Remembers the last map of some size in a network, channels last: (B, size, size, C)."""

    def __init__(self, network: nn.Module, size: int) -> None:
        self.size, self.last = size, torch.empty(0)
        for layer in network.get_submodule("features").children():
            layer.register_forward_hook(self._keep)
        run_once(network)
        self.width = self.last.shape[-1]

    def _keep(self, _layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.shape[-1] == self.size:
            self.last = output.movedim(1, -1)


class Asl2d:
    """2DASL: a teacher learns labels, and from 2D landmarks alone by self-supervision.

    The map of the first pass shows detected landmarks; that of the second pass the landmarks that
    the first one found. See `edge3d.train.asl2d` for the terms.

    Args:
        decoder: of its parameters. recipe: its `[loss]` says which terms are wanted.
        accelerator: for the critic, which has an optimizer of its own.
        network: the teacher.
        tutor: what the teacher itself learns from beside the labels, if anything.
    """

    def __init__(
        self, decoder: PointDecoder, recipe: Recipe, accelerator: Accelerator,
        network: nn.Module, tutor: Tutor | None = None,
    ) -> None:  # fmt: skip
        self.decoder, self.accelerator, self.tutor = decoder, accelerator, tutor
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
            # Not through what `accelerate` wraps it in: there all processes must take part, and
            # one whose faces all have labels does not.
            critic = self.accelerator.unwrap_model(self.critic)
            terms["self_critic"] = asl2d.self_critic(critic, code, whitened, labelled)
            if terms["self_critic"].detach().abs() > CRITIC_LIMIT:
                raise TrainingStoppedError(
                    "self_critic: the critic has collapsed, its scores went beyond "
                    f"{CRITIC_LIMIT:.0f}; the last checkpoint is whole; lower "
                    "loss.critic_learning_rate or loss.self_critic and go on from it"
                )
        if self.tutor is not None:
            terms |= self.tutor.terms(batch, whitened, (landmarks, dense))
        return terms

    def extra_state(self) -> dict[str, nn.Module]:
        """Return the critic, and the tutor's linear layers."""
        own = {"critic": self.accelerator.unwrap_model(self.critic)}
        return own | (self.tutor.extra_state() if self.tutor else {})

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
        ContractError: `model.teacher` cannot teach it.
    """
    tutor = None
    if recipe.model.teacher:
        tutor = Tutor(decoder, recipe, accelerator, network, face_model)
    if is_teacher(recipe.model.name):
        return Asl2d(decoder, recipe, accelerator, network, tutor)
    return Supervised(decoder) if tutor is None else Distilled(decoder, tutor)
