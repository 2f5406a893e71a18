"""The plot of `edge3d bench`: NME, or size, against latency."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge3d.errors import Edge3dError, MissingExtraError
from edge3d.files import atomic_path
from edge3d.pages import COLOURS, tidy


def read_nme(paths: Sequence[Path]) -> dict[str, float]:
    """Return the balanced NME in % by file name, of JSON that evaluate or validate wrote.

    Raises:
        Edge3dError: a file is not such JSON, or holds no balanced NME.
    """
    found: dict[str, float] = {}
    for path in paths:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            rows = content.get("files", [content])
            for row in rows:
                found[row["file"] if "file" in row else row["model"]] = float(
                    row["nme"]["balanced"]
                )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Edge3dError(
                f"--nme {path}: holds no balanced NME; write it with "
                "`edge3d evaluate --json` or `edge3d validate --dataset ... --json`"
            ) from error
    return found


def write_plot(path: Path, runs: Sequence[dict[str, Any]], nme: Mapping[str, float]) -> None:
    """Write a .png: each file's latency against its NME; without NMEs, against its size.

    Raises:
        Edge3dError: NMEs are given, but none of a measured file.
        MissingExtraError: matplotlib is not installed.
        OutputError: it cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("the plot", "evaluate", str(error.name)) from error
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    drawn = 0
    for run, colour in zip(runs, COLOURS * len(runs), strict=False):
        rows = [row for row in run["files"] if not nme or row["file"] in nme]
        drawn += len(rows)
        x = [row["network_ms"]["median"] for row in rows]
        y = [nme[row["file"]] if nme else row["megabytes"] for row in rows]
        label = f"{run['threads']} thread{'s' * (run['threads'] > 1)}"
        axes.scatter(x, y, color=colour, label=label)
        for row, place in zip(rows, zip(x, y, strict=True), strict=True):
            axes.annotate(row["file"], place, xytext=(5, 4), textcoords="offset points", fontsize=8)
    if not drawn:
        raise Edge3dError(f"--nme: of {', '.join(nme)}, none is among the measured files")
    axes.set(xlabel="network, ms", ylabel="balanced NME, %" if nme else "size, MB")
    axes.margins(x=0.25, y=0.15)
    axes.legend(frameon=False)
    tidy(axes)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
