from __future__ import annotations

from pathlib import Path

import pytest

from edge3d.bundled import calibration_recipes_path, profiles_path
from edge3d.calibration.recipe import CalibrationSection, load_calibration_recipe
from edge3d.errors import Edge3dError, RecipeError
from edge3d.export.plan import check_projects, parse_precisions, parse_targets
from edge3d.export.profile import load_profile
from edge3d.runtime.parity import BUDGETS

ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted(path.stem for path in (ROOT / "export").glob("*.toml"))
RECIPES = sorted(path.stem for path in (ROOT / "calibration").glob("*.toml"))


@pytest.mark.parametrize(
    "edited, bundled",
    [(ROOT / "export", profiles_path()), (ROOT / "calibration", calibration_recipes_path())],
)
def test_bundled_copies_are_what_one_edits(edited: Path, bundled: Path) -> None:
    """If this fails: cp export/*.toml edge3d/assets/profiles/, calibration/*.toml likewise."""
    texts = [
        {path.name: path.read_text() for path in folder.glob("*.toml")}
        for folder in (edited, bundled)
    ]
    assert texts[0] == texts[1] != {}


@pytest.mark.parametrize("name", PROFILES)
def test_shipped_profiles_are_valid(name: str) -> None:
    profile = load_profile(name)
    check_projects(profile.export.targets, profile.export.precisions, profile.export.outputs)
    assert load_profile(ROOT / "export" / f"{name}.toml") == profile
    for precision in BUDGETS:
        assert profile.budget(precision) == BUDGETS[precision]


@pytest.mark.parametrize("name", RECIPES)
def test_shipped_recipes_are_valid(name: str) -> None:
    assert load_calibration_recipe(ROOT / "calibration" / f"{name}.toml").count >= 64


def test_default_recipe_is_the_plain_default() -> None:
    assert load_calibration_recipe("default") == CalibrationSection()


@pytest.mark.parametrize(
    "text, words",
    [
        ("[export]\ntargets = ['coreml']", "export.targets"),
        ("[export]\ntargets = ['onnx']\nprecisions = ['fp8']", "export.precisions"),
        ("[export]\ntargets = []", "export.targets"),
        ("[export]\ntargts = ['onnx']", "did you mean targets"),
        ("[export]\ntargets = ['onnx']\n[budgets.int8]\nmean = 1.0", "int8.mean: unknown limit"),
    ],
)
def test_wrong_profiles_are_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as error:
        load_profile(path)
    assert words in str(error.value) and "own.toml" in str(error.value)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(RecipeError, match="unknown profile 'symbian'; known: android"):
        load_profile("symbian")
    with pytest.raises(RecipeError, match="unknown calibration recipe 'none'; known: aflw"):
        load_calibration_recipe("none")
    with pytest.raises(RecipeError, match="pool .* must be at least count"):
        load_calibration_recipe("default", ["calibration.pool=10"])


def test_own_budget(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[export]\ntargets = ['onnx']\n[budgets.fp16]\nlandmark_px_max = 0.2\n")
    budget = load_profile(path).budget("fp16")
    assert budget.landmark_px_max == 0.2
    assert budget.landmark_px_p99 == BUDGETS["fp16"].landmark_px_p99


def test_comma_lists() -> None:
    assert parse_targets("onnx, tflite,onnx") == ["onnx", "tflite"]
    assert parse_targets("all") == ["tflite", "onnx", "openvino"]
    assert parse_precisions("fp16,int8") == ["fp16", "int8"]
    with pytest.raises(Edge3dError, match="--precision fp8: unknown name 'fp8'"):
        parse_precisions("fp8")


@pytest.mark.parametrize(
    "targets, precisions, outputs, words",
    [
        (("web", "onnx"), ("fp32",), ("params",), "export it alone"),
        (("cpp",), ("fp32", "int8"), ("params",), "takes one --precision"),
        (("cpp",), ("fp32",), ("landmarks",), "leave --output landmarks out"),
    ],
)
def test_projects_stand_alone(
    targets: tuple[str, ...], precisions: tuple[str, ...], outputs: tuple[str, ...], words: str
) -> None:
    with pytest.raises(Edge3dError, match=words):
        check_projects(targets, precisions, outputs)
