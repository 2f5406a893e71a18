"""Writes the table of docs/results/speed.md from what was measured.

    edge3d export --precision all --out DIR
    edge3d validate DIR --dataset aflw2000-3d:FOLDER --json VALIDATION.json
    edge3d bench DIR --threads 1 --json BENCH.json
    python -m tools.export_table VALIDATION.json BENCH.json --out docs/results/speed.md

The table stands between two marks in the file; the rest of the file stays.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from edge3d.io.files import atomic_path

START, STOP = "<!-- table -->", "<!-- end of table -->"
YARDSTICK = "MobileNetV1 0.5"


def table(validation: dict[str, Any], bench: dict[str, Any]) -> str:
    """Return the table as Markdown.

    Args:
        validation: as `edge3d validate` writes it. bench: the first of the runs of `edge3d bench`.
    """
    timed = {row["file"]: row for row in bench["files"]}
    lines = [
        "| file | MB | latency | end to end | NME, % | change "
        "| parity error, px: mean | 99 % | max |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in validation["files"]:
        own = timed[row["file"]]
        change = round(row["nme_change"]["balanced"], 3) + 0.0  # no minus zero
        lines.append(
            f"| {row['file']} | {row['megabytes']:.2f} | {own['ratios'][YARDSTICK]:.2f} "
            f"| {own['whole_over_network']:.2f} | {row['nme']['balanced']:.3f} "
            f"| {change:+.3f} | {row['landmark_px_mean']:.3f} "
            f"| {row['landmark_px_p99']:.3f} | {row['landmark_px_max']:.2f} |"
        )
    ruler = bench["yardsticks"][YARDSTICK]["median"]
    lines += [
        "",
        f"{validation['n']:,} images of AFLW2000-3D in the protocol's boxes. Latency: median of "
        f"{bench['rounds']} interleaved rounds with {bench['threads']} thread, as a ratio to "
        f"MobileNetV1 0.5 in ONNX Runtime float32 ({ruler:.2f} ms here). End to end: crop, network "
        "and dense decode with the identity held, as a ratio to the network alone. Parity error: "
        "distance in 3D of the landmarks from PyTorch's, in pixels of the 120 px crop.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("validation", type=Path)
    parser.add_argument("bench", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    validation, bench = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in (arguments.validation, arguments.bench)
    ]
    text = arguments.out.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(STOP)
    with atomic_path(arguments.out) as temporary:
        content = f"{before}{START}\n{table(validation, bench['runs'][0])}\n{STOP}{after}"
        temporary.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
