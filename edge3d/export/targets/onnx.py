"""ONNX files, by PyTorch's own exporter."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxsim
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from edge3d.export.deploy_module import DeployModule
from edge3d.model.contract import METADATA_KEY, InputSpec

TOOLS: tuple[str, ...] = ("torch", "onnx", "onnxscript", "onnxsim", "onnxruntime")


def convert(
    model: DeployModule,
    spec: InputSpec,
    precision: str,
    path: Path,
    calibration: NDArray[np.uint8],
) -> None:
    """Write a model with a free batch axis, all weights in one file; see `Converter`.

    fp16: weights are kept in half precision, and computed with in float32. int8: ONNX Runtime's
    static quantization of the network, per channel, with the true minima and maxima as ranges;
    what decodes points behind it stays in float32.

    Raises:
        RuntimeError: the simplified graph does not give what the exported one gives.
    """
    # A batch of 2, as the exporter takes the axis of a batch of 1 to be fixed.
    sample = torch.zeros((2, *spec.shape), dtype=getattr(torch, spec.dtype))
    program: Any = torch.onnx.export(
        model,
        (sample,),
        dynamo=True,
        external_data=False,
        input_names=[spec.name],
        output_names=list(model.output_names),
        dynamic_shapes={"image": {0: "batch"}},
        verbose=False,
    )
    graph, same = onnxsim.simplify(program.model_proto, check_n=1)
    if not same:
        raise RuntimeError("onnxsim changed what the graph computes")
    _without_traces(graph)
    if precision == "fp16":
        _halve_weights(graph)
    if precision == "int8":
        graph = quantized(graph, spec, calibration)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


def _halve_weights(graph: Any) -> None:
    """Keep matrices and kernels in half precision, with a cast to float32 behind each.

    Half-precision arithmetic, which ONNX Runtime has on arm64 and not on x86, would make the same
    file give other faces on a phone (by 0.2 px).
    """
    for weights in list(graph.graph.initializer):
        values = onnx.numpy_helper.to_array(weights)
        if values.ndim < 2 or values.dtype != np.float32:
            continue
        name = f"{weights.name}_half"
        graph.graph.initializer.remove(weights)
        graph.graph.initializer.append(onnx.numpy_helper.from_array(values.astype("<f2"), name))
        back = onnx.helper.make_node(
            "Cast", [name], [weights.name], name=f"{name}_back", to=onnx.TensorProto.FLOAT
        )
        graph.graph.node.insert(0, back)


class Calibration(CalibrationDataReader):
    """Gives one crop after another."""

    def __init__(self, name: str, images: NDArray[np.uint8]) -> None:
        self._rest: Iterator[dict[str, NDArray]] = iter([{name: image[None]} for image in images])

    def get_next(self) -> dict[str, NDArray] | None:
        """Return the next crop by the input's name, or None after the last."""
        return next(self._rest, None)


def quantized(
    graph: Any, spec: InputSpec, calibration: NDArray[np.uint8], keep_last: bool = True
) -> Any:
    """Return a graph in 8 bit.

    Args:
        graph: an `onnx.ModelProto` in float32. spec: of its input.
        calibration: (N, 120, 120, 3) uint8 RGB.
        keep_last: let the layer that gives the parameters compute in float32, with weights in
            8 bit alone. As an int8 tensor the parameters share one scale, far too coarse for most.
    """
    left_out = _behind(graph, "params")
    if keep_last:
        left_out.append(_maker(graph, "params").name)
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(graph, source)
        quantize_static(
            source,
            out,
            Calibration(spec.name, calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=left_out,
        )
        small = onnx.load(out)
    if keep_last:
        round_last_weights(small)
    return small


def _maker(graph: Any, tensor: str) -> Any:
    """Return the node that gives a tensor."""
    return next(node for node in graph.graph.node if tensor in node.output)


def round_last_weights(graph: Any) -> None:
    """Keep the weights of the layer that gives the parameters in 8 bit, with a scale for each."""
    layer = _maker(graph, "params")
    weights = next(w for w in graph.graph.initializer if w.name == layer.input[1])
    values = onnx.numpy_helper.to_array(weights)
    transposed = any(a.name == "transB" and a.i for a in layer.attribute)
    axis = 0 if transposed else 1
    scale = np.maximum(np.abs(values).max(axis=1 - axis), 1e-8) / 127
    steps = np.round(values / np.expand_dims(scale, 1 - axis)).astype(np.int8)
    names = [f"{weights.name}_{part}" for part in ("int8", "scale", "zero")]
    parts = (steps, scale.astype(np.float32), np.zeros(len(scale), np.int8))
    graph.graph.initializer.remove(weights)
    graph.graph.initializer.extend(
        onnx.numpy_helper.from_array(part, name) for part, name in zip(parts, names, strict=True)
    )
    back = onnx.helper.make_node(
        "DequantizeLinear", names, [weights.name], name=f"{weights.name}_back", axis=axis
    )
    graph.graph.node.insert(0, back)


def _behind(graph: Any, tensor: str) -> list[str]:
    """Return the names of the nodes that a tensor's values reach."""
    reached, names = {tensor}, []
    for node in graph.graph.node:  # in the order of computation
        if reached & set(node.input):
            reached |= set(node.output)
            names.append(node.name)
    return names


def embed(path: Path, contract: str) -> None:
    """Write a contract's JSON into a file, in place of an older one."""
    model = onnx.load(path)
    kept = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, kept | {METADATA_KEY: contract})
    onnx.save(model, path)


def _without_traces(model: Any) -> None:
    """Drop the exporter's notes on each node: stack traces with paths of this machine."""
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.functions):
        del part.metadata_props[:]
        part.ClearField("doc_string")
