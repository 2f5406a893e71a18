"""A BlazeFace network: pixels of a square window in, faces out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.detector.detection import SAME_FACE_IOU, Detection, mean_of
from edge3d.geometry.boxes import box_iou
from edge3d.litert import interpreter_class


@dataclass(frozen=True)
class Window:
    """A square of the frame, in box coordinates (pixels; 0 is the frame's edge)."""

    x0: float
    y0: float
    side: float

    @staticmethod
    def around(x: float, y: float, side: float) -> Window:
        """Return the window with its centre at (x, y)."""
        return Window(x - side / 2, y - side / 2, side)

    def pixels(self, image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """Return the window scaled to (size, size, 3); grey where it is outside the frame.

        Grey is the networks' zero, like the padding inside them: of faces cut in half by the
        frame's edge they then find twice as many as with black.
        """
        height, width = image.shape[:2]
        left, top = max(0, int(np.floor(self.x0))), max(0, int(np.floor(self.y0)))
        right = min(width, int(np.ceil(self.x0 + self.side)))
        bottom = min(height, int(np.ceil(self.y0 + self.side)))
        if right <= left or bottom <= top:
            return np.full((size, size, 3), 127, np.uint8)
        part = np.ascontiguousarray(image[top:bottom, left:right])
        scale = size / self.side
        x_scale = y_scale = scale
        if scale < 0.5:
            # Bilinear sampling alone would skip pixels.
            reduced = (
                max(1, round(scale * (right - left))),
                max(1, round(scale * (bottom - top))),
            )
            x_scale = scale * (right - left) / reduced[0]
            y_scale = scale * (bottom - top) / reduced[1]
            part = np.asarray(cv2.resize(part, reduced, interpolation=cv2.INTER_AREA), np.uint8)
        # Box coordinates -> pixel centres, hence the halves.
        affine = np.array(
            [
                [x_scale, 0.0, scale * (left - self.x0) + 0.5 * x_scale - 0.5],
                [0.0, y_scale, scale * (top - self.y0) + 0.5 * y_scale - 0.5],
            ]
        )
        warped = cv2.warpAffine(
            part, affine, (size, size), flags=cv2.INTER_LINEAR, borderValue=(127, 127, 127)
        )
        return np.asarray(warped, np.uint8)


class BlazeFace:
    """One network and its anchors."""

    def __init__(self, path: Path, grids: tuple[tuple[int, int], ...], threads: int) -> None:
        interpreter = interpreter_class("detecting faces")
        self._interpreter: Any = interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        (source,) = self._interpreter.get_input_details()
        outputs = {int(out["shape"][-1]): out for out in self._interpreter.get_output_details()}
        self._input = source["index"]
        self._size = int(source["shape"][1])
        self._boxes, self._scores = outputs[16]["index"], outputs[1]["index"]
        self._anchors = anchors(grids)

    def look(self, image: NDArray[np.uint8], window: Window, min_score: float) -> list[Detection]:
        """Return the faces of a window, one each, in frame pixels."""
        pixels = window.pixels(image, self._size)
        # The networks take -1..1.
        self._interpreter.set_tensor(self._input, pixels[None].astype(np.float32) / 127.5 - 1)
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._scores)[0, :, 0]
        keep = logits > log_odds(min_score)
        if not keep.any():
            return []
        # Below 1 in float32 too, so that the log-odds stay finite.
        scores = 1 / (1 + np.exp(-np.minimum(logits[keep], 12.0)))
        # 8 pairs in input pixels: centre (from the anchor), width and height, and the keypoints
        # (from the anchor).
        pairs = self._interpreter.get_tensor(self._boxes)[0][keep].reshape(-1, 8, 2) / self._size
        points = pairs + self._anchors[keep][:, None]
        centre, half = points[:, 0], pairs[:, 1] / 2
        corner = np.array([window.x0, window.y0])
        boxes = np.concatenate([centre - half, centre + half], axis=1) * window.side
        boxes += np.tile(corner, 2)
        keypoints = points[:, 2:] * window.side + corner - 0.5
        return blended(boxes, scores, keypoints)


def anchors(grids: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
    """Return the (N, 2) anchor points of an SSD with `grids` of (cells a side, anchors a cell).

    An anchor is the centre of its cell, in 0..1 of the window; cells go row by row, the anchors of
    a cell follow each other (as MediaPipe's SsdAnchorsCalculator orders them; its anchors' sizes
    are fixed to 1 for BlazeFace, which the paper motivates in section 3.2).
    """
    parts = []
    for cells, repeats in grids:
        centres = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(centres, centres, indexing="ij")
        parts.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeats, axis=0))
    return np.concatenate(parts).astype(np.float32)


def blended(boxes: NDArray[Any], scores: NDArray[Any], keypoints: NDArray[Any]) -> list[Detection]:
    """Return one detection per group of overlapping ones: their mean, weighted by score.

    BlazeFace's replacement of non-maximum suppression (section 3.3 of the paper): boxes and points
    jitter less from frame to frame. The group's best score is kept, and the best come first.
    """
    left = np.argsort(-scores)
    found = []
    while left.size:
        best = left[0]
        same = box_iou(boxes[best], boxes[left]) > SAME_FACE_IOU
        same[0] = True  # a box without area overlaps nothing, not even itself
        group, left = left[same], left[~same]
        faces = [Detection(boxes[one], float(scores[one]), keypoints[one]) for one in group]
        found.append(mean_of(faces, float(scores[best])))
    return [face for face in found if face.size_px > 0]


def log_odds(score: float) -> float:
    """Return the logit of a score (0..1), the inverse of the sigmoid."""
    return float(np.log(score / (1 - score)))
