"""`edge3d track` end to end."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import edge3d
from edge3d.io.video import VideoFile, VideoWriter
from tests.cli.test_cli import failing
from tests.tracker.conftest import FrameMaker, frame, video  # noqa: F401

pytest.importorskip("ai_edge_litert", reason="no LiteRT")
Command = Callable[..., "object"]


def test_files_agree_with_reconstruct(
    edge3d_command: Command,
    video: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    done = edge3d_command("track", video, "--out", out, "--no-smooth")
    assert done.returncode == 0, done.stderr
    assert "12 frames, faces: 1" in done.stdout
    rows = [json.loads(line) for line in (out / "faces.jsonl").read_text().splitlines()]
    table = list(csv.DictReader((out / "faces.csv").open()))
    assert [row["frame"] for row in rows] == list(range(12)) == [int(r["frame"]) for r in table]
    reconstructor = edge3d.FaceReconstructor()
    for row, line, (_, image) in zip(rows, table, VideoFile(video), strict=True):
        (content,) = row["faces"]
        (face,) = reconstructor.reconstruct(image, [content["box_xyxy"]])
        assert content["pose"]["yaw_deg"] == pytest.approx(face.pose.yaw_deg, abs=1e-3)
        assert float(line["x30"]) == pytest.approx(face.landmarks_px[30, 0], abs=1e-3)
        assert float(line["jawOpen"]) == pytest.approx(face.blendshapes["jawOpen"], abs=1e-4)
        assert content["id"] == 1 == int(line["id"])
    overlay = VideoFile(out / "overlay.mp4")
    assert len(list(overlay)) == 12


def test_bad_input_is_told(edge3d_command: Command, video: Path, tmp_path: Path) -> None:  # noqa: F811
    assert "no such file" in failing(edge3d_command, "track", tmp_path / "gone.mp4")
    assert "camera 97 cannot be opened" in failing(edge3d_command, "track", "97")
    assert "choose from overlay" in failing(edge3d_command, "track", video, "--save", "gif")
    assert "HOST:PORT" in failing(edge3d_command, "track", video, "--osc", "here")
    show = ("track", video, "--show", "--out", tmp_path / "shown")
    assert "--show" in failing(edge3d_command, *show)
    assert not list((tmp_path / "shown").iterdir())  # nothing half-written


def test_ctrl_c_leaves_whole_files(frame: FrameMaker, tmp_path: Path) -> None:  # noqa: F811
    path, out = tmp_path / "long.mp4", tmp_path / "out"
    writer = VideoWriter(path, 30)
    for _ in range(1500):
        writer.write(frame())
    writer.close()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge3d", "track", str(path), "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    started = time.monotonic()
    while not any(p.stat().st_size for p in out.glob(".faces-*.jsonl")):
        assert process.poll() is None and time.monotonic() - started < 60
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    rows = [json.loads(line) for line in (out / "faces.jsonl").read_text().splitlines()]
    assert 0 < len(rows) < 1500
    assert len(list(VideoFile(out / "overlay.mp4"))) == len(rows)
    assert sorted(p.name for p in out.iterdir()) == ["faces.csv", "faces.jsonl", "overlay.mp4"]
