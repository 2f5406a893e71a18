"""`edge3d evaluate` end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge3d.face_model import FaceModel
from edge3d.model.parameters import make_layout
from tests.cli.test_cli import failing
from tests.evaluate.conftest import reconstructor, written  # noqa: F401

Command = Callable[..., "object"]


def test_numbers_and_page(edge3d_command: Command, written: Path, tmp_path: Path) -> None:  # noqa: F811
    out, page = tmp_path / "numbers.json", tmp_path / "page.html"
    done = edge3d_command(
        "evaluate", "--dataset", f"aflw2000-3d:{written}", "--json", out, "--report", page
    )
    assert done.returncode == 0, done.stderr
    assert "balanced" in done.stdout and "head pose" in done.stdout
    result = json.loads(out.read_text())
    assert result["n"] == 3
    assert len(result["nme"]["bins"]) == 3 and result["nme"]["bins"][1] is None
    assert set(result["pose_mae_deg"]) == {"n", "yaw", "pitch", "roll", "mean"}
    assert result["nme_detector_box"]["all"] < 0.5 and result["nme_detector_box"]["detected"] == 1
    assert result["nme_reannotated"] is None
    text = page.read_text()
    assert text.count("data:image/jpeg;base64") == 3 and "<svg" in text
    assert 'src="http' not in text and "href=" not in text.replace('xlink:href="#', "")


@pytest.mark.parametrize("dataset", ["aflw2000-3d", "aflw2000-3d:", "celeba:somewhere"])
def test_an_unknown_data_set_is_told(edge3d_command: Command, dataset: str) -> None:
    message = failing(edge3d_command, "evaluate", "--dataset", dataset)
    assert "NAME:DIR" in message and "aflw2000-3d" in message


@pytest.fixture
def teacher(open_model: FaceModel, tmp_path: Path) -> Path:
    """A teacher with random weights."""
    pytest.importorskip("torch", reason="a teacher needs PyTorch: pip install 'edge3d[train]'")
    from edge3d.model.contract import contract_for
    from edge3d.networks.checkpoint import save_checkpoint
    from edge3d.networks.registry import make_network

    layout = make_layout("rotation6d", open_model)
    network = make_network("teacher", layout.size)
    path = tmp_path / "teacher.safetensors"
    save_checkpoint(path, network, contract_for("teacher", layout, open_model, provenance={}))
    return path


def test_a_teacher_is_measured_with_landmarks(
    edge3d_command: Command,
    written: Path,  # noqa: F811
    teacher: Path,
    tmp_path: Path,
) -> None:
    names = sorted(path.name for path in written.glob("*.jpg"))
    landmarks, out = tmp_path / "landmarks.npz", tmp_path / "numbers.json"
    np.savez(landmarks, names=names, fan68_crop120=np.full((len(names), 2, 68), np.nan))
    command = ("evaluate", teacher, "--dataset", f"aflw2000-3d:{written}")
    done = edge3d_command(*command, "--landmarks", landmarks, "--json", out)
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text())["n"] == len(names)

    for option in (("--threads", 2), ("--detector",)):
        message = failing(edge3d_command, *command, "--landmarks", landmarks, *option)
        assert f"{option[0]} does not apply to --landmarks" in message
    message = failing(edge3d_command, *command)
    assert "teacher" in message and "--landmarks" in message
    np.savez(landmarks, names=names[1:], fan68_crop120=np.zeros((len(names) - 1, 2, 68)))
    assert names[0] in failing(edge3d_command, *command, "--landmarks", landmarks)
    np.savez(landmarks, names=names, fan68_crop120=np.zeros((len(names), 68, 2)))
    assert "(3, 2, 68)" in failing(edge3d_command, *command, "--landmarks", landmarks)
