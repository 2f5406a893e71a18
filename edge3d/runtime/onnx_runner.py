"""Running .onnx files with ONNX Runtime, and reading their contract without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import MissingExtraError
from edge3d.model.contract import METADATA_KEY, ModelContract
from edge3d.runtime.checks import (
    PARAMS,
    check_contract,
    check_graph,
    check_images,
    damaged,
    in_layout,
    no_contract,
    no_output,
    read_bytes,
)

# Field numbers in onnx.proto: of ModelProto, and of its metadata's StringStringEntryProto.
_IR_VERSION, _GRAPH, _METADATA_PROPS = 1, 7, 14
_KEY, _VALUE = 1, 2
_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(int8)": "int8"}


class OnnxRunner:
    """Runs a .onnx file on the CPU; a batch is one call where the graph's batch axis is free.

    Args:
        path: the file. contract: what it carries. threads: within one operation.

    Raises:
        ContractError: ONNX Runtime refuses the file, or its graph is not what the contract says.
        MissingExtraError: ONNX Runtime is not installed.
    """

    def __init__(self, path: Path, contract: ModelContract, threads: int = 1) -> None:
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as states
        except ImportError as error:
            raise MissingExtraError("running an .onnx file", "onnx", "onnxruntime") from error
        check_contract(contract, str(path))
        self.contract = contract
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # errors only
        refusals = (
            states.Fail, states.InvalidProtobuf, states.InvalidGraph, states.InvalidArgument,
            states.NotImplemented, states.RuntimeException, states.NoSuchFile,
        )  # fmt: skip
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except refusals as error:
            raise damaged(path, "ONNX", error) from error
        source = self._session.get_inputs()[0]
        self._input = source.name
        self._free_batch = not isinstance(source.shape[0], int)
        check_graph(
            contract,
            str(path),
            source.shape,
            _DTYPES.get(source.type, source.type),
            {output.name: output.shape for output in self._session.get_outputs()},
        )

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return whitened parameters (B, P) of crops (B, 120, 120, 3) uint8 RGB."""
        return self._run(images, [PARAMS])[PARAMS]

    def outputs(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return all outputs of the graph by name, each (B, ...) float32."""
        return self._run(images, [output.name for output in self.contract.outputs])

    def _run(self, images: NDArray[np.uint8], names: list[str]) -> dict[str, NDArray[np.float32]]:
        images = check_images(images)
        if len(images) == 0:
            return no_output(self.contract.outputs)
        spec = self.contract.input
        values = in_layout(images, spec.layout).astype(spec.dtype)
        batches = [values] if self._free_batch else np.split(values, len(values))
        found = [self._session.run(names, {self._input: batch}) for batch in batches]
        return {
            name: np.concatenate(parts).astype(np.float32)
            for name, parts in zip(names, zip(*found, strict=True), strict=True)
        }


def read_onnx_contract(path: Path) -> str:
    """Return the contract's JSON in a .onnx file; no package is needed.

    Raises:
        ContractError: not a whole ONNX file, or one without a contract.
    """
    data = read_bytes(path)
    seen, metadata = set(), {}
    try:
        for number, content in _messages(data):
            seen.add(number)
            if number == _METADATA_PROPS:
                entry = dict(_messages(content))
                metadata[entry.get(_KEY, b"").decode()] = entry.get(_VALUE, b"").decode()
    except ValueError as error:
        raise damaged(path, "ONNX", error) from error
    if not {_IR_VERSION, _GRAPH} <= seen:
        raise damaged(path, "ONNX", "no graph in it")
    if METADATA_KEY not in metadata:
        raise no_contract(path, f"metadata_props entry '{METADATA_KEY}'")
    return metadata[METADATA_KEY]


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (field number, content) of a protocol buffer's outermost fields.

    Format: protobuf.dev/programming-guides/encoding. Numbers come with empty content, as only
    strings and messages are of interest here.

    Raises:
        ValueError: not a protocol buffer, or one that is cut off.
    """
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        length = {1: 8, 5: 4}.get(kind, 0)
        if kind == 0:
            _, at = _varint(data, at)
        elif kind == 2:
            length, at = _varint(data, at)
        elif kind not in (1, 5):
            raise ValueError(f"field of unknown kind {kind} at byte {at}")
        if at + length > len(data):
            raise ValueError(f"byte {at + length} of {len(data)} is asked for")
        yield number, data[at : at + length] if kind == 2 else b""
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise ValueError(f"a number at byte {at} does not end")
