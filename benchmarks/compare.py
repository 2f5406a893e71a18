"""Tells whether one student is better than another on AFLW2000-3D, or only luckier with its images.

    python -m benchmarks.compare FILE OTHER --dataset FOLDER

FILE and OTHER are what `edge3d evaluate` takes. Both see the same 1,000 images, so that the
difference of each image counts: of the NME in % (balanced over the yaw bins, against both
annotations) and of the mean pose error in degrees, first minus second, with the interval in which
95 % of 4,000 redraws of the images lie. It says nothing of what another training run would give.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d import FaceReconstructor
from edge3d.evaluate import load_aflw2000
from edge3d.evaluate.predict import predict
from edge3d.metrics import landmark_nme, pose_counts, yaw_bins

REDRAWS = 4000


def differences(values: NDArray, groups: list[NDArray]) -> tuple[float, float, float]:
    """Return the mean over the groups' means of values (N,), and its 2.5 % and 97.5 % quantiles.

    Args:
        values: (N,). groups: rows of each group, redrawn each on its own.
    """
    rng = np.random.default_rng(0)
    total = np.zeros(REDRAWS)
    for rows in groups:
        total += values[rows][rng.integers(0, len(rows), (REDRAWS, len(rows)))].mean(axis=1)
    low, high = np.quantile(total / len(groups), (0.025, 0.975))
    return float(np.mean([values[rows].mean() for rows in groups])), float(low), float(high)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", type=Path, nargs=2, metavar="FILE")
    parser.add_argument("--dataset", type=Path, required=True, help="AFLW2000-3D")
    arguments = parser.parse_args()
    dataset = load_aflw2000(arguments.dataset)
    first, second = (predict(FaceReconstructor(file), dataset) for file in arguments.files)
    bins = yaw_bins(dataset.pose_deg[:, 0])
    groups = [np.flatnonzero(bins == number) for number in range(3)]
    for title, known in (("NME", dataset.landmarks_px), ("re-annotated", dataset.reannotated_px)):
        if known is not None:
            change = landmark_nme(first.landmarks_px, known) - landmark_nme(
                second.landmarks_px, known
            )
            show(title, differences(change, groups))
    used = np.flatnonzero(pose_counts(dataset.pose_deg))
    error, other = (abs(own.pose_deg - dataset.pose_deg).mean(axis=1) for own in (first, second))
    show("pose", differences(error - other, [used]))


def show(title: str, numbers: tuple[float, float, float]) -> None:
    """Print a line."""
    print(f"{title:14s}{numbers[0]:+.3f}  95 % within {numbers[1]:+.3f} and {numbers[2]:+.3f}")


if __name__ == "__main__":
    main()
