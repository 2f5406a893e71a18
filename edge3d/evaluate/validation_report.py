"""The page of `edge3d validate`: drift histograms, NME per bin, the worst faces side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import MissingExtraError
from edge3d.evaluate.validation import Faces, Validation
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.metrics import BIN_NAMES
from edge3d.viz.html_report import COLOURS, landmark_tile, svg, tidy, write_page

WORST = 4  # faces of each file


def write_validation(
    path: str | Path, result: dict[str, Any], faces: Faces, right_px: NDArray,
    validations: Sequence[Validation],
) -> None:  # fmt: skip
    """Write the HTML page.

    Args:
        path: the .html file.
        result: as `edge3d validate` writes it to JSON.
        faces: that were compared. right_px: (N, 68, 3) PyTorch's landmarks, crop pixels.
        validations: of the files.

    Raises:
        MissingExtraError: matplotlib or jinja2 is not installed.
        OutputError: the page cannot be written.
    """
    write_page(
        path,
        "validation.html.j2",
        result=result,
        bin_names=BIN_NAMES,
        histograms=_histograms(validations),
        bars=_bars(validations) if faces.dataset is not None else None,
        worst=[
            {"file": v.path.name, "faces": _worst(v, faces.crops, right_px)} for v in validations
        ],
    )


def _worst(validation: Validation, crops: NDArray, right_px: NDArray) -> list[dict[str, Any]]:
    box, none = np.array([0, 0, CROP_SIZE_PX, CROP_SIZE_PX]), np.full((68, 2), np.nan)
    farthest = validation.drift_px.max(axis=1)
    return [
        {
            "row": int(row),
            "drift_px": float(farthest[row]),
            "right": landmark_tile(crops[row], box, right_px[row], none),
            "found": landmark_tile(crops[row], box, validation.landmarks_px[row], none),
        }
        for row in np.argsort(-farthest)[:WORST]
    ]


def _figure(rows: int, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("the report page", "evaluate", str(error.name)) from error
    figure = Figure(figsize=(7.2, height), layout="constrained")
    return figure, figure.subplots(rows, 1, squeeze=False)[:, 0]


def _histograms(validations: Sequence[Validation]) -> str:
    figure, all_axes = _figure(len(validations), 1.7 * len(validations))
    for axes, validation in zip(all_axes, validations, strict=True):
        drift = np.maximum(validation.drift_px.ravel(), 1e-7)
        low, high = np.log10(drift.min()), np.log10(drift.max())
        axes.hist(drift, bins=np.logspace(low - 0.1, high + 0.1, 60), color=COLOURS[0])
        axes.set(xscale="log", title=validation.path.name, xlabel="drift, crop pixels")
        tidy(axes)
    return svg(figure)


def _bars(validations: Sequence[Validation]) -> str:
    figure, (axes,) = _figure(1, 3.2)
    width = 0.8 / len(validations)
    for number, validation in enumerate(validations):
        values = [np.nan if v is None else v for v in validation.figures["nme"]["bins"]]
        places = np.arange(len(values)) + (number - 0.5 * (len(validations) - 1)) * width
        colour, hatch = COLOURS[number % len(COLOURS)], "/" * (number // len(COLOURS) % 4) * 2
        axes.bar(
            places, values, width, label=validation.path.name, color=colour, hatch=hatch,
            edgecolor="white", linewidth=0.3,
        )  # fmt: skip
    axes.set(xlabel="|yaw|, degrees", ylabel="NME, %")
    axes.set_xticks(range(len(BIN_NAMES)), BIN_NAMES)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    tidy(axes)
    return svg(figure)
