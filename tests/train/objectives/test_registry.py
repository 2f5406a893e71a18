from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from edge3d.datasets.faces import FaceCrops, with_2d_landmarks_alone
from edge3d.datasets.labels.transfer import keep_labels
from edge3d.errors import TrainingStoppedError
from edge3d.face_model import FaceModel
from edge3d.face_model.dense_points import find_dense_points
from edge3d.networks.checkpoint import load_checkpoint, read_safetensors
from edge3d.train.recipe import Recipe, load_recipe
from edge3d.train.trainer import train_network
from tests.datasets.labels.test_transfer import params62

TERMS = ("weighted_params", "self_prediction_2d", "consistency_3d", "cycle", "self_critic")


def recipe(*overrides: str) -> Recipe:
    basics = ["model.name=teacher", "train.steps=2", "train.batch=4", "train.log_every=1"]
    basics += ["train.save_every=1", "data.workers=0", "data.held_out=0.3", "data.only_2d=0.5"]
    return load_recipe(None, [*basics, *overrides])


def test_a_teacher_learns_by_all_terms_and_goes_on(
    open_model: FaceModel, faces: FaceCrops, tmp_path: Path
) -> None:
    mixed = with_2d_landmarks_alone(faces, 0.5)
    switched_on = [f"loss.{name}=0.1" for name in TERMS]
    train_network(recipe("train.steps=1", *switched_on), [mixed], open_model, tmp_path)
    critic = read_safetensors(tmp_path / "state.safetensors")[0]["critic/image.weight"]
    train_network(recipe(*switched_on), [mixed], open_model, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "loss" in row]
    assert [row["step"] for row in steps] == [1, 2]
    assert all(np.isfinite(row[name]) for row in steps for name in TERMS)
    again = read_safetensors(tmp_path / "state.safetensors")[0]["critic/image.weight"]
    assert 0 < (again - critic).abs().max() < 0.01  # went on from what it was
    network, contract = load_checkpoint(tmp_path / "teacher.safetensors")
    assert contract.architecture == "teacher"
    whitened, code, _ = network(torch.zeros(1, 3, 120, 120), torch.ones(1, 1, 120, 120))
    assert whitened.shape == (1, contract.layout.size) and code.shape == (1, 2048)


@pytest.mark.parametrize("name", ["teacher", "teacher-separable"])
def test_a_teacher_in_the_basel_face_model(
    name: str, stand_in_bfm: FaceModel, rng: np.random.Generator, tmp_path: Path
) -> None:
    points = find_dense_points(stand_in_bfm, stand_in_bfm, 40)
    labels = keep_labels(params62(rng, 8).astype(np.float32), stand_in_bfm, points)
    crops = rng.integers(0, 256, (8, 120, 120, 3)).astype(np.uint8)
    names = np.array([f"{number}.jpg" for number in range(8)])
    faces = FaceCrops("aflw", crops, labels, points, np.zeros(8, np.float32), names)
    switched_on = [f"loss.{term}=0.1" for term in TERMS]
    settings = recipe(f"model.name={name}", *switched_on)
    mixed = with_2d_landmarks_alone(faces, 0.5)
    contract = train_network(settings, [mixed], stand_in_bfm, tmp_path)
    assert (contract.layout.camera, contract.layout.size) == ("affine", 62)
    row = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert all(np.isfinite(row[term]) for term in TERMS) and row["landmarks_2d"] < 200


def test_a_critic_that_collapses_stops_the_run(
    open_model: FaceModel, faces: FaceCrops, tmp_path: Path
) -> None:
    mixed = with_2d_landmarks_alone(faces, 0.5)
    wild = ("loss.self_critic=0.1", "loss.critic_learning_rate=100", "train.steps=20")
    with pytest.raises(TrainingStoppedError, match=r"self_critic.*critic_learning_rate"):
        train_network(recipe(*wild, "train.save_every=50"), [mixed], open_model, tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_term_that_is_off_is_not_there(
    open_model: FaceModel, faces: FaceCrops, tmp_path: Path
) -> None:
    settings = recipe("train.steps=1", "loss.weighted_params=0.1")
    train_network(settings, [faces], open_model, tmp_path)
    row = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert "weighted_params" in row and not {*TERMS[1:]} & row.keys()


def test_faces_that_keep_2d_landmarks_alone(faces: FaceCrops) -> None:
    mixed = with_2d_landmarks_alone(faces, 0.5)
    known = np.isfinite(mixed.labels.params).all(axis=1)
    assert 0 < known.sum() < len(known)
    assert (known[: len(known) // 2] == known[len(known) // 2 :]).all()  # and their mirror images
    assert np.isfinite(mixed.labels.landmarks[..., :2]).all()
    assert (np.isfinite(mixed.labels.landmarks[..., 2]).all(axis=1) == known).all()
    assert (np.isfinite(mixed.labels.dense).all(axis=(1, 2)) == known).all()
    assert np.isfinite(faces.labels.params).all()  # the original is as it was
