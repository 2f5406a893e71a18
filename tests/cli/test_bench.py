"""`edge3d bench` end to end, and what it says where something is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge3d.bench.android import mean_ms
from edge3d.bench.latency import IN_A_ROW, interleaved_ms
from edge3d.errors import Edge3dError
from tests.cli.test_cli import failing
from tests.cli.test_validate import onnx_file  # noqa: F401
from tests.export.conftest import checkpoint  # noqa: F401

Command = Callable[..., "object"]


def test_numbers_and_plot(edge3d_command: Command, onnx_file: Path, tmp_path: Path) -> None:  # noqa: F811
    out, plot, nme = tmp_path / "bench.json", tmp_path / "bench.png", tmp_path / "nme.json"
    nme.write_text(json.dumps({"model": onnx_file.name, "nme": {"balanced": 4.0}}))
    done = edge3d_command(
        *("bench", onnx_file, "--threads", "1,2", "--rounds", "3"),
        *("--json", out, "--plot", plot, "--nme", nme),
    )
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines()[:4])) <= 80
    one, two = json.loads(out.read_text())["runs"]
    assert (one["threads"], two["threads"]) == (1, 2)
    (row,) = one["files"]
    assert row["file"] == onnx_file.name and row["peak_mb"] > 20
    assert set(row["ratios"]) == {"MobileNetV1 1.0", "MobileNetV1 0.5"}
    assert row["ratios"]["MobileNetV1 1.0"] == pytest.approx(
        row["network_ms"]["median"] / one["yardsticks"]["MobileNetV1 1.0"]["median"]
    )
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_devices(edge3d_command: Command) -> None:
    done = edge3d_command("bench", "--device", "list")
    assert done.returncode == 0 and done.stdout.splitlines()[0] == "cpu"
    assert "this machine has cpu" in failing(edge3d_command, "bench", "--device", "abacus")


def test_android_says_what_is_missing(
    edge3d_command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "adb is missing" in failing(edge3d_command, "bench", "--device", "android")
    adb = tmp_path / "adb"
    adb.write_text("#!/bin/sh\necho List of devices attached\n")
    adb.chmod(0o755)
    assert "no phone" in failing(edge3d_command, "bench", "--device", "android")
    adb.write_text("#!/bin/sh\necho List\nprintf 'abc\\tdevice\\n'\n")
    assert "binary is missing" in failing(edge3d_command, "bench", "--device", "android")


def test_bad_input_is_told(edge3d_command: Command, tmp_path: Path) -> None:
    assert "--threads 0" in failing(edge3d_command, "bench", "--threads", "0")
    assert "no such file" in failing(edge3d_command, "bench", tmp_path / "gone.onnx")
    nme = tmp_path / "nme.json"
    nme.write_text("{}")
    assert "no balanced NME" in failing(edge3d_command, "bench", "--nme", nme)


def test_calls_take_turns() -> None:
    order: list[str] = []
    calls = {(name, "network"): lambda name=name: order.append(name) for name in "ab"}
    times = interleaved_ms(calls, 4)
    turn = IN_A_ROW + 2  # the first two do not count
    assert order == (["a"] * turn + ["b"] * turn) * 4
    assert {len(values) for values in times.values()} == {4 * IN_A_ROW}


def test_output_of_the_android_binary() -> None:
    text = "Inference timings in us: Init: 2, First inference: 9, Inference (avg): 4321.5\n"
    assert mean_ms(text) == pytest.approx(4.3215)
    with pytest.raises(Edge3dError, match="printed no latency"):
        mean_ms("Segmentation fault")
