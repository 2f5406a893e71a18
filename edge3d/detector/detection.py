"""A face that was found, and what is done with several: compare, merge, choose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.boxes import box_area, box_iou, intersection_area

# Boxes that overlap more than this (intersection over union) are one face: BlazeFace's own value.
SAME_FACE_IOU = 0.3

# So are two of which one has more than this part of its area inside the other.
INSIDE_OTHER = 0.7


@dataclass(frozen=True)
class Detection:
    """One face.

    Attributes:
        box_xyxy: (4,) float32, pixels, half-open; the network's own box: from the eyebrows or the
            forehead to the chin, about square. It may reach beyond the frame.
        score: 0..1, the networks' confidence.
        keypoints_px: (6, 2) float32, points in frame pixels. In this order: the eye, nose tip,
            mouth and ear points of the person, named by the person's own sides: right eye, left
            eye, nose tip, mouth centre, right tragion (ear), left tragion. The right eye is
            on the image's left in a frontal face.
    """

    box_xyxy: NDArray[np.float32]
    score: float
    keypoints_px: NDArray[np.float32]

    @property
    def size_px(self) -> float:
        """Side of the square with the box's area, in pixels."""
        x0, y0, x1, y1 = (float(value) for value in self.box_xyxy)
        return float(np.sqrt(max(x1 - x0, 0.0) * max(y1 - y0, 0.0)))

    @property
    def rank(self) -> float:
        """Score times size: what `FaceDetector.detect` sorts by, largest first."""
        return self.score * self.size_px


def mean_of(faces: list[Detection], score: float) -> Detection:
    """Return the mean of faces, weighted by their scores, with the given score."""
    weights = np.array([face.score for face in faces])
    weights /= weights.sum()
    boxes = np.array([face.box_xyxy for face in faces])
    keypoints = np.array([face.keypoints_px for face in faces])
    return Detection(
        box_xyxy=np.tensordot(weights, boxes, 1).astype(np.float32),
        score=score,
        keypoints_px=np.tensordot(weights, keypoints, 1).astype(np.float32),
    )


def without_repeats(faces: list[Detection], *, nested: bool = False) -> list[Detection]:
    """Return the faces by falling score, without those that are the same as a surer one.

    The same is what overlaps and, unless `nested`, what is inside the other: there are no faces
    within faces. Not blended: the looks differ in zoom.
    """
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda face: -face.score):
        others = np.array([other.box_xyxy for other in kept]).reshape(-1, 4)
        same = box_iou(face.box_xyxy, others) > SAME_FACE_IOU
        smaller = np.minimum(box_area(face.box_xyxy), box_area(others))
        common = intersection_area(face.box_xyxy, others)
        within = common / np.maximum(smaller, 1e-9) > INSIDE_OTHER
        if not (same | (within & (not nested))).any():
            kept.append(face)
    return kept


def new_faces(faces: list[Detection], known: list[Detection]) -> list[Detection]:
    """Return the faces that are none of the known ones."""
    boxes = np.array([face.box_xyxy for face in known]).reshape(-1, 4)
    return [face for face in faces if not (box_iou(face.box_xyxy, boxes) > SAME_FACE_IOU).any()]


def part_inside(face: Detection, shape: tuple[int, ...]) -> float:
    """Return which part of a face's box is inside a frame of `shape`, 0..1."""
    box = face.box_xyxy.astype(np.float64)
    low, high = np.maximum(box[:2], 0), np.minimum(box[2:], (shape[1], shape[0]))
    return float(np.prod(np.maximum(high - low, 0)) / max(np.prod(box[2:] - box[:2]), 1e-9))


def scaled(face: Detection, scale: NDArray[np.float32]) -> Detection:
    """Return a face of a shrunk frame in pixels of the frame; `scale` is (x, y)."""
    return Detection(
        box_xyxy=face.box_xyxy * np.tile(scale, 2),
        score=face.score,
        keypoints_px=(face.keypoints_px + np.float32(0.5)) * scale - np.float32(0.5),
    )
