"""Errors that edge3d raises for a user's mistake or a broken file.

Every message says what is wrong, where, and what to do.
"""

from __future__ import annotations


class Edge3dError(Exception):
    """Base class: the command line prints its message without a traceback."""


class ContractError(Edge3dError):
    """A model file carries no usable contract, or one that does not fit."""


class FaceModelError(Edge3dError):
    """A face model file is missing, malformed or not the one that is needed."""


class ImageError(Edge3dError):
    """A picture cannot be read, or is not one."""


class VideoError(Edge3dError):
    """A video or a camera cannot be read."""


class DatasetError(Edge3dError):
    """A data set's folder is not laid out as it should be."""


class OutputError(Edge3dError):
    """An output cannot be written where the user asked for it."""


class MissingExtraError(Edge3dError):
    """A feature needs packages of an optional extra that is not installed."""

    def __init__(self, feature: str, extra: str, missing: str) -> None:
        super().__init__(
            f"{feature} needs the package '{missing}', which is not installed; "
            f'install it with: pip install "edge3d[{extra}]"'
        )


class RenderingError(Edge3dError):
    """Faces cannot be rendered on this machine."""


def shortened(reason: object, limit: int = 300) -> str:
    """Return the first line with text of a message, cut to a length."""
    lines = [line.strip() for line in str(reason).splitlines() if line.strip()]
    text = lines[0] if lines else type(reason).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


class TrainingStoppedError(Edge3dError):
    """Training cannot go on; the last checkpoint is whole."""


class RecipeError(Edge3dError):
    """A recipe has unknown keys, wrong types or impossible values."""


class ParityError(Edge3dError):
    """An exported file does not give the faces that PyTorch gives."""
