"""Calibration recipes: how a calibration set is chosen, in a TOML file of `calibration/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, model_validator

from edge3d.bundled import calibration_recipes_path
from edge3d.calibration.spread import FEATURES, Feature
from edge3d.config import Section, bundled_config, load_config


class CalibrationSection(Section):
    """What the crops are chosen from, and how."""

    source: str = Field("synthetic", min_length=1, description="synthetic, a folder, or aflw:DIR")
    count: int = Field(64, ge=8, description="crops that are chosen")
    pool: int = Field(512, ge=8, description="faces to choose from, at most")
    spread: tuple[Feature, ...] = Field(FEATURES, min_length=1, description="what shall differ")

    @model_validator(mode="after")
    def _enough(self) -> CalibrationSection:
        if self.pool < self.count:
            raise ValueError(f"pool ({self.pool}) must be at least count ({self.count})")
        return self


class CalibrationRecipe(Section):
    """A whole calibration recipe."""

    calibration: CalibrationSection = CalibrationSection()


def load_calibration_recipe(name: str | Path, overrides: Sequence[str] = ()) -> CalibrationSection:
    """Read a recipe by the name of a bundled one, or by the path of a TOML file.

    Args:
        name: bundled name or path. overrides: `calibration.key=value`, as given to `--set`.

    Raises:
        RecipeError: no such recipe, not TOML, an unknown key or a wrong value.
    """
    kind = "calibration recipe"
    path = bundled_config(name, calibration_recipes_path(), kind)
    return load_config(CalibrationRecipe, path, overrides, kind=kind).calibration
