"""Data sets that `edge3d evaluate` knows."""

from __future__ import annotations

from edge3d.errors import DatasetError
from edge3d.evaluate import (
    Aflw2000,
    load_aflw2000,
)

DATASETS = {"aflw2000-3d": load_aflw2000}


def open_dataset(text: str) -> Aflw2000:
    """Open a data set given as `NAME:DIR`.

    Raises:
        DatasetError: not of that form, an unknown name, or not such a folder.
    """
    name, colon, folder = text.partition(":")
    if not colon or not folder or name not in DATASETS:
        raise DatasetError(
            f"--dataset {text}: write it as NAME:DIR; known names: {', '.join(DATASETS)}"
        )
    return DATASETS[name](folder)
