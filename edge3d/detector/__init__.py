"""Find faces: BlazeFace, two small networks that ship with the package.

Each network looks at a square window of the frame and answers with boxes, six keypoints and a
score. Two of them share the work:

- *short range* (128 px input, about 1 ms) gives every answer. It is sure of faces that fill a
  fifth of its window to all of it, profiles too.
- *back camera* (256 px input, about 8 ms) sees faces down to a fifteenth of its window, but is
  unsure of them. It only proposes where to look.

A face that is not beyond doubt at first sight is looked at again, by the short-range network in
three windows of different width around it; what stays a face in all of them is one.

The search goes from cheap to dear and stops as soon as nothing worth finding is left (see
`FaceDetector`):

1. short range on the whole frame;
2. short range on the frame with a margin around it (a face that fills the frame or is half outside
   is easier to see from a distance), and back camera on the whole frame;
3. back camera on overlapping tiles: large ones first, then as small as the smallest face that
   is asked for needs.

Networks: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs",
arXiv 1907.05047; weights by Google from MediaPipe, Apache-2.0 (edge3d/assets/detector/NOTICE).

Conventions: frames are RGB uint8 (H, W, 3); boxes are `xyxy` in pixels, half-open, so that the
whole frame is (0, 0, W, H); keypoints are points, where a pixel's centre is at its integer
coordinate: the left edge of the frame is x = 0 for a box and x = -0.5 for a keypoint.
"""

from __future__ import annotations

from edge3d.detector.crop_rule import crop_box
from edge3d.detector.detection import Detection
from edge3d.detector.search import FaceDetector

__all__ = ["Detection", "FaceDetector", "crop_box"]
