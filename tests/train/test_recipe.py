from __future__ import annotations

from pathlib import Path

import pytest

from edge3d.errors import RecipeError
from edge3d.train.recipe import Recipe, load_recipe

DATA = ["data.aflw=a", "data.bfm=b"]


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('[data]\naflw = "x"\nbfm = "y"\n[train]\nsteps = 3\nbatch = 16\n')
    recipe = load_recipe(path, ["train.steps=7", "model.name=student-025"])
    assert (recipe.train.steps, recipe.train.batch) == (7, 16)
    assert (recipe.model.name, recipe.data.aflw) == ("student-025", "x")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.stepz=3", r"train\.stepz"),
        ("train.steps=many", r"train\.steps"),
        ("train.steps=0", r"train\.steps"),
        ("train.ema=1.5", r"train\.ema"),
        ("model.name=student-999", r"model\.name"),
        ("augment.blurr=1", "augment"),
        ("augment.blur=1.5", "augment.blur: .* less than or equal to 1"),
        ("augment.strength=-1", "augment.strength"),
        ("model.face_model=flame", r"model\.face_model"),
        ("steps=3", "section.key=value"),
        ("train.steps", "section.key=value"),
    ],
)
def test_a_wrong_key_or_value_is_named(override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(None, [*DATA, override])


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"gone\.toml"):
        load_recipe(tmp_path / "gone.toml", [])
    broken = tmp_path / "broken.toml"
    broken.write_text("[train\n")
    with pytest.raises(RecipeError, match=r"broken\.toml is not TOML"):
        load_recipe(broken, [])


def test_the_basel_face_model_has_labels_of_its_own() -> None:
    basel = "model.face_model=bfm"
    assert load_recipe(None, [*DATA, basel]).model.face_model == "bfm"
    with pytest.raises(RecipeError, match="aflw or w300lp"):
        load_recipe(None, [basel])
    for override in ("data.synthetic=10", "data.relabel=student.safetensors", "data.profiles=3"):
        with pytest.raises(RecipeError, match="open face model"):
            load_recipe(None, [*DATA, basel, override])


def test_the_command_names_the_network_where_nothing_else_does(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('[model]\nname = "teacher-separable"\n')
    assert load_recipe(None, [], "teacher").model.name == "teacher"
    assert load_recipe(path, [], "teacher").model.name == "teacher-separable"
    assert load_recipe(path, ["model.name=student-025"], "teacher").model.name == "student-025"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.shares={synthetc=0.5}"], "synthetc is not a source of this recipe, .*synthetic"),
        (["data.shares={aflw=1}"], "aflw is not a source"),
        ([*DATA, "data.shares={synthetic=1}"], "synthetic is not a source"),
        ([*DATA, "data.synthetic=5", "data.shares={synthetic=1}"], "aflw has none"),
        (["data.shares={synthetic=0}"], "add up to 0"),
        ([*DATA, "data.synthetic=5", "data.shares={synthetic=0.9,aflw=0.9}"], "add up to 1.8"),
        (["data.shares={synthetic=-1}"], r"data\.shares\.synthetic"),
        (["data.shares={synthetic=nan}"], r"data\.shares\.synthetic"),
        (["data.shares={synthetic=2}"], r"data\.shares\.synthetic"),
        (["data.shares={synthetic='all'}"], r"data\.shares\.synthetic"),
        (["data.shares=0.5"], r"data\.shares"),
    ],
)
def test_shares_that_mean_nothing_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(None, overrides)


def numbers() -> list[str]:
    """Return the names of all keys that hold a number."""
    content = Recipe().model_dump()
    return [
        f"{section}.{key}"
        for section, values in content.items()
        for key, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]


@pytest.mark.parametrize("key", numbers())
def test_no_number_is_without_limits(key: str) -> None:
    for value in ("-1", "nan", "inf", "1e308", f"1{'0' * 40}", "true", '"3"', "[1]", "{}"):
        with pytest.raises(RecipeError, match=key.replace(".", r"\.")) as caught:
            load_recipe(None, [f"{key}={value}"])
        assert "\n" not in str(caught.value)


def test_a_path_with_control_characters_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"data\.cache"):
        load_recipe(None, ['data.cache="a\\u0000b"'])
