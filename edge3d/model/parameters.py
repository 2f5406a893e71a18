"""What the numbers of a network's output mean: named slices, whitening, the camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge3d.face_model import FaceModel

CAMERA_SIZES = {
    "affine": {"camera": 12},
    "rotation6d": {"rotation": 6, "scale": 1, "translation": 2},
}
CAMERAS = tuple(CAMERA_SIZES)

Values = TypeVar("Values", bound=Any)  # an array or a tensor


@dataclass(frozen=True, eq=False)
class ParameterLayout:
    """The named slices of a parameter vector and its whitening.

    A network gives whitened numbers; `params = whitened * std + mean`.

    Cameras, both scaled orthographic, from model units to crop pixels:
        `affine`: `camera` (12,), a row-major 3 x 4 matrix M, as in 3DDFA and 2DASL, in their
            120 px crop's coordinates (1-based, y up).
        `rotation6d`: `rotation` (6,), the first two rows of the rotation; `scale` (1,), crop
            pixels in a model unit; `translation` (2,), where the model's origin is, in crop
            pixels (0-based, y down).
    Both are followed by `identity` (K,) and `expression` (E,), the face model's coefficients.

    Attributes:
        camera: `affine` or `rotation6d`.
        slices: name to (start, stop), in order, without gaps.
        mean, std: (P,) float32.
    """

    camera: str
    slices: Mapping[str, tuple[int, int]]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @property
    def size(self) -> int:
        """Number of parameters, P."""
        return len(self.mean)

    @property
    def shape(self) -> slice:
        """Where the coefficients of the shape are: identity, then expression."""
        return slice(self.slices["identity"][0], self.slices["expression"][1])

    def part(self, params: Values, name: str) -> Values:
        """Return a named slice (..., n) of parameters (..., P), a view."""
        start, stop = self.slices[name]
        return params[..., start:stop]

    def coefficients(self, params: Values) -> Values:
        """Return identity and expression (..., K + E) of parameters (..., P), a view."""
        return params[..., self.shape]

    def unwhiten(self, whitened: NDArray) -> NDArray[np.float32]:
        """Return parameters (..., P) of a network's output (..., P)."""
        return (np.asarray(whitened, np.float32) * self.std + self.mean).astype(np.float32)

    def whiten(self, params: NDArray) -> NDArray[np.float32]:
        """Return what a network should give (..., P) for parameters (..., P)."""
        return ((np.asarray(params, np.float64) - self.mean) / self.std).astype(np.float32)


def make_layout(
    camera: str, face_model: FaceModel, mean: NDArray | None = None, std: NDArray | None = None
) -> ParameterLayout:
    """Return the layout of a camera and a face model; without whitening if none is given.

    Raises:
        ValueError: an unknown camera, or a whitening of another size.
    """
    slices = _slices(
        camera, identity=face_model.identity_count, expression=face_model.expression_count
    )
    size = slices["expression"][1]
    mean = np.zeros(size) if mean is None else np.asarray(mean)
    std = np.ones(size) if std is None else np.asarray(std)
    if mean.shape != (size,) or std.shape != (size,):
        raise ValueError(f"whitening of {mean.shape} and {std.shape} for {size} parameters")
    return ParameterLayout(
        camera=camera,
        slices=MappingProxyType(slices),
        mean=mean.astype(np.float32),
        std=std.astype(np.float32),
    )


@cache
def camera_layout(camera: str) -> ParameterLayout:
    """Return the layout of a camera alone, for parameters whose face model does not matter.

    Raises:
        ValueError: an unknown camera.
    """
    slices = _slices(camera, identity=0, expression=0)
    size = slices["expression"][1]
    whitening = np.zeros(size, np.float32), np.ones(size, np.float32)
    return ParameterLayout(camera, MappingProxyType(slices), *whitening)


def _slices(camera: str, **counts: int) -> dict[str, tuple[int, int]]:
    """Return (start, stop) of the camera's parts and, behind them, of those with given counts."""
    if camera not in CAMERA_SIZES:
        raise ValueError(f"unknown camera '{camera}'; known: {', '.join(CAMERAS)}")
    slices: dict[str, tuple[int, int]] = {}
    start = 0
    for name, size in (CAMERA_SIZES[camera] | counts).items():
        slices[name] = (start, start + size)
        start += size
    return slices
