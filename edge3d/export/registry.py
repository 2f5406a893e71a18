"""The export targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from edge3d.model.contract import PRECISIONS, InputSpec

if TYPE_CHECKING:
    from edge3d.export.deploy_module import DeployModule


class Converter(Protocol):
    """What a target's module provides.

    Attributes:
        TOOLS: the packages whose versions go into the contract's provenance.
    """

    TOOLS: tuple[str, ...]

    def convert(
        self,
        model: DeployModule,
        spec: InputSpec,
        precision: str,
        path: Path,
        calibration: NDArray[np.uint8],
    ) -> None:
        """Write a model to a path, still without its contract.

        `calibration` (N, 120, 120, 3) uint8 RGB are the crops that an int8 file's ranges come
        from; N is 0 for other precisions.
        """

    def embed(self, path: Path, contract: str) -> None:
        """Write a contract's JSON into a file, in place of an older one."""


def _tflite() -> Converter:
    from edge3d.export.targets import tflite

    return tflite


def _onnx() -> Converter:
    from edge3d.export.targets import onnx

    return onnx


def _openvino() -> Converter:
    from edge3d.export.targets import openvino

    return openvino


@dataclass(frozen=True)
class Target:
    """One kind of file that a checkpoint can be exported to.

    Attributes:
        name: what a user calls it.
        suffix: of its files; `edge3d.runtime.registry.RUNNERS` says what runs them.
        precisions: that it can be written in.
        extra: of `pip install edge3d[...]` that brings its converter.
        load: imports the converter.
    """

    name: str
    suffix: str
    precisions: tuple[str, ...]
    extra: str
    load: Callable[[], Converter]


TARGETS = {
    "tflite": Target("tflite", ".tflite", PRECISIONS, "export", _tflite),
    "onnx": Target("onnx", ".onnx", PRECISIONS, "export", _onnx),
    "openvino": Target("openvino", ".xml", PRECISIONS, "export", _openvino),
}
