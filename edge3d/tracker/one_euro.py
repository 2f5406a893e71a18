"""The One-Euro filter, for vectors and for rotations.

A low-pass filter whose cutoff rises with speed: slow and smooth while the signal rests, fast while
it moves. Source: G. Casiez, N. Roussel, D. Vogel, "1 Euro Filter: A Simple Speed-based Low-pass
Filter for Noisy Input in Interactive Systems", CHI 2012. Steps in time may be of any length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.pose import rotation_vectors, rotations_from_vectors


@dataclass(frozen=True)
class OneEuro:
    """The constants of a filter.

    Attributes:
        min_cutoff_hz: cutoff at rest; lower is smoother.
        beta: what the cutoff gains for each unit of speed (units of the signal in a second);
            higher has less lag.
        speed_cutoff_hz: of the low-pass filter of the speed itself.
    """

    min_cutoff_hz: float
    beta: float
    speed_cutoff_hz: float = 1.0


class VectorFilter:
    """Smooths a vector.

    Args:
        constants: of the filter.
        joint: one speed for the whole vector, its length (a place), or one for each component
            (numbers that have nothing to do with each other).
    """

    def __init__(self, constants: OneEuro, joint: bool) -> None:
        self._constants = constants
        self._joint = joint
        self._value: NDArray[np.float64] | None = None
        self._last: NDArray[np.float64] | None = None
        self._speed: NDArray[np.float64] = np.zeros(1)

    def __call__(
        self, value: NDArray | float, step_s: float, unit: float = 1.0
    ) -> NDArray[np.float64]:
        """Return the smoothed value.

        Args:
            value: scalar or (N,).
            step_s: time since the call before, above 0.
            unit: what speeds are divided by before they meet `beta`.
        """
        given = np.atleast_1d(np.asarray(value, np.float64))
        if self._value is None or self._last is None:
            self._value = self._last = given
            return given
        speed = (given - self._last) / step_s
        self._last = given
        self._speed = self._speed + share(self._constants.speed_cutoff_hz, step_s) * (
            speed - self._speed
        )
        size = np.abs(self._speed)
        if self._joint:
            size = np.array([np.linalg.norm(self._speed)])
        cutoff = self._constants.min_cutoff_hz + self._constants.beta * size / unit
        self._value = self._value + share(cutoff, step_s) * (given - self._value)
        return self._value


class RotationFilter:
    """Smooths a rotation on the manifold of rotations: along the shortest turn; speeds in rad/s."""

    def __init__(self, constants: OneEuro) -> None:
        self._constants = constants
        self._value: NDArray[np.float64] | None = None
        self._last: NDArray[np.float64] | None = None
        self._speed: NDArray[np.float64] = np.zeros(3)

    def __call__(self, rotation: NDArray, step_s: float) -> NDArray[np.float64]:
        """Return the smoothed rotation (3, 3); `step_s` as in `VectorFilter`."""
        given = np.asarray(rotation, np.float64)
        if self._value is None or self._last is None:
            self._value = self._last = given
            return given
        speed = turn_between(self._last, given) / step_s
        self._last = given
        self._speed = self._speed + share(self._constants.speed_cutoff_hz, step_s) * (
            speed - self._speed
        )
        cutoff = self._constants.min_cutoff_hz + self._constants.beta * float(
            np.linalg.norm(self._speed)
        )
        turn = share(cutoff, step_s) * turn_between(self._value, given)
        self._value = rotations_from_vectors(turn) @ self._value
        return self._value


def share(cutoff_hz: Any, step_s: float) -> Any:
    """Return how much of the new value a first-order low-pass takes in one step, 0..1.

    Formula: alpha = 1 / (1 + tau / T) with tau = 1 / (2 pi cutoff), section 3 of the paper.
    """
    turns = 2.0 * np.pi * cutoff_hz * step_s
    return turns / (turns + 1.0)


def turn_between(start: NDArray, end: NDArray) -> NDArray[np.float64]:
    """Return the rotation vector (3,), radians, that turns `start` (3, 3) into `end`."""
    return rotation_vectors(end @ start.T)
