"""The yardsticks: MobileNetV1 in float32 at 120 x 120, the network that 3DDFA_V2 runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge3d.errors import MissingExtraError

WIDTHS = (1.0, 0.5)
OUTPUTS = 62
# Channels at width 1 and stride of each depthwise-separable block (A. Howard et al., "MobileNets",
# 2017, table 1).
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5,
           (1024, 2), (1024, 1))  # fmt: skip


def write_mobilenet_v1(path: Path, width: float) -> None:
    """Write a MobileNetV1 with random weights, batch norm folded: (1, 3, 120, 120) -> (1, 62).

    Raises:
        MissingExtraError: onnx is not installed.
    """
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ModuleNotFoundError as error:
        raise MissingExtraError("the yardsticks", "export", str(error.name)) from error
    rng = np.random.default_rng(0)
    nodes: list[Any] = []
    weights: list[Any] = []
    last = "image"

    def layer(outputs: int, inputs: int, kernel: int, stride: int, group: int) -> None:
        nonlocal last
        name = f"layer{len(nodes)}"
        shape = (outputs, inputs // group, kernel, kernel)
        values = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
        weights.append(numpy_helper.from_array(values, name + ".weight"))
        weights.append(numpy_helper.from_array(np.zeros(outputs, np.float32), name + ".bias"))
        pads = [kernel // 2] * 4
        nodes.append(
            helper.make_node(
                "Conv", [last, name + ".weight", name + ".bias"], [name],
                kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads, group=group,
            )
        )  # fmt: skip
        last = name + ".relu"
        nodes.append(helper.make_node("Relu", [name], [last]))

    channels = int(32 * width)
    layer(channels, 3, 3, 2, 1)
    for wide, stride in _BLOCKS:
        layer(channels, channels, 3, stride, channels)
        layer(int(wide * width), channels, 1, 1, 1)
        channels = int(wide * width)
    head = rng.normal(0, 0.01, (channels, OUTPUTS)).astype(np.float32)
    weights.append(numpy_helper.from_array(head, "head"))
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
    nodes.append(helper.make_node("MatMul", ["flat", "head"], ["params"]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 120, 120])
    params = helper.make_tensor_value_info("params", TensorProto.FLOAT, [1, OUTPUTS])
    graph = helper.make_graph(nodes, "mobilenet_v1", [image], [params], weights)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
