"""`edge3d train` end to end, on rendered faces."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge3d.model.provenance import training_steps
from edge3d.runtime import read_contract
from tests.cli.test_cli import failing

pytest.importorskip("torch", reason="training needs PyTorch: pip install 'edge3d[train]'")

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def options(tmp_path: Path, out: Path, **changes: object) -> list[str]:
    settings = {
        "train.steps": 3,
        "train.batch": 4,
        "train.log_every": 1,
        "train.save_every": 1,
        "data.workers": 0,
        "data.held_out": 0.3,
        "data.synthetic": 24,
        "data.cache": tmp_path / "cache",
        "model.name": "student-025",
        **changes,
    }
    arguments = ["train", "student", "--out", str(out)]
    for name, value in settings.items():
        arguments += ["--set", f"{name}={value}"]
    return arguments


def test_a_run_leaves_weights_numbers_and_a_page(edge3d_command: Command, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = edge3d_command(*options(tmp_path, out))
    assert done.returncode == 0, done.stderr
    assert "step      3" in done.stdout + done.stderr and "report.html" in done.stdout
    told = edge3d_command("info", out / "student.safetensors")
    assert told.returncode == 0 and "CC0" in told.stdout
    page = (out / "report.html").read_text()
    assert "Curves" in page and "Parameters on the held-out faces" in page
    assert page.count("data:image/jpeg;base64") >= 3  # the worst held-out faces
    assert list((out / "tensorboard").glob("events*"))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    again = edge3d_command(*options(tmp_path, out))  # nothing is left to do, and that is no error
    assert again.returncode == 0, again.stderr
    assert "is finished (3 steps)" in " ".join(again.stdout.split())
    changed = {"train.steps": 2, "train.learning_rate": 1e-5, "loss.landmarks_z": 9}
    message = failing(edge3d_command, *options(tmp_path, out, **changed))
    assert "train.learning_rate was 0.003, is 1e-05" in message
    assert "loss.landmarks_z was 0.25, is 9" in message and "train.steps" not in message
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path: Path, edge3d_command: Command) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "edge3d", *options(tmp_path, out, **{"train.steps": 5000})],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    waited = time.monotonic()
    while not (out / "metrics.jsonl").is_file() and time.monotonic() - waited < 120:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130, message
    assert "resumes from" in message and "Traceback" not in message
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    steps = rows[-1]["step"] + 2
    done = edge3d_command(*options(tmp_path, out, **{"train.steps": steps}))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == list(range(1, steps + 1))


def start(tmp_path: Path, out: Path) -> subprocess.Popen[str]:
    """Start a long run; return when it has made a step."""
    settings = {"train.steps": 5000, "train.save_every": 5000, "data.workers": 1}
    process = subprocess.Popen(
        [sys.executable, "-m", "edge3d", *options(tmp_path, out, **settings)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    waited = time.monotonic()
    while not (out / "metrics.jsonl").is_file() and time.monotonic() - waited < 120:
        assert process.poll() is None
        time.sleep(0.1)
    return process


def test_a_second_run_in_the_same_folder_is_refused(
    edge3d_command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    first = start(tmp_path, out)
    try:
        assert "another run" in failing(edge3d_command, *options(tmp_path, out))
        assert first.poll() is None
    finally:
        first.kill()  # and leaves no lock behind
        first.wait()
    done = edge3d_command(*options(tmp_path, out))
    assert done.returncode == 0, done.stderr


def test_a_loss_that_is_no_number_before_the_first_checkpoint(
    edge3d_command: Command, tmp_path: Path
) -> None:
    wild = {"train.learning_rate": 1e8, "train.warmup": 1, "train.steps": 30}
    wild["train.save_every"] = 200
    message = failing(edge3d_command, *options(tmp_path, tmp_path / "run", **wild))
    assert "no checkpoint yet" in message and "whole" not in message


@pytest.mark.parametrize(
    "changes",
    [
        {"train.seed": -1},
        {"data.shares": "{synthetc=0.5}"},
        {"data.held_out": 0.9999},
        {"model.init": "."},
        {"data.cache": "/dev/null"},
    ],
)
def test_a_value_that_cannot_be_ends_in_one_line(
    edge3d_command: Command, tmp_path: Path, changes: dict[str, object]
) -> None:
    failing(edge3d_command, *options(tmp_path, tmp_path / "run", **changes))


def test_an_out_that_is_a_file_ends_in_one_line(edge3d_command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "file" in failing(edge3d_command, *options(tmp_path, tmp_path / "file"))


def test_a_recipe_that_is_wrong_is_told(edge3d_command: Command, tmp_path: Path) -> None:
    message = failing(edge3d_command, *options(tmp_path, tmp_path / "run", **{"train.stepz": 3}))
    assert "train.stepz" in message
    message = failing(
        edge3d_command, "train", "student", "--recipe", tmp_path / "gone.toml", "--out", tmp_path
    )
    assert "gone.toml" in message


def test_a_run_that_starts_from_another_tells_of_both(
    edge3d_command: Command, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert edge3d_command(*options(tmp_path, first)).returncode == 0
    start = {"model.init": first / "student.safetensors"}
    assert edge3d_command(*options(tmp_path, second, **start)).returncode == 0
    first_one, second_one = (
        read_contract(folder / "student.safetensors").provenance for folder in (first, second)
    )
    assert second_one["history"][second_one["started_from"]] == first_one
    both = [folder / "student.safetensors" for folder in (first, second)]
    mean = tmp_path / "mean.safetensors"
    assert "ends in" in failing(edge3d_command, "train", "average", *both, "--out", tmp_path)
    message = failing(edge3d_command, "train", "average", both[0], "--out", mean)
    assert "two checkpoints or more" in message and not mean.exists()
    done = edge3d_command("train", "average", *both, "--out", mean)
    assert done.returncode == 0, done.stderr
    of_mean = read_contract(mean).provenance
    assert training_steps(of_mean)[:2] == training_steps(second_one)
    assert len(of_mean["history"]) == 2 and of_mean["mean_of"] == [0, 1]


def test_a_start_from_another_network_is_told(edge3d_command: Command, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert edge3d_command(*options(tmp_path, out)).returncode == 0
    start = {"model.init": out / "student.safetensors", "model.name": "student-100"}
    message = failing(edge3d_command, *options(tmp_path, tmp_path / "other", **start))
    assert "student-025" in message and "student-100" in message
