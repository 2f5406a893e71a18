"""`edge3d validate` end to end, with a student that nobody trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge3d.evaluate.validation import _turn_deg, nme_excesses
from edge3d.runtime.parity import BUDGETS
from tests.cli.test_cli import failing
from tests.export.conftest import checkpoint  # noqa: F401

Command = Callable[..., "object"]


@pytest.fixture(scope="session")
def onnx_file(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    pytest.importorskip("onnxsim", reason="no onnxsim: needs the extra export")
    from edge3d.export import export_model

    return export_model(checkpoint, "onnx", "fp32", tmp_path_factory.mktemp("files")).path


@pytest.fixture(scope="session")
def other_weights(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    from edge3d.networks.checkpoint import load_checkpoint, save_checkpoint

    network, contract = load_checkpoint(checkpoint)
    network.head.bias.data.add_(0.5)
    path = tmp_path_factory.mktemp("other") / "other.safetensors"
    save_checkpoint(path, network, contract)
    return path


def test_numbers_and_page(
    edge3d_command: Command,
    checkpoint: Path,  # noqa: F811
    onnx_file: Path,
    tmp_path: Path,
) -> None:
    out, page = tmp_path / "numbers.json", tmp_path / "page.html"
    done = edge3d_command(
        "validate", onnx_file.parent, "--checkpoint", checkpoint, "--json", out, "--report", page
    )
    assert done.returncode == 0, done.stderr
    assert "every budget holds" in done.stdout
    (row,) = json.loads(out.read_text())["files"]
    assert row["file"] == onnx_file.name and row["n"] == 64 and row["same_checkpoint"]
    assert 0 <= row["landmark_px_mean"] <= row["landmark_px_p99"] <= row["landmark_px_max"] < 0.05
    assert row["nme"] is None and row["excesses"] == []
    text = page.read_text()
    assert "<svg" in text and text.count("data:image/jpeg;base64") == 8
    assert 'src="http' not in text


def test_other_weights_are_over_budget(
    edge3d_command: Command, other_weights: Path, onnx_file: Path
) -> None:
    done = edge3d_command("validate", onnx_file, "--checkpoint", other_weights)
    assert done.returncode == 1, done.stderr
    assert "over budget" in done.stdout and "another checkpoint" in done.stdout
    assert "every budget holds" not in done.stdout


def test_bad_input_is_told(
    edge3d_command: Command,
    checkpoint: Path,  # noqa: F811
    onnx_file: Path,
    tmp_path: Path,
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no exported file" in failing(edge3d_command, "validate", empty)
    assert "no such file" in failing(edge3d_command, "validate", tmp_path / "gone.onnx")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(onnx_file.read_bytes()[:1000])
    written = tmp_path / "numbers.json"
    message = failing(
        edge3d_command, "validate", cut, "--checkpoint", checkpoint, "--json", written
    )
    assert "cut.onnx" in message and not written.exists()
    message = failing(edge3d_command, "validate", onnx_file, "--checkpoint", onnx_file)
    assert "is no checkpoint" in message


def test_nme_budgets() -> None:
    change = {"bins": [0.2, 0.1, None], "balanced": 0.04, "all": 0.3}
    (excess,) = nme_excesses(change, BUDGETS["int8"])
    assert "NME of a bin +0.2000 is over 0.15" in excess
    assert len(nme_excesses(change, BUDGETS["fp16"])) == 1
    assert nme_excesses(None, BUDGETS["fp32"]) == []


def test_turn_of_a_small_rotation() -> None:
    angle = np.radians(1e-3)
    turned = np.eye(3)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert _turn_deg(turned[None], np.eye(3)[None])[0] == pytest.approx(1e-3, rel=1e-6)


def test_arm64_runs_no_openvino(edge3d_command: Command, tmp_path: Path) -> None:
    (tmp_path / "student.xml").touch()
    message = failing(edge3d_command, "validate", tmp_path / "student.xml", "--arm64", tmp_path)
    assert "is no .tflite or .onnx file" in message
