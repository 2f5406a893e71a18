"""Reading the metadata of a TensorFlow Lite file without any runtime.

A .tflite file is a flatbuffer. The few tables on the way to the metadata are read by hand with
every offset checked, so that a cut-off or foreign file gives an error and never a crash, and so
that the core needs no generated code. Format: flatbuffers.dev/internals; field numbers:
TensorFlow's tensorflow/compiler/mlir/lite/schema/schema.fbs, which never change.
"""

from __future__ import annotations

import struct
from pathlib import Path

from edge3d.model.contract import METADATA_KEY
from edge3d.runtime.checks import damaged, no_contract, read_bytes

IDENTIFIER = b"TFL3"
# Field numbers: in Model, in Metadata, in Buffer.
_BUFFERS, _METADATA = 4, 6
_NAME, _INDEX = 0, 1
_DATA, _OFFSET, _SIZE = 0, 1, 2


def read_tflite_contract(path: Path) -> str:
    """Return the contract's JSON in a .tflite file.

    Raises:
        ContractError: not a whole TensorFlow Lite file, or one without a contract.
    """
    data = read_bytes(path)
    try:
        metadata = read_tflite_metadata(data)
        contract = metadata.get(METADATA_KEY)
        if contract is None:
            raise no_contract(path, f"metadata entry '{METADATA_KEY}'")
        return contract.decode()
    except ValueError as error:
        raise damaged(path, "TensorFlow Lite", error) from error


def read_tflite_metadata(data: bytes) -> dict[str, bytes]:
    """Return the metadata entries of a TensorFlow Lite file's bytes.

    All of the file's buffers are visited, so that weights which are cut off are noticed.

    Raises:
        ValueError: not such a file, or an offset leads out of it.
    """
    if data[4:8] != IDENTIFIER:
        raise ValueError(f"no '{IDENTIFIER.decode()}' at its start")
    model = _follow(data, 0)
    buffers = [_buffer(data, table) for table in _tables(data, _field(data, model, _BUFFERS))]
    found = {}
    for table in _tables(data, _field(data, model, _METADATA)):
        name, at = _field(data, table, _NAME), _field(data, table, _INDEX)
        index = 0 if at is None else _number(data, "<I", at)
        if index >= len(buffers):
            raise ValueError(f"buffer {index} of {len(buffers)}")
        found[_bytes(data, name).decode(errors="replace")] = buffers[index]
    return found


def _buffer(data: bytes, table: int) -> bytes:
    """Return a buffer's content, which large models keep behind the flatbuffer."""
    offset, size = _field(data, table, _OFFSET), _field(data, table, _SIZE)
    if offset is not None and size is not None:
        start, length = _number(data, "<Q", offset), _number(data, "<Q", size)
        if start > 1:  # 0 and 1 mean that it is inside
            return _slice(data, start, length)
    return _bytes(data, _field(data, table, _DATA))


def _number(data: bytes, kind: str, at: int) -> int:
    return struct.unpack(kind, _slice(data, at, struct.calcsize(kind)))[0]


def _slice(data: bytes, start: int, length: int) -> bytes:
    if start < 0 or start + length > len(data):
        raise ValueError(f"byte {start + length} of {len(data)} is asked for")
    return data[start : start + length]


def _follow(data: bytes, at: int) -> int:
    return at + _number(data, "<I", at)


def _field(data: bytes, table: int, number: int) -> int | None:
    """Return where a table's field is, or None where it has its default."""
    vtable = table - _number(data, "<i", table)
    place = 4 + 2 * number
    if place >= _number(data, "<H", vtable):
        return None
    offset = _number(data, "<H", vtable + place)
    return table + offset if offset else None


def _bytes(data: bytes, field: int | None) -> bytes:
    """Return the bytes of a vector or a string."""
    if field is None:
        return b""
    start = _follow(data, field)
    return _slice(data, start + 4, _number(data, "<I", start))


def _tables(data: bytes, field: int | None) -> list[int]:
    """Return where the tables of a vector of tables are."""
    if field is None:
        return []
    start = _follow(data, field)
    count = _number(data, "<I", start)
    _slice(data, start + 4, 4 * count)
    return [_follow(data, start + 4 + 4 * index) for index in range(count)]
