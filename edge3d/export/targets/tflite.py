"""TensorFlow Lite files, by litert-torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import litert_torch
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import qtyping, quantizer, recipe
from litert_converter.mlir.ir import MLIRError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edge3d.export.deploy_module import DeployModule, GraphDecoder
from edge3d.model.contract import METADATA_KEY, InputSpec
from edge3d.runtime.tflite_metadata import IDENTIFIER

TOOLS: tuple[str, ...] = ("litert-torch", "ai-edge-litert", "ai-edge-quantizer", "torch")
_ALIGNMENT = 16  # of a buffer's bytes: `force_align` in TensorFlow's schema.fbs


def convert(
    model: DeployModule,
    spec: InputSpec,
    precision: str,
    path: Path,
    calibration: NDArray[np.uint8],
) -> None:
    """Write a model for one crop at a time, tensors named as the contract says; see `Converter`.

    fp16: weights are kept in half precision. int8: full integer, from the camera's bytes to the
    last operator, which gives float32.

    Raises:
        RuntimeError: litert-torch cannot convert the model; also Python's other kinds of error.
    """
    dtype = torch.float32 if precision == "int8" else getattr(torch, spec.dtype)
    content = _converted(model, torch.zeros((1, *spec.shape), dtype=dtype))
    if precision == "fp16":
        content = _with_half_weights(content)
    if precision == "int8":
        content = _quantized(content, calibration)
    graph = _unpacked(content)
    signature = graph.signatureDefs[0]
    tensors = graph.subgraphs[signature.subgraphIndex].tensors
    outputs = graph.subgraphs[signature.subgraphIndex].outputs
    names = {int(tensor): name for tensor, name in zip(outputs, model.output_names, strict=True)}
    names[signature.inputs[0].tensorIndex] = spec.name
    for entry in (*signature.inputs, *signature.outputs):
        entry.name = names[entry.tensorIndex].encode()
    for index, name in names.items():
        tensors[index].name = name.encode()
    if precision == "int8":
        _take_bytes(graph, spec.name)
    path.write_bytes(_packed(graph))


def _with_half_weights(content: bytes) -> bytes:
    own = quantizer.Quantizer(bytearray(content))
    own.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(
                num_bits=16, dtype=qtyping.TensorDataType.FLOAT
            ),
            compute_precision=qtyping.ComputePrecision.FLOAT,
        ),
        algorithm_key="float_casting",
    )
    return bytes(own.quantize().quantized_model)


def _quantized(content: bytes, calibration: NDArray[np.uint8]) -> bytes:
    """Return a model in 8 bit, per channel; its input is still float32, and quantized first.

    The quantizer's own calibration is a moving average of the images' minima and maxima, which
    cuts ranges; theirs are the true ones over all images.
    """
    own = quantizer.Quantizer(bytearray(content), recipe.static_wi8_ai8())
    # As an int8 tensor the parameters would share one scale, far too coarse for most of them: the
    # last operator has weights in 8 bit alone.
    own.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.FULLY_CONNECTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(
                num_bits=8, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
            ),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
    )
    for regex, operators in (
        (".*", qtyping.TFLOperationName.OUTPUT),
        # Points are decoded in float32; by the names that litert-torch gives tensors.
        (f".*({GraphDecoder.__name__}|output_[1-9]).*", qtyping.TFLOperationName.ALL_SUPPORTED),
    ):
        own.update_quantization_recipe(
            regex=regex, operation_name=operators, algorithm_key="no_quantize"
        )
    key, (name,) = _signature(content)
    ranges: dict[str, Any] = {}
    for image in calibration:
        sample = {key: [{name: image[None].astype(np.float32)}]}
        for tensor, found in own.calibrate(sample, num_threads=1).items():
            known = ranges.setdefault(tensor, dict(found))
            for bound, merge in (("min", np.minimum), ("max", np.maximum)):
                if bound in found:
                    known[bound] = merge(known[bound], found[bound])
    return bytes(own.quantize(ranges).quantized_model)


def _signature(content: bytes) -> tuple[str, list[str]]:
    """Return the name of a model's signature and those of its inputs."""
    graph = _unpacked(content)
    signature = graph.signatureDefs[0]
    return _text(signature.signatureKey), [_text(entry.name) for entry in signature.inputs]


def _take_bytes(graph: Any, name: str) -> None:
    """Put an operator in front of an int8 model that takes the camera's bytes as they are."""
    signature = graph.signatureDefs[0]
    part = graph.subgraphs[signature.subgraphIndex]
    inner = signature.inputs[0].tensorIndex
    image = schema.TensorT(
        shape=part.tensors[inner].shape,
        type=schema.TensorType.UINT8,
        name=name.encode(),
        quantization=schema.QuantizationParametersT(scale=[1.0], zeroPoint=[0]),
    )
    part.tensors[inner].name = f"{name}_int8".encode()
    part.tensors.append(image)
    number = len(part.tensors) - 1
    graph.operatorCodes.append(
        schema.OperatorCodeT(
            builtinCode=schema.BuiltinOperator.QUANTIZE,
            deprecatedBuiltinCode=schema.BuiltinOperator.QUANTIZE,
            version=1,
        )
    )
    quantize = schema.OperatorT(
        opcodeIndex=len(graph.operatorCodes) - 1,
        inputs=[number],
        outputs=[inner],
        builtinOptionsType=schema.BuiltinOptions.QuantizeOptions,
        builtinOptions=schema.QuantizeOptionsT(),
    )
    part.operators.insert(0, quantize)
    part.inputs = [number]
    signature.inputs[0].tensorIndex = number


def _unpacked(content: bytes) -> Any:
    """Return a model's tables; buffers that lie behind them are brought in."""
    graph = schema.ModelT.InitFromPackedBuf(bytearray(content))
    for buffer in graph.buffers:
        if buffer.data is None and buffer.size:
            start, stop = buffer.offset, buffer.offset + buffer.size
            buffer.data = np.frombuffer(content[start:stop], np.uint8)
        buffer.offset = buffer.size = 0
    return graph


def _converted(model: DeployModule, sample: torch.Tensor) -> bytes:
    try:
        return litert_torch.convert(model, (sample,)).model_content()
    except MLIRError as error:  # not one of Python's own kinds of error
        raise RuntimeError(str(error)) from error


def embed(path: Path, contract: str) -> None:
    """Write a contract's JSON into a file, in place of an older one."""
    graph = _unpacked(path.read_bytes())
    graph.metadata = graph.metadata or []
    entry = next((e for e in graph.metadata if _text(e.name) == METADATA_KEY), None)
    if entry is None:
        entry = schema.MetadataT(name=METADATA_KEY.encode(), buffer=len(graph.buffers))
        graph.metadata.append(entry)
        graph.buffers.append(schema.BufferT())
    graph.buffers[entry.buffer] = schema.BufferT(data=np.frombuffer(contract.encode(), np.uint8))
    path.write_bytes(_packed(graph))


class _AlignedBuffer(schema.BufferT):
    """A buffer that is packed at a multiple of 16 bytes, which the generated code forgets."""

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the generated code's name
        data = None
        if self.data is not None and len(self.data):
            content = np.asarray(self.data, np.uint8).tobytes()
            builder.StartVector(1, len(content), _ALIGNMENT)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


def _packed(graph: Any) -> bytes:
    graph.buffers = [_AlignedBuffer(data=buffer.data) for buffer in graph.buffers]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(graph.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
