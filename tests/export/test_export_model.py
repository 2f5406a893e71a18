"""Every target, end to end."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import edge3d.export.targets
from edge3d.bundled import default_checkpoint_path
from edge3d.calibration.calibration_set import load_calibration_set
from edge3d.errors import (
    ContractError,
)
from edge3d.export import TARGETS, ExportResult, export_model
from edge3d.export.parity_images import parity_images
from edge3d.face_model import FaceModel
from edge3d.model.contract import contract_for
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout
from edge3d.runtime import RUNNERS, open_runner, read_contract
from edge3d.runtime.parity import BUDGETS, compare_faces
from tests.export.conftest import CONVERTERS


def test_parity(exported: ExportResult) -> None:
    assert exported.parity.n == 64
    assert exported.parity.excesses(BUDGETS["fp32"]) == []


def test_a_teacher_is_refused(open_model: FaceModel, tmp_path: Path) -> None:
    from edge3d.networks.checkpoint import save_checkpoint
    from edge3d.networks.registry import make_network

    layout = make_layout("rotation6d", open_model)
    path = tmp_path / "teacher.safetensors"
    network = make_network("teacher-separable", layout.size)
    save_checkpoint(
        path, network, contract_for("teacher-separable", layout, open_model, provenance={})
    )
    with pytest.raises(ContractError, match=r"teacher\.safetensors: is a teacher"):
        export_model(path, "onnx", "fp32", tmp_path / "out")


def test_pictures_matter(exported: ExportResult, checkpoint: Path, open_model: FaceModel) -> None:
    """The check can fail: BGR for RGB is another face to this student."""
    runner, contract = open_runner(exported.path), exported.contract

    class Swapped:
        def __init__(self) -> None:
            self.contract = contract.replace(outputs=contract.outputs[:1])

        def __call__(self, images: np.ndarray) -> np.ndarray:
            return runner(images[..., ::-1])

    decoder = Decoder(open_model, contract.layout)
    parity = compare_faces(Swapped(), open_runner(checkpoint), parity_images(8), decoder)
    assert len(parity.excesses(BUDGETS["fp32"])) == 2


def test_contract(exported: ExportResult, checkpoint: Path) -> None:
    found, trained = read_contract(exported.path), read_contract(checkpoint)
    assert found.to_json() == exported.contract.to_json()
    assert [o.name for o in found.outputs] == ["params", "landmarks", "vertices"]
    assert {o.frame for o in found.outputs[1:]} == {"crop"}
    assert {o.unit for o in found.outputs[1:]} == {"pixel"}
    assert (found.input.layout, found.input.dtype) == ("NHWC", "uint8")
    assert found.architecture == trained.architecture == "student-025"
    np.testing.assert_array_equal(found.layout.mean, trained.layout.mean)
    made_by = found.provenance["export"]
    assert made_by["parity"] == exported.parity.to_content()
    assert made_by["within_parity_budget"] is True
    assert "torch" in made_by["tools"]
    assert found.provenance["recipe"] == trained.provenance["recipe"]
    assert "CC0" in found.provenance["face_model_licence"]


def test_file_name_and_nothing_else(exported: ExportResult) -> None:
    target = exported.contract.provenance["export"]["target"]
    suffix = TARGETS[target].suffix
    assert suffix in RUNNERS
    suffixes = sorted([suffix, *RUNNERS[suffix].companions])
    found = sorted(file.name for file in exported.path.parent.iterdir())
    assert found == [f"student-025-fp32{own}" for own in suffixes]
    assert exported.size_bytes == sum(f.stat().st_size for f in exported.path.parent.iterdir())


def test_points_equal_decoder(exported: ExportResult, open_model: FaceModel) -> None:
    images = parity_images(5)
    outputs = open_runner(exported.path).outputs(images)  # type: ignore[attr-defined]
    decoder = Decoder(open_model, exported.contract.layout)
    params = decoder.params(outputs["params"])
    assert outputs["landmarks"].shape == (5, 68, 3)
    np.testing.assert_allclose(outputs["landmarks"], decoder.landmarks(params), atol=1e-3)
    np.testing.assert_allclose(outputs["vertices"], decoder.vertices(params), atol=1e-3)
    assert np.ptp(outputs["landmarks"], axis=0).max() > 1  # they move with the pictures


def test_batch_is_its_images(exported: ExportResult) -> None:
    runner, images = open_runner(exported.path), parity_images(5)
    singles = np.concatenate([runner(images[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(runner(images), singles, atol=1e-5)
    assert runner(images[:0]).shape == (0, runner.contract.layout.size)


def test_no_path_of_this_machine_inside(exported: ExportResult) -> None:
    content = exported.path.read_bytes()
    assert str(Path(edge3d.export.__file__).parents[2]).encode() not in content
    assert b"site-packages" not in content


@pytest.mark.parametrize("exported", ["tflite"], indirect=True)
def test_tflite_graph(exported: ExportResult) -> None:
    """No stray transposes; names that an app can ask for; buffers aligned as the format says."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    data = exported.path.read_bytes()
    model = schema.Model.GetRootAs(data)
    codes = [model.OperatorCodes(i).BuiltinCode() for i in range(model.OperatorCodesLength())]
    graph = model.Subgraphs(0)
    used = [codes[graph.Operators(i).OpcodeIndex()] for i in range(graph.OperatorsLength())]
    convolutions = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)
    last = max(index for index, code in enumerate(used) if code in convolutions)
    assert schema.BuiltinOperator.TRANSPOSE not in used[:last]
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if buffer.DataLength():
            assert buffer._tab.Vector(buffer._tab.Offset(4)) % 16 == 0
    signature = Interpreter(str(exported.path)).get_signature_list()["serving_default"]
    assert signature["inputs"] == ["image"]
    assert sorted(signature["outputs"]) == ["landmarks", "params", "vertices"]


