"""The training loop: accelerate for devices and processes, checkpoints to resume from."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from edge3d.datasets.faces import FaceCrops
from edge3d.errors import RecipeError, TrainingStoppedError
from edge3d.face_model import FaceModel
from edge3d.model.contract import ModelContract, contract_for
from edge3d.networks.checkpoint import load_checkpoint, save_checkpoint
from edge3d.networks.complexity import count_multiply_adds
from edge3d.networks.point_decoder import PointDecoder
from edge3d.train.held_out import validate_held_out
from edge3d.train.initialise import initial_network
from edge3d.train.metrics_log import Progress, append_metrics, append_row, truncate_metrics
from edge3d.train.objectives.registry import make_objective
from edge3d.train.recipe import Recipe
from edge3d.train.run_folder import (
    CHECKPOINTS,
    METRICS_FILE,
    PATHS,
    STATE_FILE,
    check_settings,
    checkpoint_name,
    run_lock,
    run_settings,
)
from edge3d.train.sampler import TrainingFaces
from edge3d.train.schedule import learning_rate, update_average
from edge3d.train.sources import licence_of
from edge3d.train.state import load_training_state, read_run, save_training_state

GRADIENT_LIMIT = 50.0  # norm that gradients are clipped to


def join_processes() -> PartialState:
    """Join the processes that a launcher such as torchrun started; a single one if there is none.

    Without an accelerator the processes share the CPU's cores.
    """
    return PartialState(cpu=not torch.accelerator.is_available())


def train_network(
    recipe: Recipe,
    parts: Sequence[FaceCrops],
    face_model: FaceModel,
    out: Path,
    report: Callable[[Progress], None] | None = None,
) -> ModelContract:
    """Train a student or a teacher; resume from `out/state.safetensors` if it is there.

    Writes to `out`: `state.safetensors` (to resume from), `student.safetensors` or
    `teacher.safetensors` (the averaged weights with their contract), `metrics.jsonl`, and
    TensorBoard's files in `tensorboard/`. A finished run is left as it is.

    Args:
        recipe: the settings. parts: the faces, by source. face_model: that the labels belong to.
        out: the run's folder.
        report: called with the progress every `train.log_every` steps.

    Returns:
        The contract of the last checkpoint.

    Raises:
        TrainingStoppedError: a loss term is not finite, or the critic has collapsed.
        ContractError: `out` holds the state of another network, or a teacher does not fit.
        RecipeError: `out` holds a run with other settings.
        OutputError: another process is training in `out`, or it cannot be written to.
    """
    with run_lock(out):
        if steps_done(recipe, out) >= recipe.train.steps:
            return load_checkpoint(out / checkpoint_name(recipe))[1]
        return Trainer(recipe, parts, face_model, out, report).run()


def steps_done(recipe: Recipe, out: Path) -> int:
    """Return how many steps the run in a folder has done, 0 if there is none.

    Raises:
        RecipeError: the run was made with other settings than the recipe's.
        ContractError: the run's state cannot be read.
    """
    state_file = out / STATE_FILE
    if not state_file.is_file():
        return 0
    step, settings = read_run(state_file)
    settings.pop("faces", None)  # known once they are loaded; the trainer compares them
    if settings:
        check_settings(settings, run_settings(recipe), out)
    return step


@dataclass
class _Means:
    """Sums of the terms' values since the last report."""

    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0
    since: float = field(default_factory=time.monotonic)

    def add(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1

    def means(self) -> dict[str, float]:
        return {name: value / self.count for name, value in self.sums.items()}


class Trainer:
    """One training run: builds what it needs, resumes, and runs to its last step.

    The caller holds the run's folder, see `edge3d.train.run_folder.run_lock`. Arguments are those
    of `train_network`.
    """

    def __init__(
        self,
        recipe: Recipe,
        parts: Sequence[FaceCrops],
        face_model: FaceModel,
        out: Path,
        report: Callable[[Progress], None] | None = None,
    ) -> None:
        self.recipe, self.settings, self.parts = recipe, recipe.train, parts
        self.out, self.report = out, report
        self._build(face_model)
        self.step = self._resume()

    def run(self) -> ModelContract:
        """Train up to the last step; return the contract of the last checkpoint.

        Raises:
            TrainingStoppedError: a loss term is not finite, or the critic has collapsed.
        """
        loader = self._prepare()
        means = _Means()
        for batch in loader:
            try:
                values, rate = self._train_step(batch)
            except TrainingStoppedError as error:
                raise TrainingStoppedError(
                    f"step {self.step + 1}: {error}; {self._what_is_left()}"
                ) from error
            means.add(values)
            if self.step % self.settings.log_every == 0 or self.step == self.settings.steps:
                self._log(means, rate)
                means = _Means()
            if self.step % self.settings.save_every == 0 or self.step == self.settings.steps:
                self._checkpoint()
        for tracker in self.accelerator.trackers:
            tracker.finish()
        return self.contract

    def _build(self, face_model: FaceModel) -> None:
        """Make networks, optimizer and objective as they are before the first step."""
        recipe, settings = self.recipe, self.settings
        torch.set_num_threads(settings.threads)
        torch.manual_seed(settings.seed)
        join_processes()
        self.accelerator = Accelerator(
            mixed_precision="no" if settings.precision == "fp32" else settings.precision,
            log_with="tensorboard",
            project_dir=self.out,
        )
        if settings.batch % self.accelerator.num_processes:
            raise RecipeError(
                f"train.batch: {settings.batch} samples cannot be shared evenly by "
                f"{self.accelerator.num_processes} processes; choose a multiple of their number"
            )
        self.accelerator.init_trackers("tensorboard")
        network, layout, started_from = initial_network(recipe, self.parts, face_model)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: nn.Module = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        groups: list[dict[str, Any]] = [
            {"params": [p for p in network.parameters() if p.ndim > 1]},
            {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer: Any = torch.optim.AdamW(
            groups, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        provenance = _provenance(recipe, self.parts, network) | started_from
        self.contract = contract_for(recipe.model.name, layout, face_model, provenance=provenance)
        self.run_settings = run_settings(recipe) | {"faces": provenance["data"]}
        self.decoder = PointDecoder(face_model, layout, self.parts[0].points)
        self.decoder.to(self.accelerator.device)
        self.objective = make_objective(recipe, self.decoder, self.accelerator, network, face_model)

    def _resume(self) -> int:
        """Restore the state in the run's folder, if there is one; return the steps done."""
        state_file, done = self.out / STATE_FILE, 0
        if state_file.is_file():
            _, settings = read_run(state_file)
            if settings:
                check_settings(settings, self.run_settings, self.out)
            done = load_training_state(
                state_file, self.network, self.average, self.optimizer, self.objective.extra_state()
            )
        if self.accelerator.is_main_process:
            truncate_metrics(self.out / METRICS_FILE, done)
        return done

    def _prepare(self) -> DataLoader:
        """Return the samples that are left, and move everything to its device."""
        settings, data = self.settings, self.recipe.data
        samples = settings.steps * settings.batch
        dataset = TrainingFaces(
            self.parts, samples, self.recipe.augment, settings.seed, data.balance, data.shut_eyes,
            data.shares, data.held_out,
        )  # fmt: skip
        loader = DataLoader(
            Subset(dataset, range(self.step * settings.batch, samples)),
            batch_size=settings.batch // self.accelerator.num_processes,
            num_workers=data.workers,
            persistent_workers=data.workers > 0,
            prefetch_factor=4 if data.workers else None,
        )
        self.average.to(self.accelerator.device)
        self.network, self.optimizer, loader = self.accelerator.prepare(
            self.network, self.optimizer, loader
        )
        return loader

    def _train_step(self, batch: dict[str, Tensor]) -> tuple[dict[str, float], float]:
        """Make one step; return the values of the terms and the learning rate."""
        rate = learning_rate(self.step, self.recipe)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        terms = self.objective.terms(self.network, batch)
        weights = self.recipe.loss.model_dump()
        loss = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.network.parameters(), GRADIENT_LIMIT)
        values = {name: float(value.detach()) for name, value in {**terms, "loss": loss}.items()}
        checked = {**values, "gradient": float(norm)}
        bad = [name for name, value in checked.items() if not math.isfinite(value)]
        if bad:
            raise TrainingStoppedError(
                f"{', '.join(bad)} is not a number; lower train.learning_rate"
            )
        self.optimizer.step()
        self.step += 1
        update_average(
            self.average, self.accelerator.unwrap_model(self.network), self.settings.ema, self.step
        )
        return values, rate

    def _log(self, means: _Means, rate: float) -> None:
        """Write the means of the terms to the logs, and report the progress."""
        seconds = time.monotonic() - means.since
        progress = Progress(
            step=self.step,
            steps=self.settings.steps,
            terms=means.means(),
            learning_rate=rate,
            images_per_second=means.count * self.settings.batch / seconds,
            seconds_left=(self.settings.steps - self.step) * seconds / means.count,
        )
        self.accelerator.log({**progress.terms, "learning_rate": rate}, step=self.step)
        if self.accelerator.is_main_process:
            append_metrics(self.out / METRICS_FILE, progress)
            if self.report is not None:
                self.report(progress)

    def _checkpoint(self) -> None:
        """Write the averaged weights, the held-out accuracy and, last, the state."""
        if not self.accelerator.is_main_process:
            return
        save_checkpoint(self.out / checkpoint_name(self.recipe), self.average, self.contract)
        held_out = self.recipe.data.held_out
        nme = validate_held_out(self.average, self.decoder, self.parts, held_out).summary()
        self.accelerator.log({f"held_out_{key}": v for key, v in nme.items()}, step=self.step)
        append_row(self.out / METRICS_FILE, {"step": self.step, "held_out": nme})
        # Last: a state at the last step says that the run is finished, and nothing is missing.
        save_training_state(
            self.out / STATE_FILE,
            self.accelerator.unwrap_model(self.network),
            self.average,
            self.optimizer.optimizer,
            self.step,
            self.objective.extra_state(),
            self.run_settings,
        )

    def _what_is_left(self) -> str:
        """Return what a run that stops leaves behind, and what to do with it."""
        checkpoint = self.out / checkpoint_name(self.recipe)
        if not checkpoint.is_file():
            return (
                "there is no checkpoint yet (the first comes at step "
                f"{min(self.settings.save_every, self.settings.steps)}): start again"
            )
        return (
            f"the last checkpoint is whole: start a new run from it, with model.init={checkpoint} "
            "and another --out"
        )


def _provenance(recipe: Recipe, parts: Sequence[FaceCrops], network: nn.Module) -> dict[str, Any]:
    """Return what the contract tells of the training; of paths, the last name alone."""
    content = recipe.model_dump()
    for name in (*PATHS, *CHECKPOINTS, "data.cache"):
        section, _, key = name.partition(".")
        content[section][key] = Path(content[section][key]).name
    return {
        "recipe": content,
        "data": {part.source: len(part.names) for part in parts},
        "licence": licence_of([part.source for part in parts]),
        "network": {
            "parameters": sum(p.numel() for p in network.parameters()),
            "multiply_adds": count_multiply_adds(network),
        },
    }
