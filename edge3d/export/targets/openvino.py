"""OpenVINO models: an .xml file with the graph and a .bin with the weights."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnx
import openvino
from numpy.typing import NDArray
from openvino._offline_transformations import apply_moc_transformations

from edge3d.export.deploy_module import DeployModule
from edge3d.export.targets import onnx as onnx_target
from edge3d.io.files import sha256_of_file
from edge3d.model.contract import METADATA_KEY, InputSpec
from edge3d.runtime.openvino_runner import WEIGHTS_KEY

TOOLS: tuple[str, ...] = ("torch", "onnx", "onnxscript", "onnxsim", "openvino", "nncf")


def convert(
    model: DeployModule,
    spec: InputSpec,
    precision: str,
    path: Path,
    calibration: NDArray[np.uint8],
) -> None:
    """Write a model, by way of ONNX; see `Converter`.

    int8: NNCF's post-training quantization. Ranges are the true minima and maxima, which NNCF
    would cut by default, and that costs a regression net dearly. The last layer has weights in
    8 bit alone.

    Raises:
        RuntimeError: OpenVINO cannot convert the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.onnx"
        onnx_target.convert(model, spec, "fp32", source, calibration)
        if precision == "int8":
            small = onnx.load(source)
            onnx_target.round_last_weights(small)
            onnx.save(small, source)
        # What `openvino.convert_model` does, which also sends usage statistics.
        graph = openvino.Core().read_model(source)
        apply_moc_transformations(graph, cf=False, smart_reshape=True)
    if precision == "int8":
        graph = _quantized(graph, calibration)
    openvino.save_model(graph, path, compress_to_fp16=precision == "fp16")


def embed(path: Path, contract: str) -> None:
    """Write a contract's JSON into a file, in place of an older one."""
    tree = ElementTree.parse(path)
    info = tree.getroot().find("rt_info")
    if info is None:
        info = ElementTree.SubElement(tree.getroot(), "rt_info")
    values = {METADATA_KEY: contract, WEIGHTS_KEY: sha256_of_file(path.with_suffix(".bin"))}
    for name, value in values.items():
        element = info.find(name)
        if element is None:
            element = ElementTree.SubElement(info, name)
        element.set("value", value)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _quantized(graph: Any, calibration: NDArray[np.uint8]) -> Any:
    os.environ.setdefault("NNCF_CI", "1")  # or NNCF sends usage statistics
    import nncf
    from nncf.quantization.advanced_parameters import QuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    nncf.set_log_level(40)  # errors
    ranges = RangeEstimatorParametersSet.MINMAX
    return nncf.quantize(
        graph,
        nncf.Dataset([image[None] for image in calibration]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(calibration),
        fast_bias_correction=False,
        ignored_scope=nncf.IgnoredScope(names=_float_part(graph)),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            # NNCF would give each channel of a depthwise layer's input a range of its own, and a
            # channel that is silent in all calibration crops would stay so.
            activations_quantization_params=QuantizationParameters(per_channel=False),
            activations_range_estimator_params=ranges,
            weights_range_estimator_params=ranges,
        ),
    )


def _float_part(graph: Any) -> list[str]:
    """Return the names of the nodes from the pooling on: the last layer's and the decoder's too.

    The pooling is 16 multiply-adds a channel. In 8 bit, channels that reach far apart share a
    scale, and landmarks drift by 0.8 px in place of 0.3.
    """
    layer = graph.output("params").get_node()
    while layer.get_type_name() != "GroupConvolution":
        layer = layer.input_value(0).get_node()
    names = {layer.get_friendly_name(): None}
    waiting = layer.outputs()
    while waiting:
        for reader in waiting.pop().get_target_inputs():
            node = reader.get_node()
            if node.get_type_name() != "Result" and node.get_friendly_name() not in names:
                names[node.get_friendly_name()] = None
                waiting.extend(node.outputs())
    return list(names)
