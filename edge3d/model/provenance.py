"""What led to a checkpoint: the runs and the means of weights before it, each told once.

A checkpoint's provenance is that of its own step, a run or a mean, and has the earlier steps in
`history`, oldest first. A step names those that it comes of by their places there: `started_from`
one, `mean_of` several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def training_steps(provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all steps that led to a checkpoint, oldest first; the last is its own."""
    own = {key: value for key, value in provenance.items() if key != "history"}
    return [*provenance.get("history", []), own]


def history_after_run(before: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the provenance of a run says of the checkpoint that it starts from."""
    history, (last,) = _merge([before])
    return {"history": history, "started_from": last}


def history_after_mean(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the provenance of a mean of weights says of the checkpoints that it is of."""
    history, last = _merge(members)
    return {"history": history, "mean_of": last}


def _merge(provenances: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the steps of all, none twice, and where each one's own is."""
    history: list[dict[str, Any]] = []
    last = []
    for provenance in provenances:
        places: list[int] = []  # of its steps
        for step in training_steps(provenance):
            moved = dict(step)
            if "started_from" in step:
                moved["started_from"] = places[step["started_from"]]
            if "mean_of" in step:
                moved["mean_of"] = [places[member] for member in step["mean_of"]]
            if moved not in history:
                history.append(moved)
            places.append(history.index(moved))
        last.append(places[-1])
    return history, last
