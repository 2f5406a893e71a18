"""Running OpenVINO's .xml files, and reading their contract without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import ContractError, MissingExtraError
from edge3d.io.files import sha256_of_file
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

WEIGHTS_KEY = "edge3d_weights_sha256"  # beside the contract: the .bin file that belongs to it
_DTYPES = {"u8": "uint8", "i8": "int8", "f32": "float32"}


class OpenVinoRunner:
    """Runs an .xml file and its .bin on the CPU; a batch is one call.

    It computes in float32 what is not quantized: left alone, OpenVINO takes bfloat16 on CPUs that
    have it, which moves landmarks by half a pixel.

    Args:
        path: the .xml file. contract: what it carries. threads: of the CPU.

    Raises:
        ContractError: OpenVINO refuses the file, or its graph is not what the contract says.
        MissingExtraError: OpenVINO is not installed.
    """

    def __init__(self, path: Path, contract: ModelContract, threads: int = 1) -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingExtraError("running an .xml file", "openvino", "openvino") from error
        check_contract(contract, str(path))
        self.contract = contract
        options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
        }
        try:
            core = openvino.Core()
            graph = core.read_model(path, path.with_suffix(".bin"))
            source = graph.inputs[0]
            check_graph(
                contract,
                str(path),
                _shape(source),
                _DTYPES.get(source.element_type.get_type_name(), str(source.element_type)),
                {output.any_name: _shape(output) for output in graph.outputs},
            )
            # A free batch axis costs a third of the time, and a core gains nothing from batches.
            spec = contract.input
            graph.reshape([1, *spec.shape])
            self._request: Any = core.compile_model(graph, "CPU", options).create_infer_request()
        except RuntimeError as error:
            raise damaged(path, "OpenVINO", error) from error
        self._image = np.zeros((1, *spec.shape), spec.dtype)
        self._request.set_input_tensor(openvino.Tensor(self._image, shared_memory=True))
        self._results = {
            output.name: self._request.get_tensor(output.name).data for output in contract.outputs
        }

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return whitened parameters (B, P) of crops (B, 120, 120, 3) uint8 RGB."""
        return self.outputs(images)[PARAMS]

    def outputs(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return all outputs of the graph by name, each (B, ...) float32."""
        images = check_images(images)
        if len(images) == 0:
            return no_output(self.contract.outputs)
        found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in self._results}
        for image in in_layout(images, self.contract.input.layout):
            self._image[0] = image
            self._request.infer(share_outputs=True)
            for name, result in self._results.items():
                found[name].append(result.astype(np.float32))
        return {name: np.concatenate(parts) for name, parts in found.items()}


def read_openvino_contract(path: Path) -> str:
    """Return the contract's JSON in an .xml file; no package is needed.

    Raises:
        ContractError: not a whole OpenVINO model, one without a contract, or one whose .bin is
            not there or another file's.
    """
    try:
        root = ElementTree.fromstring(read_bytes(path))
    except ElementTree.ParseError as error:
        raise damaged(path, "OpenVINO", error) from error
    if root.tag != "net":
        raise damaged(path, "OpenVINO", f"its first element is '{root.tag}'")
    entries = {
        name: element.get("value")
        for name in (METADATA_KEY, WEIGHTS_KEY)
        if (element := root.find(f"rt_info/{name}")) is not None
    }
    contract = entries.get(METADATA_KEY)
    if contract is None:
        raise no_contract(path, f"rt_info entry '{METADATA_KEY}'")
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise ContractError(f"{path}: its weights are not there; copy {weights.name} beside it")
    if sha256_of_file(weights) != entries.get(WEIGHTS_KEY):
        raise ContractError(
            f"{weights}: is not the file that belongs to {path.name}, or is damaged; copy both "
            "again, or export them again with `edge3d export`"
        )
    return contract


def _shape(port: Any) -> tuple[object, ...]:
    """Return a port's shape; a free axis is None."""
    return tuple(axis.get_length() if axis.is_static else None for axis in port.get_partial_shape())
