"""What is particular to a runtime."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge3d.errors import ContractError, MissingExtraError
from edge3d.face_model import FaceModel
from edge3d.litert import interpreter_class
from edge3d.model.contract import InputSpec, ModelContract, contract_for
from edge3d.model.parameters import make_layout
from edge3d.runtime import open_runner, read_contract
from edge3d.runtime.litert_runner import dequantized, quantized
from edge3d.runtime.tflite_metadata import read_tflite_metadata
from edge3d.runtime.torch_runner import TorchRunner


def test_quantized_pixels() -> None:
    pixels = np.array([0, 1, 128, 255], np.uint8)
    plain = {"dtype": np.uint8, "quantization": (0.0, 0)}
    assert quantized(pixels, plain).tolist() == [0, 1, 128, 255]
    real = {"dtype": np.float32, "quantization": (0.0, 0)}
    assert quantized(pixels, real).tolist() == [0.0, 1.0, 128.0, 255.0]
    signed = {"dtype": np.int8, "quantization": (1.0, -128)}
    assert quantized(pixels, signed).tolist() == [-128, -127, 0, 127]
    coarse = {"dtype": np.int8, "quantization": (0.5, -128)}  # what does not fit is cut
    assert quantized(pixels, coarse).tolist() == [-128, -126, 127, 127]
    assert all(quantized(pixels, d).dtype == d["dtype"] for d in (plain, real, signed, coarse))


def test_dequantized_outputs() -> None:
    detail = {"dtype": np.int8, "quantization": (0.25, -3)}
    values = dequantized(np.array([-128, -3, 127], np.int8), detail)
    assert values.dtype == np.float32
    assert values.tolist() == [-31.25, 0.0, 32.5]
    real = np.array([1.5], np.float32)
    assert dequantized(real, {"dtype": np.float32, "quantization": (0.0, 0)}).tolist() == [1.5]


def test_tflite_metadata_equals_generated_reader(
    write_tflite: Callable[..., Path], tmp_path: Path, contract: ModelContract
) -> None:
    from ai_edge_litert import schema_py_generated as schema

    data = write_tflite(tmp_path / "model.tflite", contract.to_json()).read_bytes()
    model = schema.ModelT.InitFromPackedBuf(bytearray(data))
    entries = {e.name.decode(): bytes(model.buffers[e.buffer].data) for e in model.metadata}
    assert read_tflite_metadata(data) == entries
    assert entries["edge3d_contract"].decode() == contract.to_json()


def test_onnx_metadata_props(
    write_onnx: Callable[..., Path], tmp_path: Path, contract: ModelContract
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    path = write_onnx(tmp_path / "model.onnx", contract.to_json())
    props = onnxruntime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map
    assert props["edge3d_contract"] == read_contract(path).to_json()


def test_onnx_of_one_image(
    write_onnx: Callable[..., Path], tmp_path: Path, contract: ModelContract, images: np.ndarray,
    expected: np.ndarray,
) -> None:  # fmt: skip
    pytest.importorskip("onnxruntime")
    runner = open_runner(write_onnx(tmp_path / "one.onnx", contract.to_json(), 1))
    np.testing.assert_allclose(runner(images), expected, atol=1e-4)


def test_onnx_of_channels_first(
    weights: np.ndarray, tmp_path: Path, contract: ModelContract, images: np.ndarray,
    expected: np.ndarray,
) -> None:  # fmt: skip
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    helper, proto = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image", "axes"], ["means"], keepdims=0),
            helper.make_node("MatMul", ["means", "weights"], ["params"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("image", proto.FLOAT, ["batch", 3, 120, 120])],
        [helper.make_tensor_value_info("params", proto.FLOAT, ["batch", weights.shape[1]])],
        [
            onnx.numpy_helper.from_array(np.array([2, 3]), "axes"),
            onnx.numpy_helper.from_array(weights, "weights"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    spec = InputSpec(shape=(3, 120, 120), layout="NCHW", dtype="float32")
    helper.set_model_props(model, {"edge3d_contract": contract.replace(input=spec).to_json()})
    path = tmp_path / "first.onnx"
    path.write_bytes(model.SerializeToString())
    np.testing.assert_allclose(open_runner(path)(images), expected, atol=1e-4)


@pytest.fixture(scope="module")
def checkpoint(open_model: FaceModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch", reason="no PyTorch: needs the extra train")
    from edge3d.networks.checkpoint import save_checkpoint
    from edge3d.networks.mobilenet import make_student

    layout = make_layout("rotation6d", open_model)
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("checkpoint") / "student.safetensors"
    network = make_student("student-025", layout.size)
    save_checkpoint(path, network, contract_for("student-025", layout, open_model))
    return path


def test_checkpoint_runs(checkpoint: Path, images: np.ndarray) -> None:
    import torch

    from edge3d.networks.checkpoint import load_checkpoint

    runner = open_runner(checkpoint)
    many = np.concatenate([images] * 30)  # more than one pass
    threads = torch.get_num_threads()
    found = runner(many)
    assert torch.get_num_threads() == threads
    network, _ = load_checkpoint(checkpoint)
    with torch.no_grad():
        wanted = network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float()).numpy()
    np.testing.assert_allclose(found[:3], wanted, atol=1e-5)
    np.testing.assert_allclose(found[-3:], wanted, atol=1e-5)
    assert runner(images[:0]).shape == (0, runner.contract.layout.size)
    with pytest.raises(ValueError, match="uint8 RGB"):
        runner(images.astype(np.float32))


def test_network_in_training_stays_so(checkpoint: Path, images: np.ndarray) -> None:
    from edge3d.networks.checkpoint import load_checkpoint

    network, contract = load_checkpoint(checkpoint)
    wanted = TorchRunner(network, contract)(images)
    network.train()
    statistics = {name: value.clone() for name, value in network.state_dict().items()}
    np.testing.assert_array_equal(TorchRunner(network, contract)(images), wanted)
    assert network.training
    assert all((statistics[name] == value).all() for name, value in network.state_dict().items())


def test_checkpoint_cut_off(checkpoint: Path, tmp_path: Path) -> None:
    whole, path = checkpoint.read_bytes(), tmp_path / "cut.safetensors"
    for length in (7, 100, 5000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ContractError, match="cut off or damaged"):
            open_runner(path)


def test_checkpoint_without_contract(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="no PyTorch: needs the extra train")
    from safetensors.torch import save_file

    path = tmp_path / "bare.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(ContractError, match=r"bare.*has no contract"):
        open_runner(path)


def test_checkpoint_of_other_weights(checkpoint: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    text = read_contract(checkpoint).replace(architecture="student-050").to_json()
    path = tmp_path / "other.safetensors"
    save_file(load_file(checkpoint), path, metadata={"edge3d_contract": text})
    with pytest.raises(ContractError, match="field architecture is 'student-050'"):
        open_runner(path)


def test_checkpoint_without_torch(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = read_contract(checkpoint)
    assert contract.architecture == "student-025"
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "edge3d.networks.checkpoint", raising=False)
    with pytest.raises(MissingExtraError, match=r"'torch'.*edge3d\[train\]"):
        open_runner(checkpoint)


def test_older_interpreter_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    older = SimpleNamespace(Interpreter=object())
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", SimpleNamespace(interpreter=older))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", older)
    assert interpreter_class("a test") is older.Interpreter
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    with pytest.raises(MissingExtraError, match="a test needs"):
        interpreter_class("a test")
