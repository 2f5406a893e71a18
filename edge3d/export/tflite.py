"""TensorFlow Lite files, by litert-torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import litert_torch
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from litert_converter.mlir.ir import MLIRError  # type: ignore[import-untyped]

from edge3d.contract import METADATA_KEY, InputSpec
from edge3d.export.wrap import CameraModel
from edge3d.runtime.tflite_file import IDENTIFIER

TOOLS: tuple[str, ...] = ("litert-torch", "ai-edge-litert", "torch")
_ALIGNMENT = 16  # of a buffer's bytes: `force_align` in TensorFlow's schema.fbs


def convert(model: CameraModel, spec: InputSpec, precision: str, path: Path) -> None:
    """Write a model for one crop at a time, its tensors named as the contract names them.

    Raises:
        RuntimeError: litert-torch cannot convert the model; also Python's other kinds of error.
    """
    sample = torch.zeros((1, *spec.shape), dtype=getattr(torch, spec.dtype))
    content = _converted(model, sample)
    graph = schema.ModelT.InitFromPackedBuf(bytearray(content))
    signature = graph.signatureDefs[0]
    tensors = graph.subgraphs[signature.subgraphIndex].tensors
    outputs = graph.subgraphs[signature.subgraphIndex].outputs
    names = {int(tensor): name for tensor, name in zip(outputs, model.output_names, strict=True)}
    names[signature.inputs[0].tensorIndex] = spec.name
    for entry in (*signature.inputs, *signature.outputs):
        entry.name = names[entry.tensorIndex].encode()
    for index, name in names.items():
        tensors[index].name = name.encode()
    path.write_bytes(_packed(graph))


def _converted(model: CameraModel, sample: torch.Tensor) -> bytes:
    try:
        return litert_torch.convert(model, (sample,)).model_content()
    except MLIRError as error:  # not one of Python's own kinds of error
        raise RuntimeError(str(error)) from error


def embed(path: Path, contract: str) -> None:
    """Write a contract's JSON into a file, in place of an older one."""
    graph = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()))
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
