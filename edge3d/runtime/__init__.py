"""Runtimes: one model, whatever file it is in.

    runner = open_runner("student.tflite")
    whitened = runner(crops)            # (B, 120, 120, 3) uint8 RGB -> (B, P) float32
    params = decoder.params(whitened)   # edge3d.model.decoder.Decoder

Importing this loads none of the runtimes; a file's own one is loaded when it is opened.
"""

from edge3d.runtime.registry import RUNNERS, Runtime, model_bytes, open_runner, read_contract
from edge3d.runtime.runner import GraphRunner, Runner
from edge3d.runtime.torch_runner import TorchRunner

__all__ = [
    "RUNNERS",
    "GraphRunner",
    "Runner",
    "Runtime",
    "TorchRunner",
    "model_bytes",
    "open_runner",
    "read_contract",
]
