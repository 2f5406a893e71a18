"""The training loop: accelerate for devices and processes, checkpoints to go on from."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from torch import nn
from torch.utils.data import DataLoader, Subset

from edge3d.datasets.faces import FaceCrops
from edge3d.errors import TrainingStoppedError
from edge3d.face_model import FaceModel
from edge3d.model.contract import ModelContract, contract_for
from edge3d.networks.checkpoint import save_checkpoint
from edge3d.networks.complexity import count_multiply_adds
from edge3d.networks.point_decoder import PointDecoder
from edge3d.networks.registry import is_teacher
from edge3d.train.held_out import validate_held_out
from edge3d.train.initialise import initial_network
from edge3d.train.metrics_log import Progress, append_metrics, append_row, truncate_metrics
from edge3d.train.objectives.registry import make_objective
from edge3d.train.recipe import Recipe
from edge3d.train.sampler import TrainingFaces
from edge3d.train.schedule import learning_rate, update_average
from edge3d.train.sources import licence_of
from edge3d.train.state import load_training_state, save_training_state


def join_processes() -> PartialState:
    """Join the processes that a launcher such as torchrun started; a single one if there is none.

    Without an accelerator the processes share the CPU's cores.
    """
    return PartialState(cpu=not torch.accelerator.is_available())


def checkpoint_name(recipe: Recipe) -> str:
    """Return the name of the file with a run's weights."""
    return "teacher.safetensors" if is_teacher(recipe.model.name) else "student.safetensors"


def train_network(
    recipe: Recipe,
    parts: Sequence[FaceCrops],
    face_model: FaceModel,
    out: Path,
    report: Callable[[Progress], None] | None = None,
) -> ModelContract:
    """Train a student or a teacher; go on from `out/state.safetensors` if it is there.

    Writes to `out`: `state.safetensors` (to go on from), `student.safetensors` or
    `teacher.safetensors` (the averaged weights with their contract), `metrics.jsonl`, and
    TensorBoard's files in `tensorboard/`.

    Args:
        recipe: what to do. parts: the faces, by source. face_model: that the labels belong to.
        out: the run's folder.
        report: called with the progress every `train.log_every` steps.

    Returns:
        The contract of the last checkpoint.

    Raises:
        TrainingStoppedError: a loss term is not finite, or the critic has collapsed.
        ContractError: `out` holds the state of another network, or a teacher does not fit.
    """
    settings = recipe.train
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    join_processes()
    accelerator = Accelerator(
        mixed_precision="no" if settings.precision == "fp32" else settings.precision,
        log_with="tensorboard",
        project_dir=out,
    )
    accelerator.init_trackers("tensorboard")
    network, layout, started_from = initial_network(recipe, parts, face_model)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).requires_grad_(False)
    decays = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decays},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        groups,
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    contract = contract_for(
        recipe.model.name,
        layout,
        face_model,
        provenance=_provenance(recipe, parts, network) | started_from,
    )
    decoder = PointDecoder(face_model, layout, parts[0].points).to(accelerator.device)
    method = make_objective(recipe, decoder, accelerator, network, face_model)
    state_file = out / "state.safetensors"
    done = 0
    if state_file.is_file():
        done = load_training_state(state_file, network, average, optimizer, method.extra_state())
    if accelerator.is_main_process:
        truncate_metrics(out / "metrics.jsonl", done)
    if done >= settings.steps:
        save_checkpoint(out / checkpoint_name(recipe), average, contract)
        return contract

    draws = settings.steps * settings.batch
    data = recipe.data
    dataset = TrainingFaces(
        parts, draws, recipe.augment, settings.seed, data.balance, data.shut_eyes, data.shares,
        data.held_out,
    )  # fmt: skip
    loader = DataLoader(
        Subset(dataset, range(done * settings.batch, draws)),
        batch_size=settings.batch // accelerator.num_processes,
        num_workers=data.workers,
        persistent_workers=data.workers > 0,
        prefetch_factor=4 if data.workers else None,
    )
    average.to(accelerator.device)
    network, optimizer, loader = accelerator.prepare(network, optimizer, loader)
    weights = recipe.loss.model_dump()
    sums: dict[str, float] = {}
    since, counted = time.monotonic(), 0
    step = done
    for batch in loader:
        rate = learning_rate(step, recipe)
        for group in optimizer.param_groups:
            group["lr"] = rate
        terms = method.terms(network, batch)
        loss = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        optimizer.zero_grad()
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(network.parameters(), 50.0)
        values = {name: float(value.detach()) for name, value in {**terms, "loss": loss}.items()}
        checked = {**values, "gradient": float(norm)}
        bad = [name for name, value in checked.items() if not math.isfinite(value)]
        if bad:
            raise TrainingStoppedError(
                f"step {step + 1}: {', '.join(bad)} is not a number; the last checkpoint in {out} "
                "is whole; lower train.learning_rate and go on from it"
            )
        optimizer.step()
        step += 1
        counted += 1
        update_average(average, accelerator.unwrap_model(network), settings.ema, step)
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value
        if step % settings.log_every == 0 or step == settings.steps:
            means = {name: value / counted for name, value in sums.items()}
            seconds = time.monotonic() - since
            progress = Progress(
                step=step,
                steps=settings.steps,
                terms=means,
                learning_rate=rate,
                images_per_second=counted * settings.batch / seconds,
                seconds_left=(settings.steps - step) * seconds / counted,
            )
            sums, counted, since = {}, 0, time.monotonic()
            accelerator.log({**means, "learning_rate": rate}, step=step)
            if accelerator.is_main_process:
                append_metrics(out / "metrics.jsonl", progress)
                if report is not None:
                    report(progress)
        if accelerator.is_main_process and (
            step % settings.save_every == 0 or step == settings.steps
        ):
            bare = accelerator.unwrap_model(network)
            save_training_state(
                state_file, bare, average, optimizer.optimizer, step, method.extra_state()
            )
            save_checkpoint(out / checkpoint_name(recipe), average, contract)
            nme = validate_held_out(average, decoder, parts, data.held_out).summary()
            accelerator.log({f"held_out_{key}": v for key, v in nme.items()}, step=step)
            append_row(out / "metrics.jsonl", {"step": step, "held_out": nme})
    for tracker in accelerator.trackers:
        tracker.finish()
    return contract


def _provenance(recipe: Recipe, parts: Sequence[FaceCrops], network: nn.Module) -> dict[str, Any]:
    """Return what the contract tells of the training; of paths, the last name alone."""
    content = recipe.model_dump()
    for section, key in (
        *(("model", k) for k in ("init", "teacher")),
        *(
            ("data", k)
            for k in ("aflw", "relabel", "face_mesh", "w300lp", "folder", "bfm", "cache")
        ),
    ):
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
