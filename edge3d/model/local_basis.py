"""A basis of which each mode moves some of the vertices only, laid out so that zeros cost little.

Three quarters of the numbers in the open face model's expressions are zero: a blink moves no chin.
Vertices are put into groups that the same modes move, and each group keeps a dense block of its own
modes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUPS = 12  # more of them save less than their overhead costs


class LocalBasis:
    """Combines modes for one face at a time, on one core.

    Args:
        basis: (V, 3, M).
    """

    def __init__(self, basis: NDArray) -> None:
        groups = vertex_groups((basis != 0).any(axis=1))
        self._blocks: list[tuple[NDArray[np.intp], NDArray[np.float32]]] = []
        for vertices in groups:
            part = basis[vertices]
            modes = np.flatnonzero((part != 0).any(axis=(0, 1)))
            block = part[:, :, modes].reshape(3 * len(part), len(modes)).T
            self._blocks.append((modes, np.ascontiguousarray(block, np.float32)))
        self._back = np.argsort(np.concatenate(groups))

    def combined(self, coefficients: NDArray) -> NDArray[np.float32]:
        """Return offsets (V, 3) of coefficients (M,)."""
        coefficients = np.asarray(coefficients, np.float32)
        offsets = np.zeros(3 * len(self._back), np.float32)
        start = 0
        for modes, block in self._blocks:
            stop = start + block.shape[1]
            if len(modes):
                np.einsum("m,mn->n", coefficients[modes], block, out=offsets[start:stop])
            start = stop
        return offsets.reshape(-1, 3).take(self._back, axis=0)


def vertex_groups(moved: NDArray[np.bool_], count: int = GROUPS) -> list[NDArray[np.intp]]:
    """Return groups of vertices, each vertex in one, that need few numbers together.

    Starts with one group and splits, again and again, the group and by the mode that save most: its
    vertices that the mode moves from those that it does not move.

    Args:
        moved: (V, M), whether a mode moves a vertex. count: of groups at most.
    """
    groups = [np.arange(len(moved))]
    splits = [_best_split(moved)]
    while len(groups) < count:
        number = int(np.argmax([saved for saved, _ in splits]))
        saved, mode = splits.pop(number)
        vertices = groups.pop(number)
        if saved <= 0:
            return [*groups, vertices]
        is_moved = moved[vertices, mode]
        for part in (vertices[is_moved], vertices[~is_moved]):
            groups.append(part)
            splits.append(_best_split(moved[part]))
    return groups


def _best_split(moved: NDArray[np.bool_]) -> tuple[int, int]:
    """Return how many numbers a group (N, M) saves by its best split, and the mode to split by."""
    together = moved.T.astype(np.float32) @ moved  # how many vertices two modes move both
    each = together.diagonal()
    with_mode = each * (together > 0).sum(axis=1)
    without = (len(moved) - each) * (each - together > 0).sum(axis=1)
    saved = len(moved) * (each > 0).sum() - with_mode - without
    return int(saved.max()), int(saved.argmax())