@pytest.mark.parametrize("exported", ["tflite"], indirect=True)
def test_contract_survives_the_quantizer(exported: ExportResult, tmp_path: Path) -> None:
    quantizer = pytest.importorskip("ai_edge_quantizer", reason="no ai-edge-quantizer")
    half = {"num_bits": 16, "dtype": "FLOAT", "symmetric": True, "granularity": "TENSORWISE"}
    config = {
        "weight_tensor_config": half,
        "compute_precision": "FLOAT",
        "explicit_dequantize": True,
    }
    recipe = [
        {"regex": ".*", "operation": name, "algorithm_key": "float_casting", "op_config": config}
        for name in ("FULLY_CONNECTED", "CONV_2D")
    ]
    path = tmp_path / "small.tflite"
    quantizer.Quantizer(str(exported.path), recipe).quantize().export_model(str(path))
    assert path.stat().st_size < 0.6 * exported.path.stat().st_size
    assert read_contract(path).to_json() == exported.contract.to_json()
    images = parity_images(2)
    small, large = (
        open_runner(p).outputs(images)["landmarks"]  # type: ignore[attr-defined]
        for p in (path, exported.path)
    )
    assert 0 < abs(small - large).max() < 0.5  # px; outputs are told apart by their order


@pytest.mark.parametrize("exported", ["onnx"], indirect=True)
def test_onnx_file(exported: ExportResult) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(exported.path)
    props = {entry.key: entry.value for entry in model.metadata_props}
    assert props["edge3d_contract"] == exported.contract.to_json()
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert [value.name for value in model.graph.output] == ["params", "landmarks", "vertices"]
    assert not any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer)


@pytest.mark.parametrize("exported", ["openvino"], indirect=True)
def test_openvino_model(exported: ExportResult) -> None:
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().read_model(exported.path)
    assert model.get_rt_info("edge3d_contract").astype(str) == exported.contract.to_json()
    assert model.inputs[0].get_partial_shape()[0].is_dynamic
    assert [output.any_name for output in model.outputs] == ["params", "landmarks", "vertices"]


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_half_precision(target: str, tmp_path: Path) -> None:
    pytest.importorskip(CONVERTERS[target], reason="needs the extra export")
    result = export_model(default_checkpoint_path(), target, "fp16", tmp_path)
    assert result.size_bytes < 2e6  # of 3.6 MB
    assert 0 < result.parity.landmark_px_p99 < 0.1
    assert read_contract(result.path).precision == "fp16"


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_eight_bits(target: str, tmp_path: Path) -> None:
    """The student that ships, calibrated on a few crops of the set that ships."""
    pytest.importorskip(CONVERTERS[target], reason="needs the extra export")
    whole = load_calibration_set()
    few = dataclasses.replace(whole, crops=whole.crops[:24])
    result = export_model(
        default_checkpoint_path(), target, "int8", tmp_path, calibration=few, force=True
    )
    assert result.size_bytes < 1.2e6
    assert 0 < result.parity.landmark_px_mean < 0.7
    contract = read_contract(result.path)
    assert contract.precision == "int8"
    assert contract.input.dtype == "uint8"
    assert contract.quantization["images"] == 24
    assert contract.quantization["manifest_sha256"] == whole.sha256
    assert "CC0" in contract.quantization["licence"]
    if target == "tflite":
        assert _float_operators(result.path) == ["FULLY_CONNECTED"]


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_eight_bits_decode_in_float(target: str, open_model: FaceModel, tmp_path: Path) -> None:
    whole = load_calibration_set()
    few = dataclasses.replace(whole, crops=whole.crops[:8])
    result = export_model(
        default_checkpoint_path(), target, "int8", tmp_path, ("landmarks",), calibration=few,
        force=True,
    )  # fmt: skip
    outputs = open_runner(result.path).outputs(parity_images(3))  # type: ignore[attr-defined]
    decoder = Decoder(open_model, result.contract.layout)
    wanted = decoder.landmarks(decoder.params(outputs["params"]))
    np.testing.assert_allclose(outputs["landmarks"], wanted, atol=0.01)


def _float_operators(path: Path) -> list[str]:
    """Return the operators of a .tflite file that give float32, but for dequantization."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(path.read_bytes())
    graph = model.Subgraphs(0)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    found = []
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        kind = graph.Tensors(operator.Outputs(0)).Type()
        if kind == schema.TensorType.FLOAT32:
            found.append(names[model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()])
    return [name for name in found if name != "DEQUANTIZE"]
