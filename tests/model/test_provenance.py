from __future__ import annotations

import json
from typing import Any

from edge3d.model.provenance import history_after_mean, history_after_run, training_steps


def test_means_of_runs_and_their_starts_tell_each_step_once() -> None:
    """Told as a tree, it would double with each mean."""
    provenance: dict[str, Any] = {"run": 0}
    for number in range(1, 21):
        start = provenance
        run = {"run": number, **history_after_run(start)}
        provenance = history_after_mean([run, start])
    steps = training_steps(provenance)
    assert [step["run"] for step in steps if "run" in step] == list(range(21))
    assert sum("mean_of" in step for step in steps) == 20 and len(steps) == 41
    for place, step in enumerate(steps):
        for earlier in [*step.get("mean_of", []), step.get("started_from", -1)]:
            assert earlier < place
    assert json.loads(json.dumps(provenance)) == provenance


def test_places_are_moved_where_histories_meet() -> None:
    start = {"run": "start"}
    left = {"run": "left", **history_after_run(start)}
    other = {"run": "other"}
    right = {"run": "right", **history_after_run(other)}
    steps = training_steps(history_after_mean([left, right]))
    by_name = {step.get("run"): step for step in steps}
    assert steps[by_name["left"]["started_from"]] == start
    assert steps[by_name["right"]["started_from"]] == other
    assert [steps[place]["run"] for place in steps[-1]["mean_of"]] == ["left", "right"]
