"""How a tracker knows that the face is still there, and that it is the same one.

The network gives no score, but it says a lot about its own crop:

- *size*: it was trained on crops whose landmarks fill a known part of them. On a crop without a
  face the landmarks shrink: that alone tells nearly all backgrounds from faces.
- *shape*: the landmarks' shape, without place and size, cannot change much from one frame to the
  next; on a background it is arbitrary.
- *place*: a face is near where its motion takes it.

They cost nothing. A face about which one of them raises doubt is looked at by the small detector
in the same frame, others now and then. `docs/results/tracking.md` has the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.face_model import FaceModel
from edge3d.geometry.boxes import landmark_box
from edge3d.geometry.mesh import vertex_normals
from edge3d.reconstruct.face import Face

# The logarithm of the landmarks' box's side over the crop's that raises doubt, and their distance
# in crop sides.
MAX_LOG_SIZE = 0.12
MAX_SHIFT = 0.15
# The root mean square of the landmarks' change of shape, in sides of the crop.
MAX_SHAPE_CHANGE = 0.04

# Points on the mesh where a face's appearance is sampled.
APPEARANCE_POINTS = 400
# A point that is turned away further than this (cosine) is not compared; with fewer points in
# common two appearances are not.
MIN_FACING = 0.3
MIN_COMMON = 60


def is_doubtful(box_xyxy: NDArray, landmarks_px: NDArray, previous_px: NDArray | None) -> bool:
    """Tell whether the landmarks of a crop raise the doubt that there is no face in it.

    Args:
        box_xyxy: (4,) the crop's box. landmarks_px: (68, 3) in the frame.
        previous_px: those of the frame before, or None.
    """
    own = landmark_box(landmarks_px)
    side, own_side = float(box_xyxy[2] - box_xyxy[0]), float(own[2] - own[0])
    shift = np.abs(own[:2] + own[2:] - box_xyxy[:2] - box_xyxy[2:]).max() / 2 / side
    if abs(np.log(own_side / side)) > MAX_LOG_SIZE or shift > MAX_SHIFT:
        return True
    return previous_px is not None and shape_change(landmarks_px, previous_px) > MAX_SHAPE_CHANGE


def shape_change(landmarks_px: NDArray, previous_px: NDArray) -> float:
    """Return how much the landmarks' shape (N, 2 or 3) in the picture changed, in crop sides."""
    shapes = []
    for points in (landmarks_px, previous_px):
        box = landmark_box(points)
        shapes.append((points[:, :2] - points[:, :2].mean(axis=0)) / (box[2] - box[0]))
    return float(np.sqrt(((shapes[0] - shapes[1]) ** 2).sum(axis=1).mean()))


@dataclass(frozen=True, eq=False)
class Appearance:
    """What a face looks like, in the face model's order: to know it again.

    Attributes:
        lightness: (400,) float32 of the picture at points of the mesh; mean 0, deviation 1.
        facing: (400,) float32, cosine of each point's normal to the view.
    """

    lightness: NDArray[np.float32]
    facing: NDArray[np.float32]

    def likeness(self, other: Appearance) -> float:
        """Return the correlation -1..1 of both lightnesses where both are seen; 0 if too little is.

        Of two pictures of one person it is mostly above 0.8, of two persons mostly below 0.7.
        """
        both = (self.facing > MIN_FACING) & (other.facing > MIN_FACING)
        if both.sum() < MIN_COMMON:
            return 0.0
        one, two = self.lightness[both], other.lightness[both]
        one, two = one - one.mean(), two - two.mean()
        return float(one @ two / max(np.sqrt((one @ one) * (two @ two)), 1e-9))

    def updated(self, other: Appearance) -> Appearance:
        """Return this appearance moved a little towards a newer one, where that is seen."""
        rate = np.where(self.facing > MIN_FACING, 0.2, 1.0) * (other.facing > MIN_FACING)
        return Appearance(
            (self.lightness + rate * (other.lightness - self.lightness)).astype(np.float32),
            np.maximum(self.facing, other.facing),
        )


class AppearanceSampler:
    """Takes the appearance of faces of one face model."""

    def __init__(self, face_model: FaceModel) -> None:
        inside = np.flatnonzero(face_model.mask > 0.9)
        self._points = inside[np.linspace(0, len(inside) - 1, APPEARANCE_POINTS).astype(int)]
        normals = vertex_normals(face_model.mean, face_model.triangles)
        self._normals = normals[self._points].astype(np.float32)

    def sample(self, face: Face, size_hw: tuple[int, int]) -> Appearance:
        """Return the appearance of a face in its crop; what is beside the frame is not seen.

        Args:
            face: of a frame. size_hw: of the frame.
        """
        crop = face.crop
        grey = cv2.cvtColor(crop.pixels, cv2.COLOR_RGB2GRAY)
        soft = cv2.GaussianBlur(grey, (5, 5), 0).astype(np.float32)
        points = (face.vertices_px[self._points, :2] - crop.to_frame[:, 2]) / crop.scale
        at = points.astype(np.float32)[None]
        lightness = cv2.remap(soft, at[..., 0], at[..., 1], cv2.INTER_LINEAR)[0]
        places = face.vertices_px[self._points, :2]
        inside = ((places >= 0) & (places < size_hw[::-1])).all(axis=1)
        facing = np.where(inside, self._normals @ face.pose.rotation[2], -1.0)
        seen = lightness[facing > MIN_FACING]
        if len(seen):
            lightness = (lightness - seen.mean()) / max(float(seen.std()), 1e-3)
        return Appearance(np.asarray(lightness, np.float32), facing.astype(np.float32))
