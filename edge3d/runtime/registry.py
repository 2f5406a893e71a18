"""Runtimes: one model, whatever file it is in.

    runner = open_runner("student.tflite")
    whitened = runner(crops)            # (B, 120, 120, 3) uint8 RGB -> (B, P) float32
    params = decoder.params(whitened)   # edge3d.model.decoder.Decoder

Importing this loads none of the runtimes; a file's own one is loaded when it is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge3d.errors import ContractError
from edge3d.model.contract import ModelContract
from edge3d.runtime.litert_runner import LiteRtRunner
from edge3d.runtime.onnx_runner import OnnxRunner, read_onnx_contract
from edge3d.runtime.openvino_runner import OpenVinoRunner, read_openvino_contract
from edge3d.runtime.runner import Runner
from edge3d.runtime.tflite_metadata import read_tflite_contract
from edge3d.runtime.torch_runner import open_checkpoint, read_checkpoint_contract


@dataclass(frozen=True)
class Runtime:
    """What runs the files of one suffix.

    Attributes:
        name: of the runtime.
        extra: of `pip install edge3d[...]` that brings it.
        read_contract: path to the contract's JSON, without loading the runtime.
        open: path, contract and number of threads to a runner.
        companions: suffixes of files that belong to each file, beside it under its name.
    """

    name: str
    extra: str
    read_contract: Callable[[Path], str]
    open: Callable[[Path, ModelContract, int], Runner]
    companions: tuple[str, ...] = ()


RUNNERS = {
    ".tflite": Runtime("LiteRT", "tflite", read_tflite_contract, LiteRtRunner),
    ".onnx": Runtime("ONNX Runtime", "onnx", read_onnx_contract, OnnxRunner),
    ".xml": Runtime("OpenVINO", "openvino", read_openvino_contract, OpenVinoRunner, (".bin",)),
    ".safetensors": Runtime("PyTorch", "train", read_checkpoint_contract, open_checkpoint),
}


def open_runner(path: str | Path, threads: int = 1) -> Runner:
    """Open a model file in the runtime that its suffix stands for.

    Args:
        path: one of the suffixes in `RUNNERS`.
        threads: of the runtime, on the CPU.

    Raises:
        ContractError: no such file, an unknown suffix, not a model or only a part of one, no
            contract, a contract of an unknown schema, or one of another graph. The message names
            the file, the field and the remedy.
        MissingExtraError: the runtime is not installed.
        ValueError: less than one thread.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}; 1 or more are needed")
    path = Path(path)
    contract = read_contract(path)
    return _runtime(path).open(path, contract, threads)


def read_contract(path: str | Path) -> ModelContract:
    """Return a model file's contract without loading its runtime.

    Raises:
        ContractError: as `open_runner`.
    """
    path = Path(path)
    runtime = _runtime(path)
    if path.is_dir():
        raise ContractError(f"{path}: is a folder; give the path of a model file in it")
    if not path.exists():
        raise ContractError(f"{path}: no such file; check the path")
    return ModelContract.from_json(runtime.read_contract(path), str(path))


def model_bytes(path: str | Path) -> int:
    """Return the size of a model file, with the files that belong to it.

    Raises:
        ContractError: an unknown suffix.
    """
    path = Path(path)
    return sum(
        path.with_suffix(suffix).stat().st_size
        for suffix in (path.suffix, *_runtime(path).companions)
    )


def _runtime(path: Path) -> Runtime:
    suffix = path.suffix.lower()
    if suffix not in RUNNERS:
        raise ContractError(
            f"{path}: unknown suffix '{path.suffix}'; model files end in {', '.join(RUNNERS)}: "
            "export one with `edge3d export`"
        )
    return RUNNERS[suffix]
