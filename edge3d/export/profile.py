"""Target profiles: what is exported for a kind of device, in a TOML file of `export/`."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from edge3d.bundled import profiles_path
from edge3d.config import Section, bundled_config, load_config
from edge3d.export.plan import PROJECTS
from edge3d.runtime.parity import BUDGETS, Budget

Precision = Literal["fp32", "fp16", "int8"]


class ExportSection(Section):
    """Which files are written."""

    targets: tuple[Literal["tflite", "onnx", "openvino", "cpp", "web"], ...] = Field(min_length=1)
    precisions: tuple[Precision, ...] = Field(("fp32",), min_length=1)
    outputs: tuple[Literal["params", "landmarks", "vertices"], ...] = ("params",)


class RuntimeSection(Section):
    """How an app should run the files; kept in their contracts."""

    threads: int = Field(1, ge=1)
    options: dict[str, str | int] = Field({}, description="of the runtime, by its own names")


class Profile(Section):
    """What is exported for a kind of device.

    Attributes:
        export: targets, precisions and outputs.
        budgets: limits of the parity error by precision, over those of `BUDGETS`.
        runtime: how an app should run the files.
    """

    export: ExportSection
    budgets: dict[Precision, dict[str, float]] = Field({})
    runtime: RuntimeSection = RuntimeSection()

    @field_validator("budgets")
    @classmethod
    def _known_limits(
        cls, budgets: dict[Precision, dict[str, float]]
    ) -> dict[Precision, dict[str, float]]:
        known = [field.name for field in fields(Budget)]
        for precision, limits in budgets.items():
            for name, limit in limits.items():
                if name not in known:
                    raise ValueError(
                        f"{precision}.{name}: unknown limit; known: {', '.join(known)}"
                    )
                if limit < 0:
                    raise ValueError(f"{precision}.{name}: must be 0 or more")
        return budgets

    @model_validator(mode="after")
    def _fits_projects(self) -> Profile:
        projects = set(PROJECTS) & set(self.export.targets)
        if projects and (self.budgets or self.runtime != RuntimeSection()):
            raise ValueError(
                f"budgets and runtime do not apply to {', '.join(sorted(projects))}: leave them out"
            )
        return self

    def budget(self, precision: str) -> Budget:
        """Return the limits of the parity error of a precision."""
        limits = next((own for key, own in self.budgets.items() if key == precision), {})
        return replace(BUDGETS[precision], **limits)

    def notes(self) -> dict[str, Any]:
        """Return what goes into the provenance of an exported file."""
        return {"runtime": self.runtime.model_dump()}


def load_profile(name: str | Path) -> Profile:
    """Read a profile by the name of a bundled one, or by the path of a TOML file.

    Raises:
        RecipeError: no such profile, not TOML, an unknown key or a wrong value.
    """
    return load_config(Profile, bundled_config(name, profiles_path(), "profile"), kind="profile")
