"""Measures the authors' released 2DASL predictions as `edge3d evaluate` measures a model.

    python -m benchmarks.released_2dasl --data DIR

DIR holds `aflw2000-3d-dev`, `aflw2000-3d-dev-protocol.npz` with `params62_2dasl`, and
`bfm/bfm62.npz`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from edge3d.evaluate import evaluate_predictions, load_aflw2000, predict_params62
from edge3d.face_model.bfm import read_bfm


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    data: Path = parser.parse_args().data
    bfm = read_bfm(data / "bfm" / "bfm62.npz")
    with np.load(data / "aflw2000-3d-dev-protocol.npz") as protocol:
        rows = {str(name): row for row, name in enumerate(protocol["names"])}
        params = protocol["params62_2dasl"]
    dataset = load_aflw2000(data / "aflw2000-3d-dev")
    params = params[[rows[name] for name in dataset.names]]
    result = evaluate_predictions(dataset, predict_params62(dataset, params, bfm))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
