from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from edge3d.datasets.faces import FaceCrops, with_2d_landmarks_alone
from edge3d.errors import ContractError, RecipeError
from edge3d.face_model import FaceModel
from edge3d.networks.checkpoint import load_checkpoint, read_safetensors, save_checkpoint
from edge3d.train.objectives.distillation_terms import FeatureMatch, teacher_terms
from edge3d.train.recipe import Recipe, load_recipe
from edge3d.train.trainer import train_network

TERMS = (
    "teacher_params", "teacher_landmarks", "teacher_dense", "teacher_features", "teacher_maps",
)  # fmt: skip


def recipe(name: str, *overrides: str) -> Recipe:
    basics = [f"model.name={name}", "train.steps=2", "train.batch=4", "train.log_every=1"]
    return load_recipe(None, [*basics, "train.save_every=1", "data.workers=0", *overrides])


@pytest.fixture
def teacher(open_model: FaceModel, faces: FaceCrops, tmp_path: Path) -> Path:
    train_network(recipe("teacher"), [faces], open_model, tmp_path / "teacher")
    return tmp_path / "teacher" / "teacher.safetensors"


def test_terms_of_a_known_case() -> None:
    # The teacher's landmarks fill a box of 40 x 10 px, so that a pixel is 5 %.
    taught = torch.zeros(1, 68, 3)
    taught[0, 0, :2] = torch.tensor([40.0, 10.0])
    found = taught + torch.tensor([3.0, 4.0, 7.0])  # depth up to a shift
    terms = teacher_terms(torch.full((1, 6), 2.0), (found, found), torch.ones(1, 6), (taught,) * 2)
    assert terms["teacher_params"].item() == pytest.approx(1)
    assert terms["teacher_landmarks"].item() == pytest.approx(25, rel=1e-4)
    assert terms["teacher_dense"].item() == pytest.approx(25, rel=1e-4)


def test_features_match_through_a_linear_layer() -> None:
    torch.manual_seed(0)
    match, features = FeatureMatch(4, 6), torch.randn(32, 4)
    taught = match.linear(features).detach()
    assert match(features, taught).item() == pytest.approx(0, abs=1e-6)
    assert match(features, 3 * taught + 1).item() == pytest.approx(0, abs=1e-4)
    assert match(features, -taught).item() == pytest.approx(4, rel=1e-3)
    as_map, taught_map = features.view(2, 4, 4, 4), taught.view(2, 4, 4, 6)
    assert match(as_map, -taught_map).item() == pytest.approx(4, rel=1e-3)


def test_a_student_learns_from_a_teacher_and_goes_on(
    open_model: FaceModel, faces: FaceCrops, teacher: Path, tmp_path: Path
) -> None:
    settings = [f"model.teacher={teacher}", *(f"loss.{name}=0.1" for name in TERMS)]
    mixed, out = with_2d_landmarks_alone(faces, 0.5), tmp_path / "student"
    train_network(recipe("student-025", "train.steps=1", *settings), [mixed], open_model, out)
    match = read_safetensors(out / "state.safetensors")[0]["teacher_maps_8/linear.weight"]
    train_network(recipe("student-025", "train.steps=3", *settings), [mixed], open_model, out)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "loss" in row]
    assert [row["step"] for row in steps] == [1, 2, 3]
    assert all(0 < row[name] < 1000 for row in steps for name in TERMS)
    again = read_safetensors(out / "state.safetensors")[0]["teacher_maps_8/linear.weight"]
    assert 0 < (again - match).abs().max() < 0.01
    contract = load_checkpoint(out / "student.safetensors")[1]
    assert contract.provenance["recipe"]["model"]["teacher"] == "teacher.safetensors"


def test_a_wider_student_can_teach(open_model: FaceModel, faces: FaceCrops, tmp_path: Path) -> None:
    train_network(recipe("student-050"), [faces], open_model, tmp_path)
    settings = [f"model.teacher={tmp_path / 'student.safetensors'}", "loss.teacher_landmarks=1"]
    train_network(recipe("student-025", *settings), [faces], open_model, tmp_path / "narrow")


def test_a_teacher_can_learn_from_a_student(
    open_model: FaceModel, faces: FaceCrops, tmp_path: Path
) -> None:
    train_network(recipe("student-025"), [faces], open_model, tmp_path)
    settings = [f"model.teacher={tmp_path / 'student.safetensors'}", "loss.teacher_maps=1"]
    out = tmp_path / "teacher"
    train_network(recipe("teacher", "loss.cycle=0.2", *settings), [faces], open_model, out)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert all(
        1 < row["teacher_maps"] < 6 for row in rows if "loss" in row
    )  # two maps; 4: no likeness


def test_a_teacher_of_another_face_model_is_refused(
    open_model: FaceModel, faces: FaceCrops, teacher: Path, tmp_path: Path
) -> None:
    network, contract = load_checkpoint(teacher)
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, network, contract.replace(face_model_sha256="0" * 64))
    settings = recipe("student-025", f"model.teacher={other}", "loss.teacher_params=1")
    with pytest.raises(ContractError, match=r"other\.safetensors.*face model"):
        train_network(settings, [faces], open_model, tmp_path / "out")


def test_recipes_that_make_no_sense() -> None:
    for name, override, told in (
        ("student-025", "model.teacher=t.safetensors", "teaches nothing"),
        ("student-025", "loss.teacher_params=1", "set model.teacher"),
        ("teacher", "model.teacher=t.safetensors", "teaches nothing"),
    ):
        with pytest.raises(RecipeError, match=told):
            recipe(name, override)
