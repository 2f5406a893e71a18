from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edge3d.datasets.faces import FaceCrops
from edge3d.errors import (
    ContractError,
    DatasetError,
    OutputError,
    RecipeError,
    TrainingStoppedError,
)
from edge3d.face_model import FaceModel
from edge3d.model.parameters import make_layout
from edge3d.networks import checkpoint
from edge3d.networks.checkpoint import load_checkpoint, read_safetensors, save_checkpoint
from edge3d.networks.complexity import count_multiply_adds
from edge3d.networks.mobilenet import make_student
from edge3d.networks.registry import make_network
from edge3d.networks.whitening import rewhiten
from edge3d.train.metrics_log import Progress
from edge3d.train.recipe import Recipe, load_recipe
from edge3d.train.trainer import train_network


def recipe(*overrides: str) -> Recipe:
    small = ["train.steps=4", "train.batch=4", "train.log_every=1", "train.save_every=1"]
    return load_recipe(
        None,
        [
            "data.aflw=somewhere/a",
            "data.bfm=b",
            "data.workers=0",
            "model.name=student-025",
            *small,
            "train.warmup=1",
            *overrides,
        ],
    )


class KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_at", [1, 3])  # before the first checkpoint, and after one
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    faces: FaceCrops, open_model: FaceModel, tmp_path: Path, killed_at: int
) -> None:
    train_network(recipe(), [faces], open_model, tmp_path / "whole")

    def kill(progress: Progress) -> None:
        if progress.step == killed_at:
            raise KilledError

    with pytest.raises(KilledError):
        train_network(recipe(), [faces], open_model, tmp_path / "killed", kill)
    train_network(recipe(), [faces], open_model, tmp_path / "killed")
    whole, _ = read_safetensors(tmp_path / "whole" / "student.safetensors")
    resumed, _ = read_safetensors(tmp_path / "killed" / "student.safetensors")
    steps = [
        json.loads(line)["step"]
        for line in (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
        if "loss" in line
    ]
    assert steps == [1, 2, 3, 4]
    for name, value in whole.items():
        torch.testing.assert_close(value, resumed[name], rtol=1e-4, atol=1e-5)


def test_a_checkpoint_carries_its_contract_and_recipe(
    faces: FaceCrops, open_model: FaceModel, out: Path
) -> None:
    train_network(recipe(), [faces], open_model, out)
    network, contract = load_checkpoint(out / "student.safetensors")
    contract.check_face_model(open_model, "checkpoint")
    assert contract.architecture == "student-025"
    assert contract.provenance["recipe"]["train"]["steps"] == 4
    assert network(torch.zeros(1, 3, 120, 120)).shape == (1, contract.layout.size)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4]
    assert [row["step"] for row in rows if "held_out" in row] == [1, 2, 3, 4]
    assert contract.provenance["data"] == {"synthetic": 8}
    assert contract.provenance["network"]["multiply_adds"] == count_multiply_adds(network)
    assert contract.provenance["recipe"]["data"]["aflw"] == "a"  # the name, never the whole path
    assert not list(out.glob(".*"))  # no temporary file is left


def test_the_loss_goes_down(faces: FaceCrops, open_model: FaceModel, out: Path) -> None:
    losses: list[float] = []
    settings = recipe("train.steps=60", "train.batch=8", "augment.strength=0")
    train_network(settings, [faces], open_model, out, lambda p: losses.append(p.terms["loss"]))
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


def test_a_loss_that_is_no_number_stops_with_the_term_named(
    faces: FaceCrops, open_model: FaceModel, out: Path
) -> None:
    wild = recipe("train.steps=40", "train.learning_rate=1e30")
    with pytest.raises(TrainingStoppedError, match="landmarks_2d.*learning_rate.*model.init="):
        train_network(wild, [faces], open_model, out)
    assert (out / "student.safetensors").is_file()
    wild = recipe("train.steps=40", "train.learning_rate=1e30", "train.save_every=40")
    with pytest.raises(TrainingStoppedError, match=r"no checkpoint yet .*step 40"):
        train_network(wild, [faces], open_model, out.with_name("other"))


