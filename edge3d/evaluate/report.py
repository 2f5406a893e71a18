"""A self-contained page about an evaluation: curve, tables, the worst faces."""

from __future__ import annotations

import base64
import io
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.contract import ModelContract
from edge3d.crop import crop_face
from edge3d.errors import MissingExtraError
from edge3d.evaluate.aflw2000 import Aflw2000
from edge3d.evaluate.metrics import BIN_NAMES, Predictions, landmark_nme, yaw_bins
from edge3d.files import atomic_path
from edge3d.image_io import read_image
from edge3d.render import draw_landmarks

WORST = 12
TILE_PX = 240
CURVE_END = 10.0  # %
KNOWN_RGB = (255, 196, 0)
COLOURS = ("#1f6f8b", "#d08c2c", "#a8325e")


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
    try:
        import jinja2
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError("the report page", "evaluate", str(error.name)) from error
    nme = landmark_nme(predictions.landmarks_px, dataset.landmarks_px)
    yaw = dataset.pose_deg[:, 0]
    order = np.argsort(np.where(np.isfinite(nme), nme, -1))[::-1][:WORST]
    template = (resources.files("edge3d.evaluate") / "report.html.j2").read_text(encoding="utf-8")
    page = (
        jinja2.Environment(autoescape=True)
        .from_string(template)
        .render(
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
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _curve(nme: NDArray, yaw_deg: NDArray) -> str:
    """Return the cumulative error distributions as an SVG element."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    bins = yaw_bins(yaw_deg)
    for number, (name, colour) in enumerate(zip(BIN_NAMES, COLOURS, strict=True)):
        values = np.sort(nme[(bins == number) & np.isfinite(nme)])
        if len(values):
            share = 100 * np.arange(1, len(values) + 1) / len(values)
            axes.plot(values, share, color=colour, label=f"|yaw| {name}°, {len(values)} images")
    axes.set(xlim=(0, CURVE_END), ylim=(0, 100), xlabel="NME, %", ylabel="share of images, %")
    axes.grid(color="#dfe4ea")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _tile(dataset: Aflw2000, predictions: Predictions, row: int) -> str:
    """Return a data URI: the face with the known landmarks (dots) and the predicted ones."""
    image = read_image(dataset.folder / dataset.names[row])
    crop = crop_face(image, dataset.boxes_xyxy[row])
    x0, y0 = crop.box_xyxy[:2]
    side = crop.box_xyxy[2] - x0
    # The same square as the crop, at the tile's resolution.
    zoom = TILE_PX / side
    shift = 0.5 * zoom - 0.5
    affine = np.array([[zoom, 0, shift - zoom * x0], [0, zoom, shift - zoom * y0]])
    tile = cv2.warpAffine(image, affine, (TILE_PX, TILE_PX), flags=cv2.INTER_AREA)
    predicted = predictions.landmarks_px[row, :, :2] @ affine[:, :2].T + affine[:, 2]
    known = dataset.landmarks_px[row, :, :2] @ affine[:, :2].T + affine[:, 2]
    picture = draw_landmarks(np.asarray(tile, np.uint8), predicted)
    for x, y in np.round(known * 16).astype(int).tolist():
        cv2.circle(picture, (x, y), 20, KNOWN_RGB, cv2.FILLED, cv2.LINE_AA, shift=4)
    encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
