"""The training loop: accelerate for devices and processes, checkpoints to go on from."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from torch import nn
from torch.utils.data import DataLoader, Subset

from edge3d.contract import ModelContract, contract_for
from edge3d.errors import ContractError
from edge3d.face_model import FaceModel
from edge3d.files import atomic_path
from edge3d.parameters import ParameterLayout, make_layout
from edge3d.train.checkpoint import (
    load_checkpoint,
    load_training_state,
    save_checkpoint,
    save_training_state,
)
from edge3d.train.data import FaceCrops, TrainingFaces
from edge3d.train.graft import lay_into_resnet, lend_blocks
from edge3d.train.history import after_run
from edge3d.train.landmark_map import landmark_map, map_points
from edge3d.train.losses import PointDecoder
from edge3d.train.methods import TrainingStoppedError, make_method
from edge3d.train.networks import STARTS, is_teacher, make_network
from edge3d.train.recipe import Recipe
from edge3d.train.sources import licence_of
from edge3d.train.students import MobileNetV1, count_multiply_adds
from edge3d.train.teachers import ResNet50, SeparableResNet
from edge3d.train.validate import validate
from edge3d.train.widen import widen


@dataclass(frozen=True)
class Progress:
    """What the loop tells after some steps: means since the last time.

    Attributes:
        step, steps: done and in all. terms: loss terms, `loss` their weighted sum.
        learning_rate. images_per_second: over all processes. seconds_left: at this speed.
    """

    step: int
    steps: int
    terms: dict[str, float]
    learning_rate: float
    images_per_second: float
    seconds_left: float


def join_processes() -> PartialState:
    """Join the processes that a launcher such as torchrun started; a single one if there is none.

    Without an accelerator the processes share the CPU's cores.
    """
    return PartialState(cpu=not torch.accelerator.is_available())


def checkpoint_name(recipe: Recipe) -> str:
    """Return the name of the file with a run's weights."""
    return "teacher.safetensors" if is_teacher(recipe.model.name) else "student.safetensors"


def whitening(parts: Sequence[FaceCrops], face_model: FaceModel) -> ParameterLayout:
    """Return the labels' layout with the mean and standard deviation of all known ones."""
    params = np.concatenate([part.labels.params for part in parts])
    params = params[np.isfinite(params).all(axis=1)].astype(np.float64)
    mean, std = params.mean(axis=0), params.std(axis=0)
    camera = parts[0].labels.camera
    if face_model.expression_bounds is not None:
        # A coefficient that hardly ever moves in the labels must not be blown up.
        expression = slice(*make_layout(camera, face_model).slices["expression"])
        std[expression] = np.maximum(std[expression], 0.05)
    lowest = 1e-3 if camera == "rotation6d" else 1e-9  # a matrix's entries are 1e-4 and less
    return make_layout(camera, face_model, mean, np.maximum(std, lowest))


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
    network, layout, started_from = _first_network(recipe, parts, face_model)
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
    method = make_method(recipe, decoder, accelerator, network, face_model)
    state_file = out / "state.safetensors"
    done = 0
    if state_file.is_file():
        done = load_training_state(state_file, network, average, optimizer, method.extra_state())
    if accelerator.is_main_process:
        _forget_metrics_after(out / "metrics.jsonl", done)
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
        rate = _learning_rate(step, recipe)
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
        _update_average(average, accelerator.unwrap_model(network), settings.ema, step)
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
                _append_metrics(out / "metrics.jsonl", progress)
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
            nme = validate(average, decoder, parts, data.held_out).summary()
            accelerator.log({f"held_out_{key}": v for key, v in nme.items()}, step=step)
            _append_row(out / "metrics.jsonl", {"step": step, "held_out": nme})
    for tracker in accelerator.trackers:
        tracker.finish()
    return contract


def _first_network(
    recipe: Recipe, parts: Sequence[FaceCrops], face_model: FaceModel
) -> tuple[nn.Module, ParameterLayout, dict[str, Any]]:
    """Return the network that a run starts from: random, a checkpoint's, or one widened.

    With it come its parameters' layout and what the provenance says of the checkpoint.

    Raises:
        ContractError: the checkpoint is of another network or face model.
    """
    name, init = recipe.model.name, recipe.model.init
    layout = whitening(parts, face_model)
    if not init:
        return make_network(name, layout.size), layout, {}
    network, contract = load_checkpoint(init)
    started_from = after_run(contract.provenance)
    if contract.architecture not in STARTS[name]:
        raise ContractError(
            f"{init}: is a {contract.architecture}, and model.name is {name}; start from a "
            f"{' or a '.join(STARTS[name])}, or leave model.init empty"
        )
    wanted = make_network(name, contract.layout.size)
    if isinstance(network, MobileNetV1) and isinstance(wanted, SeparableResNet):
        lent = lend_blocks(network, SeparableResNet(layout.size))
        return lent, layout, started_from  # of any face model: its last layer is new
    contract.check_face_model(face_model, init)
    if isinstance(network, SeparableResNet) and isinstance(wanted, ResNet50):
        network = lay_into_resnet(network, wanted, *_some_faces(parts))
    elif contract.architecture != name:
        network = widen(network, name, contract.layout.size, recipe.train.seed)
    rewhiten(network, contract.layout, layout)
    return network.train(), layout, started_from


def _some_faces(parts: Sequence[FaceCrops], count: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    """Return crops (N, 3, 120, 120) RGB 0..255 of the first source, N <= count, and their maps."""
    crops = parts[0].crops
    rows = np.linspace(0, len(crops) - 1, min(count, len(crops))).astype(int)
    maps = landmark_map(map_points(torch.from_numpy(parts[0].labels.landmarks[rows])))
    return torch.from_numpy(crops[rows]).permute(0, 3, 1, 2).float(), maps


@torch.no_grad()
def rewhiten(network: nn.Module, old: ParameterLayout, new: ParameterLayout) -> None:
    """Change the last layer so that whitened by another mean and deviation it gives the same faces.

    Args:
        network: its last layer is `head`. old: what its outputs are whitened by. new: what they
            are to be whitened by.
    """
    head: nn.Linear = network.get_submodule("head")  # type: ignore[assignment]
    share = torch.from_numpy(old.std / new.std)
    head.weight *= share[:, None]
    head.bias.copy_(head.bias * share + torch.from_numpy((old.mean - new.mean) / new.std))


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


def _learning_rate(step: int, recipe: Recipe) -> float:
    """Return the rate at a step: a linear warm-up, then half a cosine down to 1 %."""
    settings = recipe.train
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    share = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights and batch statistics a little towards the present ones."""
    decay = min(decay, (1 + step) / (10 + step))
    for mean, value in zip(
        average.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def _append_metrics(path: Path, progress: Progress) -> None:
    row = {
        "step": progress.step,
        **{name: round(value, 5) for name, value in progress.terms.items()},
        "learning_rate": progress.learning_rate,
        "images_per_second": round(progress.images_per_second, 1),
    }
    _append_row(path, row)


def _append_row(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _forget_metrics_after(path: Path, step: int) -> None:
    """Drop the rows that a run wrote after the step (0: none) which it now goes on from."""
    if not path.is_file():
        return
    rows = [line for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    kept = [line for line in rows if json.loads(line)["step"] <= step]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
