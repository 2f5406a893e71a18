"""Measures how well the labels of `edge3d label` repeat.

    python -m benchmarks.label_repeatability SHARDS [SHARDS ...] [--json OUT]

SHARDS is a folder of labelled photographs (for FairFace, OUT/wide or OUT/train). Two tables:

- per bin of the mesh's own |yaw|: photographs, the share that is kept, and the medians over the
  kept ones of presence, spread and left-right difference in % of the face's size;
- for each blendshape of the kept photographs: the correlation of the mean over every second pair
  of views with the mean over the other pairs; noise, the root mean square of their difference
  over the standard deviation of the scores; the correlation of plain with mirrored views; and the
  95 % quantile.

Repeatability bounds accuracy from above: views share the network's errors.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.labels.face_landmarker import BLENDSHAPES
from edge3d.datasets.labels.face_square import face_size
from edge3d.datasets.labels.mesh_codes import encode_meshes
from edge3d.datasets.labels.mesh_labels import LEAST_PRESENCE, MOST_SPREAD
from edge3d.datasets.labels.photo_labels import read_shards
from edge3d.errors import DatasetError, Edge3dError
from edge3d.io.files import atomic_path

YAW_BINS_DEG = (0, 15, 30, 45, 60, 90)
HALVES_YAW_DEG = 45.0  # blendshapes of faces that are turned further are not compared


def correlation(first: NDArray, second: NDArray) -> float | None:
    """Return the correlation of two (N,), or None where one of them is constant."""
    if min(first.std(), second.std()) < 1e-6:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def split_correlation(scores: NDArray) -> tuple[float | None, float | None]:
    """Return correlation and noise of scores (N, L) between even and odd pairs of views.

    Noise: root mean square difference of the two halves' means, over the standard deviation of
    the mean of all views.
    """
    pair = np.arange(scores.shape[1]) // 2
    even, odd = scores[:, pair % 2 == 0].mean(axis=1), scores[:, pair % 2 == 1].mean(axis=1)
    deviation = float(scores.mean(axis=1).std())
    noise = float(np.sqrt(np.mean((even - odd) ** 2)))
    return correlation(even, odd), noise / deviation if deviation > 1e-6 else None


def measure(folders: list[Path]) -> dict[str, Any]:
    """Return both tables.

    Raises:
        DatasetError: not labelled photographs, or with fewer than two pairs of views.
    """
    shards = [s for folder in folders for s in read_shards(folder) if len(s["names"])]
    if not shards or any(shard["presence"].shape[1] < 4 for shard in shards):
        raise DatasetError("no labelled photographs, or fewer than two pairs of views")
    presence, spread, difference, size = (
        np.concatenate([values(shard) for shard in shards])
        for values in (
            lambda s: s["presence"].astype(float).mean(axis=1),
            lambda s: np.median(s["spread"].astype(float), axis=1),
            lambda s: np.median(
                np.linalg.norm(s["asymmetry_px"][..., :2].astype(float), axis=-1), axis=1
            ),
            lambda s: face_size(s["points_px"].astype(float)),
        )
    )
    points = np.concatenate([shard["points_px"] for shard in shards])
    yaw_deg = np.abs(encode_meshes(points, 1).head_angles_deg()[:, 0])
    kept = (presence >= LEAST_PRESENCE) & (spread <= MOST_SPREAD)
    near = kept & (yaw_deg < HALVES_YAW_DEG)
    return {
        "bins": [
            {
                "yaw_deg": [low, high],
                "photographs": int(rows.sum()),
                "kept": float(kept[rows].mean()) if rows.any() else 0.0,
                "presence": _median(presence[rows & kept]),
                "spread_percent": _median(100 * spread[rows & kept]),
                "left_right_percent": _median(100 * (difference / size)[rows & kept]),
            }
            for low, high in pairwise(YAW_BINS_DEG)
            for rows in [(yaw_deg >= low) & (yaw_deg < high)]
        ],
        "blendshapes": [
            _repeatability(name, _by_views([s["blendshapes"][..., column] for s in shards], near))
            for column, name in enumerate(BLENDSHAPES)
            if name != "_neutral"
        ],
    }


def _repeatability(name: str, groups: list[NDArray]) -> dict[str, Any]:
    """Return a blendshape's figures for groups (N, L) of photographs with the same views."""
    found = [split_correlation(group) for group in groups]
    return {
        "name": name,
        "views": [group.shape[1] for group in groups],
        "correlation": [value for value, _ in found],
        "noise": [noise for _, noise in found],
        "left_right": [
            correlation(group[:, ::2].mean(axis=1), group[:, 1::2].mean(axis=1)) for group in groups
        ],
        "quantile_95": [float(np.quantile(group.mean(axis=1), 0.95)) for group in groups],
    }


def _median(values: NDArray) -> float | None:
    return float(np.median(values)) if len(values) else None


def _by_views(parts: list[NDArray], keep: NDArray) -> list[NDArray]:
    """Join parts (n, L) with the same L, without rows that are not kept."""
    joined: dict[int, list[NDArray]] = {}
    start = 0
    for part in parts:
        rows = keep[start : start + len(part)]
        joined.setdefault(part.shape[1], []).append(part[rows].astype(float))
        start += len(part)
    return [np.concatenate(group) for _, group in sorted(joined.items())]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("shards", type=Path, nargs="+", metavar="SHARDS")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    try:
        result = measure(arguments.shards)
    except Edge3dError as error:
        parser.error(str(error))
    print("|yaw|     photographs   kept  presence  spread %  left-right %")
    for row in result["bins"]:
        low, high = row["yaw_deg"]
        print(
            f"{low:2d}-{high:2d} {row['photographs']:14d} {row['kept']:7.3f}"
            f"{_shown(row['presence']):>10s}{_shown(row['spread_percent']):>10s}"
            f"{_shown(row['left_right_percent']):>14s}"
        )
    views = result["blendshapes"][0]["views"]
    print(f"\nbelow {HALVES_YAW_DEG:g} degrees, {views} views: correlation of halves, noise,")
    print("correlation of plain and mirrored views, 95 % quantile")
    for row in result["blendshapes"]:
        figures = zip(*(row[k] for k in ("correlation", "noise", "left_right", "quantile_95")),
                      strict=True)  # fmt: skip
        text = "   ".join(
            " ".join(f"{_shown(value, 3):>6s}" for value in group) for group in figures
        )
        print(f"{row['name']:20s} {text}")
    if arguments.json is not None:
        with atomic_path(arguments.json) as temporary:
            temporary.write_text(json.dumps(result, indent=1), encoding="utf-8")


def _shown(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
