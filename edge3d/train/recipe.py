"""Training recipes: TOML files checked by pydantic, with `--set section.key=value` on top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from edge3d.config import Section, load_config
from edge3d.datasets.augment import AugmentConfig


class ModelSection(Section):
    """Which network is trained."""

    name: Literal["student-025", "student-050", "student-100", "teacher-separable", "teacher"] = (
        "student-050"
    )
    face_model: Literal["open", "bfm"] = Field(
        "open", description="bfm: 3DDFA's and 2DASL's 62 parameters, of the file in data.bfm"
    )
    init: str = Field(
        "",
        description="checkpoint to start from, of the same network or one that STARTS of "
        "edge3d.networks.registry names; empty for random",
    )
    teacher: str = Field("", description="checkpoint that the network learns from as well")


class DataSection(Section):
    """What it is trained on; with no data set named, on synthetic faces."""

    aflw: str = Field("", description="folder with crops120.zip and labels.npz")
    w300lp: str = Field("", description="folder of 300W-LP, with AFW, HELEN, IBUG and LFPW")
    folder: str = Field("", description="folder of pictures with landmarks.csv or landmarks.json")
    synthetic: int = Field(0, ge=0, description="faces rendered of the open face model")
    assets: str = Field("", description="folder of skins, hair and light for synthetic faces")
    photographs: str = Field("", description="folder of photographs to render faces before")
    profiles: int = Field(0, ge=0, description="AFLW faces rendered anew at larger yaws")
    relabel: str = Field("", description="student whose view corrects the labels of aflw")
    face_mesh: str = Field(
        "",
        description="folder of MediaPipe's networks, which relabel takes eyelids and lips from",
    )
    bfm: str = Field("", description="bfm62.npz, which labels of aflw and w300lp belong to")
    cache: str = Field("runs/cache", description="where decoded crops and fits are kept")
    shares: dict[str, float] = Field({}, description="how often a source is drawn, by its name")
    only_2d: float = Field(
        0, ge=0, lt=1, description="share of the faces with labels that keep 2D landmarks alone"
    )
    balance: float = Field(0.5, ge=0, le=1, description="1 draws the yaw bins equally often")
    shut_eyes: float = Field(
        1, gt=0, description="how many times as often faces are drawn whose eyes are nearly shut"
    )
    held_out: float = Field(0.02, ge=0, lt=1, description="share of the photos to validate with")
    workers: int = Field(1, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _no_evaluation_data(cls, content: Any) -> Any:
        if isinstance(content, dict) and {"aflw2000-3d", "aflw2000_3d"} & content.keys():
            raise ValueError("AFLW2000-3D is for evaluation; edge3d does not train on it")
        return content

    @model_validator(mode="after")
    def _complete(self) -> DataSection:
        if (self.aflw or self.w300lp) and not self.bfm:
            raise ValueError("bfm is needed with aflw or w300lp: their labels belong to it")
        if (self.profiles or self.relabel) and not self.aflw:
            raise ValueError("profiles and relabel work on AFLW faces: aflw is needed with them")
        if self.face_mesh and not self.relabel:
            raise ValueError(
                "face_mesh corrects what a student has seen: relabel is needed with it"
            )
        if self.folder and not (self.aflw or self.w300lp or self.synthetic):
            raise ValueError("folder has 2D landmarks alone: add aflw, w300lp or synthetic")
        return self


class TrainSection(Section):
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
    threads: int = Field(1, ge=1, description="of PyTorch, in each process, on the CPU")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="bf16 helps on a GPU and for ResNets; depthwise layers gain nothing"
    )


class LossSection(Section):
    """Weights of the terms (see `edge3d.train.objectives.supervised.supervised_terms`)."""

    landmarks_2d: float = Field(1.0, ge=0)
    landmarks_z: float = Field(0.25, ge=0)
    dense_3d: float = Field(0.5, ge=0)
    gaps: float = Field(1.0, ge=0)
    params: float = Field(0.5, ge=0)
    # Those of 2DASL (see `edge3d.train.objectives.asl2d_terms`), for the teacher.
    weighted_params: float = Field(0.0, ge=0)
    self_prediction_2d: float = Field(0.0, ge=0)
    consistency_3d: float = Field(0.0, ge=0)
    cycle: float = Field(0.0, ge=0)
    self_critic: float = Field(0.0, ge=0)
    # Those of distillation (see `edge3d.train.objectives.distillation_terms`).
    teacher_params: float = Field(0.0, ge=0)
    teacher_landmarks: float = Field(0.0, ge=0)
    teacher_dense: float = Field(0.0, ge=0)
    teacher_features: float = Field(0.0, ge=0)
    teacher_maps: float = Field(0.0, ge=0)
    soft_map: bool = Field(True, description="let gradients through the second pass's map")
    critic_learning_rate: float = Field(1e-4, gt=0)


class Recipe(Section):
    """A whole training run."""

    model: ModelSection = ModelSection()
    data: DataSection = DataSection()
    train: TrainSection = TrainSection()
    loss: LossSection = LossSection()
    augment: AugmentConfig = AugmentConfig()

    @model_validator(mode="after")
    def _in_one_face_model(self) -> Recipe:
        data = self.data
        if self.model.face_model == "bfm":
            if not (data.aflw or data.w300lp):
                raise ValueError(
                    "model.face_model is bfm: labels in it are those of aflw or w300lp"
                )
            if data.relabel or data.profiles or data.synthetic:
                raise ValueError(
                    "relabel, profiles and synthetic make faces of the open face model: leave "
                    "them out, or set model.face_model to open"
                )
        return self

    @model_validator(mode="after")
    def _taught(self) -> Recipe:
        weights = {k: v for k, v in self.loss.model_dump().items() if k.startswith("teacher_")}
        if self.model.teacher and not any(weights.values()):
            raise ValueError(f"model.teacher teaches nothing: set one of loss.{', '.join(weights)}")
        if any(weights.values()) and not self.model.teacher:
            raise ValueError("terms of a teacher have a weight in [loss]: set model.teacher")
        return self


def load_recipe(
    path: str | Path | None, overrides: Sequence[str], network: str = "student-050"
) -> Recipe:
    """Read a recipe and apply `section.key=value` overrides; see `edge3d.config.load_config`.

    Args:
        path: of a TOML file, or None. overrides: as on the command line.
        network: the `model.name` where neither says one.

    Raises:
        RecipeError: the file is not there or not TOML, or the recipe is not valid; the message
            names each wrong key.
    """
    return load_config(Recipe, path, overrides, defaults={"model": {"name": network}})
