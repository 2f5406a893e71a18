"""Measures how many images a second training takes, with and without loading them.

    python -m benchmarks.training_speed [--model student-050] [--batch 128] [--workers 1]

Rendered faces stand in for any data set: crops and labels are in memory or mapped alike, and the
augmentation is the same. One process, one thread of PyTorch and the given number of loading
processes; three figures, taken in turns, the median of each: `loading` alone, in this process,
`training` on a batch that is there already, and `both`, as a run does it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from edge3d.datasets.augment import AugmentConfig
from edge3d.datasets.synthetic.dataset import load_synthetic, sample_points
from edge3d.face_model import load_face_model
from edge3d.networks.mobilenet import STUDENT_WIDTHS, make_student
from edge3d.networks.point_decoder import PointDecoder
from edge3d.train.initialise import whitening
from edge3d.train.objectives.supervised import supervised_terms
from edge3d.train.sampler import TrainingFaces

Batch = dict[str, Tensor]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="student-050", choices=list(STUDENT_WIDTHS))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8, help="steps in a turn")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    face_model = load_face_model("open")
    with tempfile.TemporaryDirectory() as cache:
        faces = load_synthetic(256, face_model, sample_points(face_model), cache, None)
        draws = arguments.batch * (arguments.steps * arguments.turns + 3)
        dataset = TrainingFaces([faces], draws, AugmentConfig(), 0)
        layout = whitening([faces], face_model)
        network = make_student(arguments.model, layout.size).to(device)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        decoder = PointDecoder(face_model, layout, faces.points).to(device)
        optimizer = torch.optim.AdamW(network.parameters())

        def train(batch: Batch) -> None:
            batch = {name: value.to(device) for name, value in batch.items()}
            images = batch["image"].float().contiguous(memory_format=torch.channels_last)
            whitened = network(images)
            landmarks, dense = decoder(whitened)
            terms = supervised_terms(whitened, landmarks, dense, batch, decoder.std, decoder.mean)
            optimizer.zero_grad()
            torch.stack(list(terms.values())).sum().backward()
            optimizer.step()

        batches = iter(
            DataLoader(
                dataset,
                batch_size=arguments.batch,
                num_workers=arguments.workers,
                prefetch_factor=1 if arguments.workers else None,
            )
        )
        held = next(batches)
        train(held)  # the first call warms up
        calls: dict[str, Callable[[], object]] = {
            "loading": lambda: [dataset[index] for index in range(arguments.batch)],
            "training": lambda: train(held),
            "both": lambda: train(next(batches)),
        }
        figures: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(arguments.turns):
            for name, call in calls.items():
                figures[name].append(_seconds(call, arguments.steps))
    images = arguments.batch * arguments.steps
    result = {
        "model": arguments.model,
        "device": str(device),
        "threads": 1,
        "workers": arguments.workers,
        "cores": os.cpu_count(),
        "images_per_second": {
            name: round(images / statistics.median(seconds), 1) for name, seconds in figures.items()
        },
    }
    print(json.dumps(result, indent=1))


def _seconds(call: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
