"""A self-contained page about an evaluation: curve, tables, the worst faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import MissingExtraError
from edge3d.evaluate.accuracy import Predictions
from edge3d.evaluate.aflw2000 import Aflw2000
from edge3d.geometry.boxes import square_box
from edge3d.io.image import read_image
from edge3d.metrics import BIN_NAMES, landmark_nme, yaw_bins
from edge3d.model.contract import ModelContract
from edge3d.viz.html_report import COLOURS, landmark_tile, svg, tidy, write_page

WORST = 12
CURVE_END = 10.0  # %


def write_report(
    path: str | Path,
    contract: ModelContract,
    dataset: Aflw2000,
    predictions: Predictions,
    result: dict[str, Any],
) -> None:
    """Write the HTML page of one model's evaluation.

    Args:
        path: the .html file.
        contract: of the model.
        dataset: what was evaluated. predictions: in the protocol's boxes.
        result: as `edge3d evaluate` writes it to JSON.

    Raises:
        MissingExtraError: matplotlib or jinja2 is not installed.
        OutputError: the page cannot be written.
    """
    nme = landmark_nme(predictions.landmarks_px, dataset.landmarks_px)
    yaw = dataset.pose_deg[:, 0]
    order = np.argsort(-np.where(np.isfinite(nme), nme, -1))[:WORST]
    write_page(
        path,
        "evaluation.html.j2",
        contract=contract,
        result=result,
        bin_names=BIN_NAMES,
        curve=_curve(nme, yaw),
        worst=[
            {
                "name": dataset.names[row],
                "nme": nme[row],
                "yaw": yaw[row],
                "picture": _tile(dataset, predictions, row),
            }
            for row in order
        ],
    )


def _curve(nme: NDArray, yaw_deg: NDArray) -> str:
    """Return the cumulative error distributions as an SVG element."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("the report page", "evaluate", str(error.name)) from error
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    bins = yaw_bins(yaw_deg)
    for number, name in enumerate(BIN_NAMES):
        values = np.sort(nme[(bins == number) & np.isfinite(nme)])
        if len(values):
            share = 100 * np.arange(1, len(values) + 1) / len(values)
            label = f"|yaw| {name}°, {len(values)} images"
            axes.plot(values, share, color=COLOURS[number], label=label)
    axes.set(xlim=(0, CURVE_END), ylim=(0, 100), xlabel="NME, %", ylabel="share of images, %")
    axes.legend(frameon=False, loc="lower right")
    tidy(axes)
    return svg(figure)


def _tile(dataset: Aflw2000, predictions: Predictions, row: int) -> str:
    image = read_image(dataset.folder / dataset.names[row])
    box = square_box(dataset.boxes_xyxy[row], image.shape[:2])
    return landmark_tile(image, box, predictions.landmarks_px[row], dataset.landmarks_px[row])
