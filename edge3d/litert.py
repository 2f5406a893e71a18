"""LiteRT's interpreter class, or that of its predecessor tflite-runtime."""

from __future__ import annotations

from typing import Any

from edge3d.errors import MissingExtraError


def interpreter_class(what: str) -> Any:
    """Return LiteRT's interpreter, or tflite-runtime's, its predecessor, in NumPy 1 environments.

    Args:
        what: it is wanted for, for the message.

    Raises:
        MissingExtraError: neither is installed.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tflite_runtime.interpreter import Interpreter
        except ImportError as error:
            raise MissingExtraError(what, "tflite", "ai-edge-litert") from error
    return Interpreter
