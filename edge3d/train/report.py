"""The page at the end of a run: curves, held-out accuracy per yaw bin, worst faces, parameters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from edge3d.datasets.faces import FaceCrops
from edge3d.face_model import FaceModel
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.metrics import BIN_NAMES
from edge3d.networks.checkpoint import load_checkpoint
from edge3d.networks.point_decoder import PointDecoder
from edge3d.train.held_out import Validation, validate_held_out
from edge3d.viz.html_report import COLOURS, landmark_tile, svg, tidy, write_page

WORST = 12


def write_report(
    checkpoint: Path, parts: Sequence[FaceCrops], held_out: float, face_model: FaceModel
) -> None:
    """Write `report.html` about the run in a checkpoint's folder.

    Args:
        checkpoint: of the run; `metrics.jsonl` lies beside it.
        parts: the faces it was trained on. held_out: share of them that it was not.
        face_model: that the labels belong to.

    Raises:
        ContractError: the run has no whole checkpoint.
        OutputError: the page cannot be written.
    """
    network, contract = load_checkpoint(checkpoint)
    decoder = PointDecoder(face_model, contract.layout, parts[0].points)
    validation = validate_held_out(network, decoder, parts, held_out)
    rows = [
        json.loads(line)
        for line in checkpoint.with_name("metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    write_page(
        checkpoint.with_name("report.html"),
        "training.html.j2",
        contract=contract,
        bin_names=BIN_NAMES,
        summary=validation.summary(),
        faces=len(validation.names),
        curves=_curves(rows),
        histograms=_histograms(validation, decoder, face_model),
        worst=_worst(validation),
    )


def _curves(rows: list[dict[str, Any]]) -> str:
    """Return the terms, the learning rate and the held-out NME over the steps, as SVG."""
    figure = Figure(figsize=(9.6, 3.2), layout="constrained")
    terms_at, rate_at, held_at = figure.subplots(1, 3)
    trained = [row for row in rows if "loss" in row]
    held = [row for row in rows if "held_out" in row]
    steps = [row["step"] for row in trained]
    names = [name for name in trained[-1] if name not in ("step", "images_per_second")]
    for name, colour in zip((n for n in names if n != "learning_rate"), COLOURS, strict=False):
        terms_at.plot(steps, [row[name] for row in trained], color=colour, label=name, lw=1)
    terms_at.set_yscale("log")
    terms_at.legend(frameon=False, fontsize=8)
    rate_at.plot(steps, [row["learning_rate"] for row in trained], color=COLOURS[0])
    for number, name in enumerate(BIN_NAMES):
        values = [row["held_out"]["bins"][number] for row in held]
        held_at.plot(
            [row["step"] for row in held],
            [np.nan if value is None else value for value in values],
            color=COLOURS[number],
            marker="." if len(held) < 10 else None,
            label=f"{name}°",
        )
    held_at.legend(frameon=False, fontsize=8)
    for axes, title in (
        (terms_at, "loss terms"),
        (rate_at, "learning rate"),
        (held_at, "held-out NME, %"),
    ):
        axes.set_title(title, fontsize=10)
        tidy(axes)
    return svg(figure)


def _histograms(validation: Validation, decoder: PointDecoder, face_model: FaceModel) -> str:
    """Return histograms of predicted parameters on the held-out faces, as SVG."""
    params = validation.whitened * decoder.std.numpy() + decoder.mean.numpy()
    expression = decoder.layout.part(params, "expression")
    if face_model.expression_bounds is not None:
        expression = np.clip(expression, *face_model.expression_bounds)
    identity = decoder.layout.part(params, "identity")
    figure = Figure(figsize=(9.6, 2.8), layout="constrained")
    for axes, values, title in zip(
        figure.subplots(1, 3),
        (validation.yaw_deg, identity[:, :10], expression),
        ("known yaw, degrees", "first ten identity modes", "expressions"),
        strict=True,
    ):
        axes.hist(np.ravel(values), bins=40, color=COLOURS[0])
        axes.set_title(title, fontsize=10)
        tidy(axes)
    return svg(figure)


def _worst(validation: Validation) -> list[dict[str, Any]]:
    """Return name, NME, yaw and picture of the faces that are farthest off."""
    nme = validation.nme
    order = [row for row in np.argsort(-np.nan_to_num(nme)) if np.isfinite(nme[row])]
    return [
        {
            "name": validation.names[row],
            "nme": nme[row],
            "yaw": validation.yaw_deg[row],
            "picture": landmark_tile(
                validation.crops[row],
                np.array([0, 0, CROP_SIZE_PX, CROP_SIZE_PX]),
                validation.predicted_px[row],
                validation.known_px[row],
            ),
        }
        for row in order[:WORST]
    ]
