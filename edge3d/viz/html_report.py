"""What the report pages share: the template, pictures and plots inside of one HTML file."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.errors import MissingExtraError
from edge3d.io.files import atomic_path
from edge3d.viz.drawing import draw_landmarks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


TILE_PX = 240
KNOWN_RGB = (255, 196, 0)
COLOURS = ("#1f6f8b", "#d08c2c", "#a8325e", "#5b7f3a", "#5d6876")


def write_page(path: str | Path, template: str, **values: Any) -> None:
    """Write a page from a template of `edge3d/templates`.

    Raises:
        MissingExtraError: jinja2 is not installed.
        OutputError: the page cannot be written.
    """
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise MissingExtraError("a report page", "cli", str(error.name)) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edge3d.viz", "templates"), autoescape=True
    )
    page = environment.get_template(template).render(**values)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def svg(figure: Figure) -> str:
    """Return a plot as an SVG element."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def tidy(axes: Axes) -> None:
    """Give axes the pages' look."""
    axes.tick_params(labelsize=8)
    axes.grid(color="#dfe4ea")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def image_uri(picture_rgb: NDArray[np.uint8]) -> str:
    """Return a picture (H, W, 3) uint8 RGB as a data URI."""
    encoded = cv2.imencode(".jpg", picture_rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def landmark_tile(
    image_rgb: NDArray[np.uint8], box_xyxy: NDArray, predicted_px: NDArray, known_px: NDArray
) -> str:
    """Return a data URI of a face with known (yellow) and predicted landmarks.

    Args:
        image_rgb: (H, W, 3) uint8. box_xyxy: (4,) the square that is shown, half-open.
        predicted_px: (68, 2 or 3), known_px: (68, 2 or 3), in the picture's pixels; NaN where
            they are not known.
    """
    low = np.asarray(box_xyxy, np.float64)[:2]
    zoom = TILE_PX / (float(box_xyxy[2]) - low[0])
    shift = 0.5 * zoom - 0.5 - zoom * low
    affine = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    tile = np.asarray(cv2.warpAffine(image_rgb, affine, (TILE_PX, TILE_PX), flags=how), np.uint8)
    picture = draw_landmarks(tile, predicted_px[:, :2] * zoom + shift)
    known = known_px[np.isfinite(known_px[:, :2]).all(axis=1), :2] * zoom + shift
    for x, y in np.round(known * 16).astype(int).tolist():
        cv2.circle(picture, (x, y), 20, KNOWN_RGB, cv2.FILLED, cv2.LINE_AA, shift=4)
    return image_uri(picture)
