"""Running .tflite files with LiteRT, TensorFlow Lite's successor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.litert import interpreter_class
from edge3d.model.contract import ModelContract
from edge3d.runtime.checks import (
    PARAMS,
    check_contract,
    check_graph,
    check_images,
    damaged,
    in_layout,
    no_output,
)


class LiteRtRunner:
    """Runs a .tflite file.

    Its graph takes one crop at a time, as phones' accelerators want it, so that a batch is a loop.

    Args:
        path: the file. contract: what it carries. threads: of the interpreter.

    Raises:
        ContractError: LiteRT refuses the file, or its graph is not what the contract says.
        MissingExtraError: LiteRT is not installed.
    """

    def __init__(self, path: Path, contract: ModelContract, threads: int = 1) -> None:
        interpreter = interpreter_class("running a .tflite file")
        check_contract(contract, str(path))
        self.contract = contract
        try:
            self._interpreter: Any = interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise damaged(path, "TensorFlow Lite", error) from error
        self._input = self._interpreter.get_input_details()[0]
        # Tensors lose their names in converters and quantizers, but never their order.
        names = [output.name for output in contract.outputs]
        details = self._interpreter.get_output_details()
        self._outputs = dict(zip(names, details, strict=False))
        check_graph(
            contract,
            str(path),
            tuple(int(size) for size in self._input["shape"]),
            np.dtype(self._input["dtype"]).name,
            {
                name: tuple(int(size) for size in detail["shape"])
                for name, detail in self._outputs.items()
            },
        )

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return whitened parameters (B, P) of crops (B, 120, 120, 3) uint8 RGB."""
        return self._run(images, [PARAMS])[PARAMS]

    def outputs(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return all outputs of the graph by name, each (B, ...) float32."""
        return self._run(images, list(self._outputs))

    def _run(self, images: NDArray[np.uint8], names: list[str]) -> dict[str, NDArray[np.float32]]:
        images = check_images(images)
        if len(images) == 0:
            return no_output(self.contract.outputs)
        values = quantized(in_layout(images, self.contract.input.layout), self._input)
        found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
        for index in range(len(values)):
            self._interpreter.set_tensor(self._input["index"], values[index : index + 1])
            self._interpreter.invoke()
            for name in names:
                detail = self._outputs[name]
                found[name].append(
                    dequantized(self._interpreter.get_tensor(detail["index"]), detail)
                )
        return {name: np.concatenate(parts) for name, parts in found.items()}


def quantized(images: NDArray[np.uint8], detail: Mapping[str, Any]) -> NDArray:
    """Return pixels as a graph's input tensor takes them.

    Formula: q = round(x / scale) + zero point, cut to the type's range (LiteRT's 8-bit
    quantization specification).

    Args:
        images: uint8 pixels, any shape.
        detail: the tensor's `dtype` and `quantization`, (scale, zero point); a scale of 0 is none.
    """
    scale, zero_point = detail["quantization"]
    dtype = np.dtype(detail["dtype"])
    if scale == 0 or dtype.kind == "f" or (dtype, scale, zero_point) == (images.dtype, 1, 0):
        return images.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    steps = np.round(images / np.float32(scale)) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def dequantized(values: NDArray, detail: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return an output tensor's numbers: x = (q - zero point) * scale, see `quantized`."""
    scale, zero_point = detail["quantization"]
    if scale == 0 or values.dtype.kind == "f":
        return values.astype(np.float32)
    return ((values.astype(np.float32) - zero_point) * np.float32(scale)).astype(np.float32)
