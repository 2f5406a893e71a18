"""The rows of `metrics.jsonl`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge3d.io.files import atomic_path


@dataclass(frozen=True)
class Progress:
    """What the loop tells after some steps: means since the last time.

    Attributes:
        step, steps: done and in all. terms: loss terms, `loss` their weighted sum.
        learning_rate. images_per_second: over all processes. seconds_left: at this speed.
    """

    step: int
    steps: int
    terms: dict[str, float]
    learning_rate: float
    images_per_second: float
    seconds_left: float


def append_metrics(path: Path, progress: Progress) -> None:
    """Append a row with the means of the loss terms."""
    row = {
        "step": progress.step,
        **{name: round(value, 5) for name, value in progress.terms.items()},
        "learning_rate": progress.learning_rate,
        "images_per_second": round(progress.images_per_second, 1),
    }
    append_row(path, row)


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Append a row to a file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def truncate_metrics(path: Path, step: int) -> None:
    """Drop the rows that a run wrote after the step (0: none) which it now goes on from."""
    if not path.is_file():
        return
    rows = [line for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    kept = [line for line in rows if json.loads(line)["step"] <= step]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
