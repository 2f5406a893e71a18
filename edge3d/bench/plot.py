"""The plot of `edge3d bench`: NME, or size, against latency."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge3d.errors import Edge3dError, MissingExtraError
from edge3d.io.files import atomic_path
from edge3d.viz.html_report import COLOURS, tidy

MARKERS = "osD^"  # with the colours, so that twenty files can be told apart


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

    Where several numbers of threads were measured, each point says its own.

    Raises:
        Edge3dError: NMEs are given, but none of a measured file.
        MissingExtraError: matplotlib is not installed.
        OutputError: it cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("the plot", "evaluate", str(error.name)) from error
    files = list(dict.fromkeys(row["file"] for run in runs for row in run["files"]))
    files = [name for name in files if not nme or name in nme]
    if not files:
        raise Edge3dError(f"--nme: of {', '.join(nme)}, none is among the measured files")
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(files):
        points = [
            (row["network_ms"]["median"], nme[name] if nme else row["megabytes"], run["threads"])
            for run in runs
            for row in run["files"]
            if row["file"] == name
        ]
        x, y, threads = zip(*points, strict=True)
        marker = MARKERS[number // len(COLOURS) % len(MARKERS)]
        axes.plot(x, y, marker, color=COLOURS[number % len(COLOURS)], label=name, alpha=0.8)
        for place in zip(x, y, threads, strict=True) if len(runs) > 1 else ():
            axes.annotate(
                f"{place[2]}", place[:2], xytext=(5, 4), textcoords="offset points", fontsize=8
            )
    threads_told = "" if len(runs) > 1 else f", {runs[0]['threads']} thread"
    axes.set(xlabel=f"network, ms{threads_told}", ylabel="balanced NME, %" if nme else "size, MB")
    axes.set_xlim(left=0)
    axes.margins(y=0.15)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    tidy(axes)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
