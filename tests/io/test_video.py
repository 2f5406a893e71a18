from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge3d.errors import VideoError
from edge3d.io.video import Camera, VideoFile, VideoWriter, open_source


def write(path: Path, count: int, size_hw: tuple[int, int] = (48, 64)) -> Path:
    writer = VideoWriter(path, 25)
    for number in range(count):
        writer.write(np.full((*size_hw, 3), (20 * number, 100, 200), np.uint8))
    writer.close()
    return path


def test_frames_come_back_in_order_with_their_times(tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path / "video.mp4", 10)))
    assert isinstance(source, VideoFile)
    frames = list(source)
    assert source.fps == pytest.approx(25) and source.read == 10 and source.missing == 0
    np.testing.assert_allclose([time_s for time_s, _ in frames], np.arange(10) / 25, atol=1e-3)
    for number, (_, image) in enumerate(frames):
        assert image.shape == (48, 64, 3)
        np.testing.assert_allclose(image.mean(axis=(0, 1)), (20 * number, 100, 200), atol=6)


def test_odd_sizes_lose_a_row(tmp_path: Path) -> None:
    ((_, image), *_) = VideoFile(write(tmp_path / "odd.mp4", 2, (49, 65)))
    assert image.shape == (48, 64, 3)


def test_a_video_that_ends_early_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    random = np.random.default_rng(0)
    for _ in range(10):
        writer.write(random.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    video = VideoFile(path)
    found = len(list(video))
    assert 0 < found < 10 and video.missing == video.announced - found > 0


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 5000])
def test_files_that_are_no_video_are_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "none.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"none\.mp4.*no video|none\.mp4.*no frame"):
        VideoFile(path)
    with pytest.raises(VideoError, match="no such file"):
        VideoFile(tmp_path / "gone.mp4")


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(VideoError, match="camera 97 cannot be opened"):
        open_source("97")


class FakeCapture:
    """A camera that counts: its n-th frame is all n."""

    def __init__(self, _: int, frames: int = 40) -> None:
        self._left, self._number = frames, 0

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def get(self, _: int) -> float:
        return 0.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        time.sleep(0.005)
        self._number += 1
        if self._number > self._left:
            return False, None
        return True, np.full((4, 4, 3), self._number, np.uint8)

    def release(self) -> None:
        pass


def test_a_camera_drops_what_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    camera, seen, threads = Camera(0), [], threading.active_count()
    for _, image in camera:
        seen.append(int(image[0, 0, 0]))
        time.sleep(0.03)  # a slow reader
    assert seen == sorted(seen) and len(seen) < 40
    assert camera.dropped > 0 and camera.dropped + camera.read >= 39
    camera.close()
    assert threading.active_count() <= threads
