"""Training recipes: TOML files checked by pydantic, with `--set section.key=value` on top."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge3d.errors import Edge3dError
from edge3d.train.augment import AugmentConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class RecipeError(Edge3dError):
    """A recipe has unknown keys, wrong types or impossible values."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSection(_Section):
    """Which network is trained."""

    name: Literal["student-025", "student-050", "student-100"] = "student-050"
    init: str = Field("", description="checkpoint to start from; empty for random weights")


class DataSection(_Section):
    """What it is trained on."""

    aflw: str = Field(description="folder with crops120.zip and labels.npz")
    bfm: str = Field(description="bfm62.npz, which the labels belong to")
    cache: str = Field("runs/cache", description="where decoded crops and fits are kept")
    balance: float = Field(0.5, ge=0, le=1)
    workers: int = Field(1, ge=0)


class TrainSection(_Section):
    """How long and how fast."""

    steps: int = Field(7000, ge=1)
    batch: int = Field(128, ge=2)
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    warmup: int = Field(200, ge=0)
    ema: float = Field(0.999, ge=0, lt=1)
    seed: int = 0
    log_every: int = Field(20, ge=1)
    save_every: int = Field(200, ge=1)
    threads: int = Field(1, ge=1)


class LossSection(_Section):
    """Weights of the terms (see `edge3d.train.losses.supervised_terms`)."""

    landmarks_2d: float = Field(1.0, ge=0)
    landmarks_z: float = Field(0.25, ge=0)
    dense_3d: float = Field(0.5, ge=0)
    params: float = Field(0.5, ge=0)


class Recipe(_Section):
    """A whole training run."""

    model: ModelSection = ModelSection()
    data: DataSection
    train: TrainSection = TrainSection()
    loss: LossSection = LossSection()
    augment: AugmentConfig = AugmentConfig()


def load_recipe(path: str | Path | None, overrides: list[str]) -> Recipe:
    """Read a recipe and apply `section.key=value` overrides.

    Raises:
        RecipeError: the file is not there or not TOML, or the recipe is not valid; the message
            names each wrong key.
    """
    content: dict[str, Any] = {}
    if path is not None:
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise RecipeError(f"cannot read recipe {path}: {error.strerror}") from error
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"recipe {path} is not TOML: {error}") from error
    for override in overrides:
        name, equals, text = override.partition("=")
        section, dot, key = name.strip().partition(".")
        if not equals or not dot:
            raise RecipeError(f"--set {override}: write it as section.key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text  # a bare string
        content.setdefault(section, {})[key] = value
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in issue['loc'])}: {issue['msg']}"
            for issue in error.errors()
        )
        raise RecipeError(f"recipe {path or '(defaults)'}: {problems}") from error
