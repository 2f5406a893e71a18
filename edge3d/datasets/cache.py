"""Cached labels and crops: their keys and files.

A key is made of everything that decides what a file holds. Raise the data set's version when the
same faces would come out differently.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge3d.datasets.faces import ConvertedLabels
from edge3d.io.files import atomic_path

KEY_DIGITS = 16


def cache_key(text: str, *content: ArrayLike | bytes) -> str:
    """Return 16 hexadecimal digits that tell cached files apart.

    Args:
        text: versions, counts and hashes. content: arrays or bytes, hashed after the text.
    """
    digest = hashlib.sha256(text.encode())
    for part in content:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:KEY_DIGITS]


def save_labels(path: Path, labels: ConvertedLabels, **others: ArrayLike) -> None:
    """Write labels, and further arrays by name, to a .npz file.

    Raises:
        OutputError: the file cannot be written.
    """
    arrays: dict[str, Any] = {
        "params": labels.params,
        "landmarks": labels.landmarks,
        "dense": labels.dense,
        **others,
    }
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)


def load_labels(
    path: Path, camera: str = "rotation6d"
) -> tuple[ConvertedLabels, dict[str, NDArray]]:
    """Return the labels of a .npz file, and what else is in it.

    Args:
        path: of the file. camera: of the parameters' layout.
    """
    with np.load(path, allow_pickle=False) as file:
        content = {name: file[name] for name in file.files}
    params, landmarks, dense = (content.pop(name) for name in ("params", "landmarks", "dense"))
    return ConvertedLabels(params, landmarks, dense, camera), content
