"""Python still gives the golden vectors, and TypeScript gives them too.

The vectors are written by `python -m tools.golden_vectors`. The C++ library is held to them in
`test_cpp_golden.py`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from edge3d.bundled import default_checkpoint_path
from edge3d.export.targets.web.app import SOURCE, node_packages
from edge3d.export.targets.web.app_data import write_data
from edge3d.face_model import FaceModel
from edge3d.runtime import read_contract
from tests.required import lacks
from tools.golden_vectors import FOLDER, golden_vectors

# How far a number may be from Python's. Files round to half of the last digit that they have.
TOLERANCES = {
    "square": 0, "to_frame": 1e-9, "shrunk": 0, "enlarged": 1,
    "params": 1e-5, "landmarks": 2e-3, "vertices": 0.05, "angles": 2e-3, "own_box": 5e-3,
    "smoothed": 1e-3, "identity_shape": 0.05,
    "crop_box": 2e-3, "iou": 1e-5, "doubtful": 0, "shape_change": 2e-5,
}  # fmt: skip


def check_differences(found: dict[str, float], without: Collection[str] = ()) -> None:
    """Check what a language's program printed: the largest difference of each kind."""
    assert found.keys() == TOLERANCES.keys() - set(without)
    too_large = {kind: value for kind, value in found.items() if value > TOLERANCES[kind]}
    assert not too_large


def check_same(found: Any, wanted: Any, where: str) -> None:
    """Check two JSON values, whose numbers may differ in the last digits from CPU to CPU."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys(), where
        for name in wanted:
            check_same(found[name], wanted[name], f"{where}.{name}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), where
        for index, value in enumerate(wanted):
            check_same(found[index], value, f"{where}[{index}]")
    else:
        assert found == pytest.approx(wanted, rel=1e-6, abs=2e-3), where


def test_python_gives_what_the_files_say() -> None:
    files = golden_vectors()
    assert {path.name for path in FOLDER.iterdir() if path.suffix in (".json", ".rgb")} == set(
        files
    )
    for name, content in files.items():
        if name.endswith(".rgb"):
            assert (FOLDER / name).read_bytes() == content, name
        else:
            check_same(json.loads(content), json.loads((FOLDER / name).read_text()), name)
    assert sum(map(len, files.values())) < 1_000_000


def test_typescript_gives_what_the_files_say(open_model: FaceModel, tmp_path: Path) -> None:
    if not (shutil.which("npm") and shutil.which("node")):
        lacks("web", "Node.js with npm is missing; install Node.js 18 or newer")
    packages = node_packages()
    contract = read_contract(default_checkpoint_path())
    write_data("no.tflite", contract, open_model, tmp_path)
    program = tmp_path / "golden.mjs"
    command = [packages / ".bin" / "esbuild", FOLDER / "golden.ts", f"--outfile={program}"]
    command += ["--bundle", "--format=esm", "--platform=node", f"--alias:@src={SOURCE / 'src'}"]
    for step in (command, ["node", program, FOLDER, tmp_path]):
        done = subprocess.run([*map(str, step)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    check_differences(json.loads(done.stdout))
