"""ONNX files, by PyTorch's own exporter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnxsim
import torch

from edge3d.contract import METADATA_KEY, InputSpec
from edge3d.export.wrap import CameraModel

TOOLS: tuple[str, ...] = ("torch", "onnx", "onnxscript", "onnxsim")


def convert(model: CameraModel, spec: InputSpec, precision: str, path: Path) -> None:
    """Write a model with a free batch axis, all weights in one file.

    Raises:
        RuntimeError: the simplified graph does not give what the exported one gives.
    """
    # A batch of 2, as the exporter takes the axis of a batch of 1 to be fixed.
    sample = torch.zeros((2, *spec.shape), dtype=getattr(torch, spec.dtype))
    program: Any = torch.onnx.export(
        model,
        (sample,),
        dynamo=True,
        external_data=False,
        input_names=[spec.name],
        output_names=list(model.output_names),
        dynamic_shapes={"image": {0: "batch"}},
        verbose=False,
    )
    graph, same = onnxsim.simplify(program.model_proto, check_n=1)
    if not same:
        raise RuntimeError("onnxsim changed what the graph computes")
    _without_traces(graph)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


def embed(path: Path, contract: str) -> None:
    """Write a contract's JSON into a file, in place of an older one."""
    model = onnx.load(path)
    kept = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, kept | {METADATA_KEY: contract})
    onnx.save(model, path)


def _without_traces(model: Any) -> None:
    """Drop the exporter's notes on each node: stack traces with paths of this machine."""
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.functions):
        del part.metadata_props[:]
        part.ClearField("doc_string")
