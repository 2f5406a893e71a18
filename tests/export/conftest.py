"""A small student that nobody trained, but whose faces are near the middle of the crop."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge3d.export import ExportResult, export_model
from edge3d.export.parity_images import parity_images
from edge3d.face_model import FaceModel
from edge3d.model.contract import contract_for
from edge3d.model.parameters import ParameterLayout

CONVERTERS = {"tflite": "litert_torch", "onnx": "onnxsim", "openvino": "openvino"}


@pytest.fixture(scope="session")
def checkpoint(
    layout: ParameterLayout, open_model: FaceModel, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    torch = pytest.importorskip("torch", reason="no PyTorch: needs the extra export")
    from edge3d.networks.checkpoint import save_checkpoint
    from edge3d.networks.mobilenet import make_student

    torch.manual_seed(0)
    network = make_student("student-025", layout.size)
    pixels = torch.from_numpy(parity_images(16)).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        network.train()
        for _ in range(40):  # batch norm takes the statistics of real faces
            network(pixels)
        # Random weights answer alike to all pictures; a trained network does not.
        network.head.weight.mul_(3)
        network.head.bias.sub_(network.eval()(pixels).mean(dim=0))
    contract = contract_for(
        "student-025", layout, open_model, provenance={"recipe": {"name": "none"}}
    )
    path = tmp_path_factory.mktemp("checkpoint") / "student.safetensors"
    save_checkpoint(path, network, contract)
    return path


@pytest.fixture(scope="session", params=sorted(CONVERTERS))
def exported(
    request: pytest.FixtureRequest, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> ExportResult:
    """The student with all outputs, once for each target."""
    converter = CONVERTERS[request.param]
    pytest.importorskip(converter, reason=f"no {converter}: needs the extra export")
    folder = tmp_path_factory.mktemp("exported")
    outputs = ("vertices", "landmarks")  # in any order, and `params` comes by itself
    return export_model(checkpoint, request.param, "fp32", folder, outputs)
