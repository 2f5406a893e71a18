"""`edge3d bench`: size, time and memory of model files, beside two yardsticks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from edge3d.bench import bench as measure
from edge3d.bench.android import bench_android
from edge3d.bench.devices import check_device, devices
from edge3d.bench.plot import read_nme, write_plot
from edge3d.bundled import default_model_path
from edge3d.cli import console
from edge3d.errors import Edge3dError
from edge3d.evaluate.validation import exported_files
from edge3d.io.files import atomic_path


def bench(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Model files or folders; the bundled student if not given."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, android, or list: what there is.")] = "cpu",
    threads: Annotated[str, typer.Option(help="Numbers of threads, by commas.")] = "1",
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each file, of 5 timed calls.")] = 40,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the numbers here.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a picture here (.png).")] = None,
    nme: Annotated[
        list[Path] | None,
        typer.Option(help="JSON of evaluate or validate: the plot is then NME against latency."),
    ] = None,
    android_binary: Annotated[
        Path | None, typer.Option(help="TensorFlow Lite's benchmark binary for arm64.")
    ] = None,
) -> None:
    """Measure size, latency and memory of model files; timings are of interleaved calls."""
    if device == "list":
        console.out.print("\n".join(devices()))
        return
    check_device(device)
    counts = _counts(threads)
    known = read_nme(nme or [])
    paths = [path for given in files or [default_model_path()] for path in exported_files(given)]
    result: dict[str, Any] = {"device": device}
    if device == "android":
        runs = [row for n in counts for row in bench_android(paths, android_binary, n)]
        result["files"] = runs
        for row in runs:
            console.out.print(
                f"{escape(row['file'])}: {row['network_ms']['mean']:.2f} ms, "
                f"{row['threads']} threads"
            )
    else:
        with console.progress_bar("measuring", rounds * len(counts)) as bar:
            result["runs"] = [
                measure(paths, n, rounds, lambda: bar.advance(bar.task_ids[0])) for n in counts
            ]
        for run in result["runs"]:
            _print(run)
        if plot is not None:
            write_plot(plot, result["runs"], known)
    if json_ is not None:
        with atomic_path(json_) as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        console.out.print(f"written: {escape(str(json_))}")


def _counts(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise Edge3dError(f"--threads {text}: write whole numbers of 1 or more, by commas: 1,2")
    return [int(part) for part in parts]


def _print(run: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("file", "MB", "network", "p90", "whole", "RAM", "x 1.0", "x 0.5"):
        table.add_column(heading, justify="left" if heading == "file" else "right")
    for row in run["files"]:
        table.add_row(
            escape(row["file"]),
            f"{row['megabytes']:.2f}",
            f"{row['network_ms']['median']:.2f}",
            f"{row['network_ms']['p90']:.2f}",
            f"{row['whole_ms']['median']:.2f}",
            f"{row['peak_mb']:.0f}",
            *(f"{ratio:.2f}" for ratio in row["ratios"].values()),
        )
    for name, ruler in run["yardsticks"].items():
        times = (f"{ruler['median']:.2f}", f"{ruler['p90']:.2f}")
        table.add_row(name, "", *times, "", "", "", "")
    console.out.print(table, soft_wrap=False)
    for row in run["files"]:
        console.out.print(
            f"{escape(row['file'])}: load {row['load_ms']:.0f}, first {row['first_ms']:.1f}, "
            f"crop {row['crop_ms']['median']:.2f}, decode {row['decode_ms']['median']:.2f}; "
            f"whole {row['whole_over_network']:.2f} x network"
        )
    console.out.print(
        f"{run['threads']} thread{'s' * (run['threads'] > 1)}, median of {run['rounds']} rounds, "
        "ms; whole: frame to mesh, tracking; RAM: peak of a process of its own, MB; x: times the "
        "MobileNetV1 of that width"
    )
