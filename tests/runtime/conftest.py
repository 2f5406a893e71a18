"""One tiny network in each file format, made by hand, without PyTorch or a converter.

It sends the three mean colours of a crop through a matrix: whitened = mean(image) @ weights.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from edge3d.face_model import FaceModel
from edge3d.io.files import sha256_of_file
from edge3d.model.contract import METADATA_KEY, ModelContract, contract_for
from edge3d.model.parameters import make_layout
from edge3d.runtime.openvino_runner import WEIGHTS_KEY


@pytest.fixture(scope="session")
def contract(open_model: FaceModel) -> ModelContract:
    return contract_for("tiny", make_layout("rotation6d", open_model), open_model)


@pytest.fixture(scope="session")
def weights(contract: ModelContract) -> np.ndarray:
    shape = (3, contract.layout.size)
    return np.random.default_rng(1).normal(0, 0.01, shape).astype(np.float32)


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Three crops with a gradient and different colours, so that any mix-up is seen."""
    y, x = np.mgrid[:120, :120]
    first = np.stack([x, y, 255 - x], axis=-1)
    return np.stack([first, first[::-1] // 2, first[:, :, ::-1]]).astype(np.uint8)


@pytest.fixture(scope="session")
def expected(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1, 3).mean(axis=1) @ weights


@pytest.fixture(scope="session")
def write_tflite(weights: np.ndarray) -> Callable[..., Path]:
    """Return a function (path, contract JSON or None) that writes the .tflite file."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    size = weights.shape[1]
    floats, bytes_, ints = (
        schema.TensorType.FLOAT32, schema.TensorType.UINT8, schema.TensorType.INT32
    )  # fmt: skip
    constants = {
        "axes": np.array([1, 2], np.int32),
        "weights": np.ascontiguousarray(weights.T),
        "bias": np.zeros(size, np.float32),
    }
    tensors = [
        ("image", bytes_, (1, 120, 120, 3)), ("pixels", floats, (1, 120, 120, 3)),
        ("axes", ints, (2,)), ("means", floats, (1, 3)), ("weights", floats, (size, 3)),
        ("bias", floats, (size,)), ("params", floats, (1, size)),
    ]  # fmt: skip
    codes = (
        schema.BuiltinOperator.CAST, schema.BuiltinOperator.MEAN,
        schema.BuiltinOperator.FULLY_CONNECTED,
    )  # fmt: skip

    def write(path: Path, contract: str | None) -> Path:
        buffers = [schema.BufferT()]
        graph_tensors = []
        for name, kind, shape in tensors:
            tensor = schema.TensorT(shape=list(shape), type=kind, name=name.encode(), buffer=0)
            if name in constants:
                tensor.buffer = len(buffers)
                data = np.frombuffer(constants[name].tobytes(), np.uint8)
                buffers.append(schema.BufferT(data=data))
            graph_tensors.append(tensor)
        none, reducer = schema.BuiltinOptions.NONE, schema.BuiltinOptions.ReducerOptions
        dense = schema.BuiltinOptions.FullyConnectedOptions
        operators = [
            _operator(schema, 0, [0], [1], none, None),
            _operator(schema, 1, [1, 2], [3], reducer, schema.ReducerOptionsT(keepDims=False)),
            _operator(schema, 2, [3, 4, 5], [6], dense, schema.FullyConnectedOptionsT()),
        ]
        metadata = []
        if contract is not None:
            name = METADATA_KEY.encode()
            metadata.append(schema.MetadataT(name=name, buffer=len(buffers)))
            buffers.append(schema.BufferT(data=np.frombuffer(contract.encode(), np.uint8)))
        model = schema.ModelT(
            version=3,
            operatorCodes=[
                schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code, version=1)
                for code in codes
            ],
            subgraphs=[
                schema.SubGraphT(
                    tensors=graph_tensors, inputs=[0], outputs=[6], operators=operators
                )
            ],
            buffers=buffers,
            metadata=metadata,
        )
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path

    return write


def _operator(
    schema: Any, code: int, inputs: list[int], outputs: list[int], kind: int, options: Any
) -> Any:
    return schema.OperatorT(
        opcodeIndex=code, inputs=inputs, outputs=outputs, builtinOptionsType=kind,
        builtinOptions=options,
    )  # fmt: skip


@pytest.fixture(scope="session")
def write_onnx(weights: np.ndarray) -> Callable[..., Path]:
    """Return a function (path, contract JSON or None, batch) that writes the .onnx file."""
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper, proto = onnx.helper, onnx.numpy_helper, onnx.TensorProto

    def write(path: Path, contract: str | None, batch: str | int = "batch") -> Path:
        nodes = [
            helper.make_node("Cast", ["image"], ["pixels"], to=proto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=0),
            helper.make_node("MatMul", ["means", "weights"], ["params"]),
        ]
        constants = [
            numpy_helper.from_array(np.array([1, 2]), "axes"),
            numpy_helper.from_array(weights, "weights"),
        ]
        source = helper.make_tensor_value_info("image", proto.UINT8, [batch, 120, 120, 3])
        result = helper.make_tensor_value_info("params", proto.FLOAT, [batch, weights.shape[1]])
        graph = helper.make_graph(nodes, "tiny", [source], [result], constants)
        opset = [helper.make_opsetid("", 20)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=10)
        if contract is not None:
            helper.set_model_props(model, {"other": "entry", METADATA_KEY: contract})
        path.write_bytes(model.SerializeToString())
        return path

    return write


@pytest.fixture(scope="session")
def write_xml(weights: np.ndarray) -> Callable[..., Path]:
    """Return a function (path, contract JSON or None) that writes the .xml file and its .bin."""
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as ops

    def write(path: Path, contract: str | None) -> Path:
        image = ops.parameter([-1, 120, 120, 3], np.uint8, name="image")
        pixels = ops.convert(image, np.float32)
        means = ops.reduce_mean(pixels, ops.constant(np.array([1, 2])), keep_dims=False)
        params = ops.matmul(means, ops.constant(weights), False, False)
        params.output(0).set_names({"params"})
        model = openvino.Model([params], [image], "tiny")
        openvino.serialize(model, path, path.with_suffix(".bin"))
        tree = ElementTree.parse(path)
        info = tree.getroot().find("rt_info")
        if info is None:
            info = ElementTree.SubElement(tree.getroot(), "rt_info")
        entries = {WEIGHTS_KEY: sha256_of_file(path.with_suffix(".bin"))}
        for name, value in (entries | ({METADATA_KEY: contract} if contract else {})).items():
            ElementTree.SubElement(info, name).set("value", value)
        tree.write(path)
        return path

    return write


@pytest.fixture(params=[".tflite", ".onnx", ".xml"])
def write_model(request: pytest.FixtureRequest) -> Callable[..., Path]:
    """Return a function (path without suffix, contract JSON or None) for each file format."""
    if request.param == ".onnx":
        pytest.importorskip("onnxruntime")
    write = request.getfixturevalue("write_" + request.param[1:])
    return lambda path, contract: write(path.with_suffix(request.param), contract)
