"""Learning from a trained teacher beside the labels."""

from __future__ import annotations

from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from edge3d.errors import ContractError
from edge3d.face_model import FaceModel
from edge3d.networks.checkpoint import load_checkpoint
from edge3d.networks.complexity import run_once
from edge3d.networks.inference import Batch, images_of, whitened_by
from edge3d.networks.point_decoder import PointDecoder
from edge3d.train.objectives.distillation_terms import MAP_SIZES, FeatureMatch, teacher_terms
from edge3d.train.objectives.supervised import Supervised, supervised_terms
from edge3d.train.recipe import Recipe


class Distilled(Supervised):
    """A student learns labels, and what a teacher says of the same faces.

    Args:
        decoder: of the student's parameters. taught_by: the teacher.
    """

    def __init__(self, decoder: PointDecoder, taught_by: DistillationTeacher) -> None:
        super().__init__(decoder)
        self.taught_by = taught_by

    def terms(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """See `supervised_terms` and `DistillationTeacher`."""
        decoder = self.decoder
        whitened = network(images_of(batch))
        points = decoder(whitened)
        landmarks, dense = points
        terms = supervised_terms(whitened, landmarks, dense, batch, decoder.std, decoder.mean)
        return terms | self.taught_by.terms(batch, whitened, points)

    def extra_state(self) -> dict[str, nn.Module]:
        """Return the teacher's linear layers."""
        return self.taught_by.extra_state()


class DistillationTeacher:
    """A trained network that another one learns from beside the labels.

    Mostly a teacher that a student learns from. A teacher can learn from a student as well, which
    gives a large network's first steps a direction; see `teacher_maps`.

    Args:
        decoder: of the learner's parameters. recipe: `model.teacher`, and which terms are wanted.
        accelerator: for the linear layers between features, which have an optimizer of their own.
        network: the learner. face_model: of both.

    Raises:
        ContractError: the teacher is no checkpoint, or of another face model or layout.
    """

    def __init__(
        self, decoder: PointDecoder, recipe: Recipe, accelerator: Accelerator,
        network: nn.Module, face_model: FaceModel,
    ) -> None:  # fmt: skip
        self.decoder, path = decoder, recipe.model.teacher
        teacher, contract = load_checkpoint(path)
        contract.check_face_model(face_model, path)
        layout = contract.layout
        own = decoder.layout.camera
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
        """Return the terms of `distillation_terms` for what the learner predicted for a batch.

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
