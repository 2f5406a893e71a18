"""Faces through a video: following, smoothing, and knowing a face again.

tracker = edge3d.FaceTracker()
for time_s, image in frames:
    for tracked in tracker.update(image, time_s):
        print(tracked.id, tracked.face.pose.yaw_deg, tracked.face.blendshapes["jawOpen"])
"""

from __future__ import annotations

from edge3d.tracker.face_tracker import FaceTracker, TrackCounts, TrackedFace
from edge3d.tracker.one_euro import OneEuro
from edge3d.tracker.smoothing import Smoothing

__all__ = ["FaceTracker", "OneEuro", "Smoothing", "TrackCounts", "TrackedFace"]