def test_weights_that_are_no_numbers_are_not_kept(
    faces: FaceCrops, open_model: FaceModel, out: Path
) -> None:
    wild = recipe("train.steps=40", "train.learning_rate=1e30", "train.log_every=40")
    with pytest.raises(TrainingStoppedError):
        train_network(wild, [faces], open_model, out)
    for file in out.glob("*.safetensors"):
        tensors = read_safetensors(file)[0]
        assert all(value.isfinite().all() for name, value in tensors.items() if "/" not in name)


def test_the_state_of_another_network_is_refused(
    faces: FaceCrops, open_model: FaceModel, out: Path
) -> None:
    train_network(recipe(), [faces], open_model, out)
    with pytest.raises(RecipeError, match=r'model\.name was "student-025", is "student-050"'):
        train_network(recipe("model.name=student-050"), [faces], open_model, out)


def test_a_finished_run_is_left_as_it_is(
    faces: FaceCrops, open_model: FaceModel, out: Path
) -> None:
    contract = train_network(recipe("train.steps=2"), [faces], open_model, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    again = train_network(recipe("train.steps=1", "data.workers=1"), [faces], open_model, out)
    assert again.to_json() == contract.to_json()
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_run_is_not_resumed_with_other_faces(
    faces: FaceCrops, open_model: FaceModel, out: Path
) -> None:
    train_network(recipe("train.steps=1"), [faces], open_model, out)
    with pytest.raises(RecipeError, match='faces was {"synthetic": 8}, is {"aflw": 8}'):
        train_network(recipe(), [replace(faces, source="aflw")], open_model, out)


def test_a_checkpoint_of_the_same_name_with_other_weights_is_another_setting(
    faces: FaceCrops, open_model: FaceModel, tmp_path: Path
) -> None:
    starts = [tmp_path / name / "student.safetensors" for name in ("one", "two")]
    for seed, start in enumerate(starts):
        settings = recipe("train.steps=1", f"train.seed={seed}")
        train_network(settings, [faces], open_model, start.parent)
    first, second = (recipe(f"model.init={start}") for start in starts)
    train_network(first, [faces], open_model, tmp_path / "run")
    with pytest.raises(RecipeError, match="model.init was .*SHA-256"):
        train_network(second, [faces], open_model, tmp_path / "run")


def test_a_run_without_faces_to_train_on_is_refused(
    faces: FaceCrops, open_model: FaceModel, out: Path
) -> None:
    with pytest.raises(DatasetError, match=r"lower data\.held_out"):
        train_network(recipe("data.held_out=0.9999"), [faces], open_model, out)


@pytest.mark.parametrize(
    ("name", "limit"), [("student-025", 50e6), ("student-050", 50e6), ("student-100", 185e6)]
)
def test_students_stay_within_their_budget(name: str, limit: float) -> None:
    assert count_multiply_adds(make_student(name, 140)) <= limit


def test_broken_checkpoints_are_refused(faces: FaceCrops, open_model: FaceModel, out: Path) -> None:
    from safetensors.torch import save_file

    with pytest.raises(ContractError, match="no such file"):
        load_checkpoint(out / "none.safetensors")
    train_network(recipe("train.steps=1"), [faces], open_model, out)
    whole = (out / "student.safetensors").read_bytes()
    (out / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ContractError, match="cut off"):
        load_checkpoint(out / "cut.safetensors")
    save_file({"a": torch.zeros(1)}, out / "bare.safetensors")
    with pytest.raises(ContractError, match="no contract"):
        load_checkpoint(out / "bare.safetensors")
    _, metadata = read_safetensors(out / "student.safetensors")
    save_file({"a": torch.zeros(1)}, out / "other.safetensors", metadata)
    with pytest.raises(ContractError, match="field architecture"):
        load_checkpoint(out / "other.safetensors")


def test_a_split_checkpoint_is_the_same_network(
    faces: FaceCrops, open_model: FaceModel, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_network(recipe(), [faces], open_model, out)
    whole = load_checkpoint(out / "student.safetensors")
    monkeypatch.setattr(checkpoint, "PART_BYTES", 200_000)
    files = checkpoint.split_checkpoint(out / "student.safetensors", out / "parts")
    assert len(files) > 2 and all(file.stat().st_size < 250_000 for file in files)
    for file in (files[0], files[-1]):
        network, contract = load_checkpoint(file)
        assert contract.to_json() == whole[1].to_json()
        for got, wanted in zip(network.parameters(), whole[0].parameters(), strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-3)
    files[1].unlink()
    with pytest.raises(ContractError, match=f"{files[1].name}.*no such file"):
        load_checkpoint(files[0])


def test_a_full_disk_leaves_the_last_checkpoint_whole(
    faces: FaceCrops, open_model: FaceModel, out: Path
) -> None:
    train_network(recipe("train.steps=1"), [faces], open_model, out)
    before = (out / "student.safetensors").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    network, contract = load_checkpoint(out / "student.safetensors")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(OutputError, match=r"cannot write.*student\.safetensors"):
            save_checkpoint(out / "student.safetensors", network, contract)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (out / "student.safetensors").read_bytes() == before
    assert not list(out.glob(".*"))


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    """Run by torchrun: half of each batch each, one log, and the weights of a single process."""
    settings = [
        *("train.steps=3", "train.batch=8", "train.log_every=1", "train.warmup=1"),
        *("data.synthetic=12", f"data.cache={tmp_path / 'cache'}", "data.workers=0"),
        "model.name=student-025",
    ]
    command = ["-m", "edge3d", "train", "student"]
    for setting in settings:
        command += ["--set", setting]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    for start, out in (
        ([*launcher, "--nproc_per_node", "2"], tmp_path / "two"),
        ([sys.executable], tmp_path / "one"),
    ):
        done = subprocess.run(
            [*start, *command, "--out", str(out)], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
    rows = {
        name: [
            json.loads(line)
            for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()
            if "loss" in line
        ]
        for name in ("one", "two")
    }
    assert [row["step"] for row in rows["two"]] == [1, 2, 3]
    one, _ = read_safetensors(tmp_path / "one" / "student.safetensors")
    two, _ = read_safetensors(tmp_path / "two" / "student.safetensors")
    assert one.keys() == two.keys()
    for name, value in one.items():  # not the same to the bit: batch norm sees half of the batch
        assert value.isfinite().all() and two[name].isfinite().all()
    assert (tmp_path / "two" / "report.html").is_file()


def test_rewhitened_a_network_gives_the_same_faces(open_model: FaceModel) -> None:
    rng = np.random.default_rng(5)
    old, new = (
        make_layout("rotation6d", open_model, *rng.uniform(0.5, 2, (2, 140)).astype(np.float32))
        for _ in range(2)
    )
    network = make_network("student-025", 140).eval()
    crops = torch.from_numpy(rng.uniform(0, 255, (2, 3, 120, 120)).astype(np.float32))
    with torch.no_grad():
        before = network(crops).numpy() * old.std + old.mean
        rewhiten(network, old, new)
        after = network(crops).numpy() * new.std + new.mean
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_a_folded_normalisation_changes_no_output() -> None:
    torch.manual_seed(1)
    network = make_student("student-025", 140)
    network(torch.rand(8, 3, 120, 120) * 255)  # batch norms have seen something
    network.eval()
    crops = torch.rand(3, 3, 120, 120) * 255
    with torch.no_grad():
        before = network(crops)
        network.fold_normalisation()
        after = network(crops)
        rows = network.on_pixels(crops.permute(0, 2, 3, 1))
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(rows, after)
