"""Training recipes: TOML files checked by pydantic, with `--set section.key=value` on top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edge3d.config import Section, load_config
from edge3d.datasets.augment import AugmentConfig

# Limits are what the arithmetic and one machine can take, not what makes sense.
_Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f]*$")]  # a path or nothing
_Share = Annotated[float, Field(ge=0, le=1)]
_Weight = Annotated[float, Field(ge=0, le=1e6)]
_Rate = Annotated[float, Field(gt=0, le=1e30)]
_Faces = Annotated[int, Field(ge=0, le=1_000_000)]
_Steps = Annotated[int, Field(ge=1, le=100_000_000)]


class ModelSection(Section):
    """Which network is trained."""

    name: Literal["student-025", "student-050", "student-100", "teacher-separable", "teacher"] = (
        "student-050"
    )
    face_model: Literal["open", "bfm"] = Field(
        "open", description="bfm: 3DDFA's and 2DASL's 62 parameters, of the file in data.bfm"
    )
    init: _Text = Field(
        "",
        description="checkpoint to start from, of the same network or one that STARTS of "
        "edge3d.networks.registry names; empty for random",
    )
    teacher: _Text = Field("", description="checkpoint that the network learns from as well")


class DataSection(Section):
    """What it is trained on; with no data set named, on synthetic faces."""

    aflw: _Text = Field("", description="folder with crops120.zip and labels.npz")
    w300lp: _Text = Field("", description="folder of 300W-LP, with AFW, HELEN, IBUG and LFPW")
    folder: _Text = Field("", description="folder of pictures with landmarks.csv or landmarks.json")
    synthetic: _Faces = Field(0, description="faces rendered of the open face model")
    assets: _Text = Field("", description="folder of skins, hair and light for synthetic faces")
    photographs: _Text = Field("", description="folder of photographs behind synthetic faces")
    profiles: _Faces = Field(0, description="AFLW faces rendered anew at larger yaws")
    relabel: _Text = Field("", description="student whose view corrects the labels of aflw")
    face_mesh: _Text = Field(
        "",
        description="folder of MediaPipe's networks, which relabel takes eyelids and lips from",
    )
    bfm: _Text = Field("", description="bfm62.npz, which labels of aflw and w300lp belong to")
    cache: _Text = Field("runs/cache", description="where decoded crops and fits are kept")
    shares: dict[str, _Share] = Field(
        {}, description="share of the samples that come from each source, by its name"
    )
    only_2d: float = Field(
        0, ge=0, lt=1, description="share of the faces with labels that keep 2D landmarks alone"
    )
    balance: float = Field(0.5, ge=0, le=1, description="1 draws the yaw bins equally often")
    shut_eyes: float = Field(
        1,
        gt=0,
        le=1e6,
        description="how many times as often faces are drawn whose eyes are nearly shut",
    )
    held_out: float = Field(0.02, ge=0, lt=1, description="share of the photos to validate with")
    workers: int = Field(1, ge=0, le=1024)

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
        self._check_shares()
        return self

    def sources(self) -> list[str]:
        """Return the names of the sources that are trained on."""
        present = {
            "aflw": self.aflw,
            "profiles": self.profiles,
            "300w-lp": self.w300lp,
            "synthetic": self.synthetic or not (self.aflw or self.w300lp),
            "folder": self.folder,
        }
        return [name for name, is_there in present.items() if is_there]

    def _check_shares(self) -> None:
        if not self.shares:
            return
        sources, named = self.sources(), list(self.shares)
        for name in named:
            if name not in sources:
                raise ValueError(
                    f"shares: {name} is not a source of this recipe, which has {', '.join(sources)}"
                )
        for name in sources:
            if name not in named:
                raise ValueError(f"shares: {name} has none; give each source one, or 0")
        if not 0 < (total := sum(self.shares.values())) <= 1 + 1e-6:
            raise ValueError(
                f"shares add up to {total:g}; they must be above 0 and at most 1 in all"
            )


class TrainSection(Section):
    """How long and how fast."""

    steps: _Steps = 7000
    batch: int = Field(128, ge=2, le=65_536)
    learning_rate: _Rate = 3e-3
    weight_decay: _Weight = 0.02
    warmup: int = Field(200, ge=0, le=100_000_000)
    ema: float = Field(0.999, ge=0, lt=1)
    seed: int = Field(0, ge=0, lt=2**63)
    log_every: _Steps = 20
    save_every: _Steps = 200
    threads: int = Field(1, ge=1, le=1024, description="of PyTorch, in each process, on the CPU")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="bf16 helps on a GPU and for ResNets; depthwise layers gain nothing"
    )


class LossSection(Section):
    """Weights of the terms (see `edge3d.train.objectives.supervised.supervised_terms`)."""

    landmarks_2d: _Weight = 1.0
    landmarks_z: _Weight = 0.25
    dense_3d: _Weight = 0.5
    gaps: _Weight = 1.0
    params: _Weight = 0.5
    # Those of 2DASL (see `edge3d.train.objectives.asl2d_terms`), for the teacher.
    weighted_params: _Weight = 0.0
    self_prediction_2d: _Weight = 0.0
    consistency_3d: _Weight = 0.0
    cycle: _Weight = 0.0
    self_critic: _Weight = 0.0
    # Those of distillation (see `edge3d.train.objectives.distillation_terms`).
    teacher_params: _Weight = 0.0
    teacher_landmarks: _Weight = 0.0
    teacher_dense: _Weight = 0.0
    teacher_features: _Weight = 0.0
    teacher_maps: _Weight = 0.0
    soft_map: bool = Field(True, description="let gradients through the second pass's map")
    critic_learning_rate: _Rate = 1e-4


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
