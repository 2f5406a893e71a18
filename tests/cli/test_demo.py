"""`edge3d demo` end to end: what it promises to write and to measure."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "object"]

for package in ("torch", "litert_torch", "onnx", "onnxruntime"):
    pytest.importorskip(package, reason="the demo exports: pip install 'edge3d[all]'")


def test_demo_shows_the_whole_way(edge3d_command: Command, tmp_path: Path) -> None:
    done = edge3d_command("demo", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert max(len(line) for line in done.stdout.splitlines()[:-1]) <= 80
    assert str(tmp_path / "report.html") in done.stdout
    for name in ("portrait_overlay.jpg", "portrait_face0.glb", "portrait_face0.obj"):
        assert (tmp_path / name).stat().st_size > 10_000
    exported = {p.name for p in (tmp_path / "export").iterdir() if p.suffix != ".bin"}
    assert {"student-050-fp32.tflite", "student-050-fp32.onnx"} <= exported
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/") == 5
    for name in exported:
        assert name in page
    drifts = [float(text) for text in re.findall(r"<td>([0-9.]+) px</td>", page)]
    assert len(drifts) == 3 * len(exported) and max(drifts) < 0.02
