"""What export refuses, and with which words; no converter is needed."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import edge3d.export.targets
from edge3d.errors import (
    ContractError,
    Edge3dError,
    FaceModelError,
    MissingExtraError,
    OutputError,
    ParityError,
)
from edge3d.export import TARGETS, export_model, exporter
from edge3d.export.parity_images import parity_images
from edge3d.face_model import FaceModel
from edge3d.model.contract import contract_for
from edge3d.model.parameters import ParameterLayout
from edge3d.runtime import RUNNERS, open_runner
from edge3d.runtime.parity import BUDGETS, Budget
from tests.export.conftest import CONVERTERS


@pytest.fixture
def plain_converter(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Put a converter in place that copies a file made before, and can be told to fail."""
    plan = SimpleNamespace(source=None, error=None, shift=0.0)

    def convert(
        model: object, spec: object, precision: str, path: Path, calibration: np.ndarray
    ) -> None:
        if plan.error:
            os.write(1, b"chatter of the converter")
            raise plan.error
        path.write_text("converted")

    def embed(path: Path, contract: str) -> None:
        path.write_text(contract)

    converter = SimpleNamespace(TOOLS=("numpy",), convert=convert, embed=embed)
    target = dataclasses.replace(TARGETS["onnx"], load=lambda: converter)
    monkeypatch.setitem(TARGETS, "onnx", target)

    def opened(path: Path) -> object:
        runner = open_runner(plan.source)

        class Shifted:
            contract = runner.contract

            def __call__(self, images: np.ndarray) -> np.ndarray:
                return runner(images) + np.float32(plan.shift)

        return Shifted()

    monkeypatch.setattr(exporter, "_opened", opened)
    return plan


def test_over_budget_is_refused_or_said(
    checkpoint: Path, plain_converter: SimpleNamespace, tmp_path: Path
) -> None:
    plain_converter.source, plain_converter.shift = checkpoint, 0.1
    images = parity_images(4)
    with pytest.raises(ParityError, match=r"landmark_px_p99 .* is over 0.02.*--force"):
        export_model(checkpoint, "onnx", "fp32", tmp_path, images=images)
    assert list(tmp_path.iterdir()) == []
    result = export_model(checkpoint, "onnx", "fp32", tmp_path, images=images, force=True)
    assert result.parity.landmark_px_p99 > 0.02
    inside = json.loads(result.path.read_text())["provenance"]["export"]
    assert inside["within_parity_budget"] is False
    assert inside["parity"]["landmark_px_p99"] > 0.02
    assert inside["parity"]["n"] == 4


def test_budget_decides(
    checkpoint: Path, plain_converter: SimpleNamespace, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    plain_converter.source, plain_converter.shift = checkpoint, 0.1
    monkeypatch.setitem(BUDGETS, "fp32", Budget(100.0, 100.0))
    result = export_model(checkpoint, "onnx", "fp32", tmp_path, images=parity_images(2))
    assert result.contract.provenance["export"]["within_parity_budget"] is True


def test_existing_file_stays(
    checkpoint: Path, plain_converter: SimpleNamespace, tmp_path: Path
) -> None:
    plain_converter.source = checkpoint
    path = tmp_path / "student-025-fp32.onnx"
    path.write_text("older")
    with pytest.raises(OutputError, match="exists already; use --overwrite"):
        export_model(checkpoint, "onnx", "fp32", tmp_path)
    plain_converter.error = RuntimeError("no")
    with pytest.raises(Edge3dError):
        export_model(checkpoint, "onnx", "fp32", tmp_path, overwrite=True)
    assert path.read_text() == "older"
    plain_converter.error = None
    result = export_model(
        checkpoint, "onnx", "fp32", tmp_path, overwrite=True, images=parity_images(1)
    )
    assert result.path == path
    assert path.read_text() != "older"


def test_converter_fails(
    checkpoint: Path, plain_converter: SimpleNamespace, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    plain_converter.error = ValueError("\n  operator foo is not known " + "x" * 1000 + "\ntrace")
    with pytest.raises(Edge3dError, match="ValueError: operator foo is not known") as error:
        export_model(checkpoint, "onnx", "fp32", tmp_path)
    assert len(str(error.value)) < 600
    assert error.value.__cause__ is plain_converter.error
    assert list(tmp_path.iterdir()) == []
    assert "chatter" not in "".join(capfd.readouterr())
    log = Path(str(error.value).rpartition(" ")[2])
    assert "chatter" in (told := log.read_text()) and "Traceback" in told
    log.unlink()


def test_unknown_target(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(Edge3dError, match="unknown target 'coreml'; known: tflite, onnx"):
        export_model(checkpoint, "coreml", "fp32", tmp_path)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_unknown_precision(target: str, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(Edge3dError, match=f"'{target}' has no precision 'fp8'; known: fp32"):
        export_model(checkpoint, target, "fp8", tmp_path)


def test_unknown_output(checkpoint: Path, plain_converter: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(Edge3dError, match="unknown output 'mesh'"):
        export_model(checkpoint, "onnx", "fp32", tmp_path, ("mesh",))


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_missing_converter(
    target: str, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = CONVERTERS[target]
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"edge3d.export.targets.{target}", raising=False)
    monkeypatch.delattr(edge3d.export.targets, target, raising=False)
    with pytest.raises(MissingExtraError, match=rf"'{package}'.*edge3d\[export\]"):
        export_model(checkpoint, target, "fp32", tmp_path)


def test_checkpoint_without_contract(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="no PyTorch: needs the extra export")
    from safetensors.torch import save_file

    path = tmp_path / "bare.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(ContractError, match=r"bare.*has no contract"):
        export_model(path, "onnx", "fp32", tmp_path)


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"gone.safetensors: no such file"):
        export_model(tmp_path / "gone.safetensors", "onnx", "fp32", tmp_path)
    with pytest.raises(ContractError, match="is no checkpoint"):
        export_model(tmp_path / "student.tflite", "onnx", "fp32", tmp_path)


def test_face_models(
    checkpoint: Path, layout: ParameterLayout, open_model: FaceModel, tmp_path: Path
) -> None:
    other = dataclasses.replace(open_model, name="other", sha256="0" * 64)
    with pytest.raises(ContractError, match=r"field face_model.sha256"):
        export_model(checkpoint, "onnx", "fp32", tmp_path, face_model=other)
    from edge3d.networks.checkpoint import load_checkpoint, save_checkpoint

    network, _ = load_checkpoint(checkpoint)
    missing = dataclasses.replace(open_model, name="never-imported")
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, network, contract_for("student-025", layout, missing))
    with pytest.raises(FaceModelError, match="never-imported"):
        export_model(path, "onnx", "fp32", tmp_path)


def test_targets_and_budgets_fit() -> None:
    for name, target in TARGETS.items():
        assert target.name == name
        assert target.suffix in RUNNERS
        assert set(target.precisions) <= set(BUDGETS)
