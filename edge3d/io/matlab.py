"""Reading MATLAB's .mat files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge3d.errors import DatasetError, MissingExtraError


def read_mat(path: str | Path, data_set: str, extra: str) -> dict[str, Any]:
    """Return the variables of a .mat file by name.

    Args:
        path: the file.
        data_set: that it belongs to, for the message. extra: of edge3d, that brings scipy.

    Raises:
        DatasetError: the file cannot be read.
        MissingExtraError: scipy is not installed.
    """
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"reading {data_set}", extra, str(error.name)) from error
    try:
        return dict(loadmat(path))
    except (MatReadError, ValueError, OSError, NotImplementedError, TypeError) as error:
        raise DatasetError(
            f"{path} is not a readable .mat file ({error}); copy it again"
        ) from error
