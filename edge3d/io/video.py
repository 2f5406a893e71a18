"""Reading video files and cameras, and writing video files.

A file gives all of its frames, one after the other; a camera gives its newest one, and what came in
between is dropped, so that a slow reader is never behind. One frame is in memory at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.errors import OutputError, VideoError
from edge3d.io.opencv_log import quiet_opencv

DEFAULT_FPS = 30.0
CAMERA_WAIT_S = 5.0

Frame = tuple[float, NDArray[np.uint8]]
"""Time in seconds from the first frame, and the picture (H, W, 3) uint8 RGB."""


class VideoFile:
    """The frames of a video file.

    Turned videos (phones write how they were held) are given upright; deeper ones in 8 bit.

    Args:
        path: of the file.

    Attributes:
        fps: frames a second, as the file says, or 30 where it does not.
        announced: how many frames the file says it has, 0 if it does not say.
        read: how many were read so far.

    Raises:
        VideoError: no such file, no video, or one without a frame.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise VideoError(f"{path}: no such file; check the path")
        with quiet_opencv():
            self._capture = cv2.VideoCapture(str(path))
            opened = self._capture.isOpened()
            self._next = self._capture.read()[1] if opened else None
        if not opened:
            raise VideoError(f"{path}: is no video that OpenCV can read; convert it to MP4 (H.264)")
        if self._next is None:
            raise VideoError(f"{path}: no frame can be read; it is empty or cut off at its start")
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if np.isfinite(fps) and 0 < fps <= 1000 else DEFAULT_FPS
        self.announced = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.read = 0

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; their times rise, also where the frame rate varies."""
        last = -np.inf
        while self._next is not None:
            time_s = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3
            if not np.isfinite(time_s) or time_s <= last:
                time_s = max(last, 0.0) + 1 / self.fps if self.read else 0.0
            last = time_s
            self.read += 1
            yield time_s, cv2.cvtColor(self._next, cv2.COLOR_BGR2RGB)
            with quiet_opencv():
                self._next = self._capture.read()[1]

    def close(self) -> None:
        """Let go of the file."""
        self._capture.release()

    @property
    def missing(self) -> int:
        """How many announced frames were not there, after the last one was read."""
        return max(0, self.announced - self.read)


class Camera:
    """The newest frame of a camera, again and again, until `close`.

    Args:
        number: 0 is the first camera.

    Attributes:
        fps: frames a second, as the camera says, or 30.
        dropped: frames that came while the one before was worked on.

    Raises:
        VideoError: there is no such camera, or it may not be used.
    """

    announced = 0

    def __init__(self, number: int) -> None:
        with quiet_opencv():
            self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            raise VideoError(
                f"camera {number} cannot be opened; check that it is connected, that no other "
                "program uses it, and that this user may (on Linux: group video)"
            )
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if np.isfinite(fps) and 0 < fps <= 1000 else DEFAULT_FPS
        self.dropped = self.read = self.missing = 0
        self._newest: Frame | None = None
        self._fresh, self._stopped = threading.Condition(), False
        self._thread = threading.Thread(target=self._grab, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest frame each time, and end when the camera is closed or unplugged.

        Raises:
            VideoError: the camera gives no frame for five seconds.
        """
        first_s: float | None = None
        while True:
            with self._fresh:
                found = self._fresh.wait_for(
                    lambda: self._newest is not None or self._stopped, CAMERA_WAIT_S
                )
                frame, self._newest = self._newest, None
            if frame is None and self._stopped:
                return
            if not found or frame is None:
                raise VideoError(f"the camera gave no frame for {CAMERA_WAIT_S:.0f} s")
            first_s = frame[0] if first_s is None else first_s
            self.read += 1
            yield frame[0] - first_s, cv2.cvtColor(frame[1], cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        """Stop the camera."""
        self._stopped = True
        self._thread.join()
        self._capture.release()

    def _grab(self) -> None:
        while not self._stopped:
            with quiet_opencv():
                good, picture = self._capture.read()
            with self._fresh:
                if not good:
                    self._stopped = True
                else:
                    self.dropped += self._newest is not None
                    self._newest = (time.monotonic(), np.asarray(picture, np.uint8))
                self._fresh.notify()


def open_source(source: str) -> VideoFile | Camera:
    """Open a video file, or a camera by its number.

    Raises:
        VideoError: see `VideoFile` and `Camera`.
    """
    if source.isascii() and source.isdigit() and not Path(source).exists():
        return Camera(int(source))
    return VideoFile(source)


class VideoWriter:
    """Writes an .mp4 file frame by frame (MPEG-4 Part 2).

    Args:
        path: where frames go; write to a temporary path and rename it.
        fps: frames a second.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self._path, self._fps = Path(path), fps
        self._writer: cv2.VideoWriter | None = None
        self._size: tuple[int, int] = (0, 0)

    def write(self, image_rgb: NDArray[np.uint8]) -> None:
        """Add a frame; odd sizes lose their last row or column, which the format cannot hold.

        Raises:
            OutputError: this OpenCV cannot write .mp4, or the disk is full.
        """
        height, width = (side - side % 2 for side in image_rgb.shape[:2])
        if self._writer is None:
            self._size = (width, height)
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            with quiet_opencv():
                self._writer = cv2.VideoWriter(str(self._path), codec, self._fps, self._size)
            if not self._writer.isOpened():
                raise OutputError(
                    f"cannot write {self._path}: OpenCV opens no .mp4 there; leave out the overlay "
                    "or install opencv-python-headless from PyPI"
                )
        picture = image_rgb[:height, :width]
        if (width, height) != self._size:
            picture = np.asarray(cv2.resize(picture, self._size), np.uint8)
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file; without a frame it stays empty."""
        if self._writer is not None:
            self._writer.release()
