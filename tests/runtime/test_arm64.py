"""The emulated process, here with a stand-in for qemu that runs this machine's Python.

`make test-arm64` runs the real one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edge3d.bundled import default_model_path
from edge3d.errors import Edge3dError
from edge3d.runtime import open_runner
from edge3d.runtime.arm64 import Arm64Runner

pytest.importorskip("ai_edge_litert", reason="no LiteRT")


@pytest.fixture
def space(tmp_path: Path) -> Path:
    for folder in ("qemu", "root/usr/bin", "site"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "root/usr/bin/python3").touch()
    qemu = tmp_path / "qemu/qemu-aarch64-static"
    # Its arguments are -L ROOT -E VARIABLE PYTHON -m MODULE FILE.
    qemu.write_text(f'#!/bin/sh\nshift 5\nexec "{sys.executable}" "$@"\n')
    qemu.chmod(0o755)
    return tmp_path


def test_answers(space: Path) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 120, 120, 3), dtype=np.uint8)
    runner = Arm64Runner(default_model_path(), space)
    wanted = open_runner(default_model_path())(crops)
    np.testing.assert_array_equal(runner(crops), wanted)
    np.testing.assert_array_equal(runner(crops[:1]), wanted[:1])
    assert runner(crops[:0]).shape == (0, wanted.shape[1])
    runner.close()


def test_process_that_ends(space: Path) -> None:
    (space / "qemu/qemu-aarch64-static").write_text("#!/bin/sh\necho no such CPU >&2\nexit 1\n")
    runner = Arm64Runner(default_model_path(), space)
    with pytest.raises(Edge3dError, match=r"the emulated process failed: no such CPU"):
        runner(np.zeros((1, 120, 120, 3), np.uint8))
    runner.close()


def test_folder_is_not_complete(tmp_path: Path) -> None:
    with pytest.raises(Edge3dError, match=r"qemu-aarch64-static is not there.*scripts/arm64.sh"):
        Arm64Runner(default_model_path(), tmp_path)
