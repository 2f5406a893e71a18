"""The C++ library gives the golden vectors, under sanitizers and without any runtime."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge3d.bundled import default_checkpoint_path
from edge3d.export.targets.cpp.project import write_project
from edge3d.face_model import FaceModel
from edge3d.runtime import read_contract
from tests.golden.test_golden import FOLDER, check_differences
from tests.required import lacks

# What C++ does not return by itself.
NOT_SHOWN = {"square", "to_frame", "identity_shape"}


def write_cases(path: Path, cases: list[dict[str, Any]]) -> None:
    """Write cases as lines of `name count numbers`, which C++ reads without a JSON library."""
    with open(path, "w") as file:
        for case in cases:
            file.write("case\n")
            for name, values in case.items():
                numbers = np.ravel(values).tolist()
                file.write(f"{name} {len(numbers)} {' '.join(repr(float(n)) for n in numbers)}\n")


def write_vectors(folder: Path) -> None:
    golden = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
    for case in golden["decode"]["cases"]:
        case["vertex_step"] = golden["decode"]["vertex_step"]
    for case, ious in zip(golden["boxes"]["cases"], golden["boxes"]["ious"], strict=True):
        case["ious"] = ious
    smoothing = golden["smoothing"]
    rows = zip(smoothing["times_s"], smoothing["params"], smoothing["smoothed"], strict=True)
    smoothing["cases"] = [
        {
            "time_s": time_s, "params": params, "smoothed": smoothed,
            "to_frame": smoothing["to_frame"], "identity_frames": smoothing["identity_frames"],
        }
        for time_s, params, smoothed in rows
    ]  # fmt: skip
    for name, content in golden.items():
        write_cases(folder / f"{name}.txt", content["cases"])


@pytest.fixture(scope="module")
def sources(open_model: FaceModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C++ project without a model."""
    folder = tmp_path_factory.mktemp("cpp")
    write_project([], read_contract(default_checkpoint_path()), open_model, folder)
    return folder


def test_cpp_gives_what_the_files_say(sources: Path, tmp_path: Path) -> None:
    compiler = shutil.which("c++")
    if compiler is None:
        lacks("cpp", "a C++ compiler is missing; install the system's package g++")
    program = tmp_path / "golden"
    files = [sources / "src" / f"{n}.cpp" for n in ("crop", "decode", "following", "smoothing")]
    command = [compiler, "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror"]
    command += ["-fsanitize=address,undefined", "-fno-sanitize-recover"]
    command += ["-I", sources / "src", FOLDER / "golden.cpp"]
    write_vectors(tmp_path)
    for step in (
        [*command, *files, "-o", program],
        [program, tmp_path, sources / "face_model.bin", FOLDER],
    ):
        done = subprocess.run([*map(str, step)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    check_differences(json.loads(done.stdout), without=NOT_SHOWN)


def test_the_face_model_is_in_half_precision(sources: Path) -> None:
    assert (sources / "face_model.bin").stat().st_size < 14e6
