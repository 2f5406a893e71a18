"""Silencing OpenCV's own log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep what OpenCV and FFmpeg log of damaged files off the terminal.

    The error that follows says what is wrong.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # OpenCV 4.13 moved the functions into a module of their own.
    logging: Any = getattr(cv2.utils, "logging", cv2)
    level = logging.getLogLevel()
    logging.setLogLevel(0)  # silent
    try:
        yield
    finally:
        logging.setLogLevel(level)
