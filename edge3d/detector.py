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

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.errors import ImageError

_ASSETS = Path(__file__).parent / "assets" / "detector"

# Frames whose longer side is above this are shrunk to it first: a face of 5 % of a 4096 px frame
# is still 200 px large, and time and memory stay bounded whatever the camera.
MAX_SIDE_PX = 4096

# The smallest face, its box's side as a fraction of the window's, that is found reliably: by short
# range itself (93 % of AFLW2000-3D's pictures; 98 % at 0.22), and by back camera with a second
# look (98 %; 99 % at 0.07).
SHORT_RANGE_REACH = 0.17
BACK_CAMERA_REACH = 0.065

# A face with this score at first sight is taken as it is: so are 97 % of AFLW2000-3D's. Others are
# looked at again if they have at least the lower score, which short range gives to 99 % of them
# and back camera, which need only hint, to small ones.
SURE_SCORE = 0.7
SHORT_RANGE_HINT = 0.3
BACK_CAMERA_HINT = 0.12
# Sides of the windows of the second looks, in sides of the box; the first is the best single one,
# and whatever has less than SHORT_RANGE_HINT in it is dropped at once. The score is the mean of
# the looks (of their log-odds). On pictures without faces, a sum of three lets through one
# twentieth of what a single look does, at the same loss of faces.
SECOND_LOOKS = (2.5, 1.7, 3.5)
# A look that does not see the face counts as this score.
UNSEEN_SCORE = 0.02
# Back camera proposes among thousands of places, so that more is needed to believe it: this is
# taken off the log-odds, which asks for 0.65 where a face in plain sight needs 0.5.
PROPOSAL_LOG_ODDS = 0.62
# Bounds the second looks in a frame full of proposals, a crowd or a pattern.
MAX_PROPOSALS = 32
# Side of step 2's short-range window, in longer sides of the frame.
MARGIN_WINDOW = 1.6

# Step 3 goes towards smaller faces by at most this factor at a time: fewer tiles in all than at
# once (they need to overlap by less), and it can stop in between.
TILE_LEVEL_FACTOR = 2.5
# Bounds a level. A very long, narrow frame gets larger tiles, not more of them.
MAX_TILES = 32
# A face of fewer pixels than this is not looked for: the back camera network cannot see it.
MIN_FACE_PX = 12

# Boxes that overlap more than this (intersection over union) are one face: BlazeFace's own value.
SAME_FACE_IOU = 0.3
# So are two of which one has more than this part of its area inside the other.
INSIDE_OTHER = 0.7
# A smaller part of a box inside the frame than this, and there is no face to reconstruct: the
# networks can dream one up in the grey around the frame.
MIN_INSIDE = 0.25

# The crop rule: coefficients of `crop_features` in `crop_box`. Fitted on AFLW's training crops by
#     python -m benchmarks.detector --data DIR --fit-crop-rule
CROP_RULE = {
    "offset_x": np.array([0.090, 0.087, -0.260, -0.179, -0.275, 0.036]),
    "offset_y": np.array([-0.005, -0.313, 0.413, 0.203, 0.304, 0.019, -0.088]),
    "log_side": np.array([0.713, 1.492, -0.935, -0.413, -0.290, -0.523, 0.209]),
}
# The 0.1 and 99.9 percentiles of the logarithm over these crops.
CROP_LOG_SIDE_RANGE = (0.23, 0.59)


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


def crop_box(detection: Detection) -> NDArray[np.float64]:
    """Return the square crop box of a face that the networks of this project are trained on.

    It stands for AFLW2000-3D's protocol: the box of the 68 landmarks, side = sqrt(2) times its
    larger side, the same centre. The centre's offset and the side's logarithm are linear in the
    keypoints' places in the detector's box, with the coefficients of `CROP_RULE`; a mirrored
    detection has the mirrored crop box.

    Args:
        detection: a face from `FaceDetector.detect`.

    Returns:
        (4,) float64 `xyxy`, pixels, half-open, not rounded; it may reach beyond the frame.
    """
    centre, size, odd, even = crop_features(detection)
    offset_x = odd @ CROP_RULE["offset_x"]
    offset_y = even @ CROP_RULE["offset_y"]
    # Keypoints gone astray must not blow the crop up.
    log_side = np.clip(even @ CROP_RULE["log_side"], *CROP_LOG_SIDE_RANGE)
    middle = centre + size * np.array([offset_x, offset_y])
    half = size * np.exp(log_side) / 2
    return np.concatenate([middle - half, middle + half])


def crop_features(
    detection: Detection,
) -> tuple[NDArray[np.float64], float, NDArray[np.float64], NDArray[np.float64]]:
    """Return what `crop_box` is linear in, for it and for the fit of its coefficients.

    Returns:
        centre: (2,) the box's centre (box coordinates, pixels).
        size: the box's size in pixels, the unit of the following.
        odd: (6,) numbers that change their sign when the frame is mirrored: x of the eyes' middle,
            nose, mouth, ears' middle, and half the difference in y of the eyes and of the ears.
        even: (7,) numbers that a mirror leaves: 1, y of the eyes' middle, nose, mouth, ears'
            middle, and half the distance in x of the eyes and of the ears.
    """
    box = detection.box_xyxy.astype(np.float64)
    centre = (box[:2] + box[2:]) / 2
    size = detection.size_px
    points = (detection.keypoints_px + 0.5 - centre) / size
    right_eye, left_eye, nose, mouth, right_ear, left_ear = points
    eyes, ears = (right_eye + left_eye) / 2, (right_ear + left_ear) / 2
    eyes_apart, ears_apart = (left_eye - right_eye) / 2, (left_ear - right_ear) / 2
    odd = np.array([eyes[0], nose[0], mouth[0], ears[0], eyes_apart[1], ears_apart[1]])
    even = np.array([1.0, eyes[1], nose[1], mouth[1], ears[1], eyes_apart[0], ears_apart[0]])
    return centre, size, odd, even


class FaceDetector:
    """Finds the faces of a frame; holds the two networks, which are loaded when first needed.

    Use one detector per thread: an interpreter must not be called from two at once.

    Args:
        threads: threads that a network may use.
        min_score: faces with a lower score (0..1) are left out. 0.5 is BlazeFace's own value.
        min_face_fraction: the smallest face that is searched for: the side of its box over the
            frame's shorter side. Smaller needs more tiles, each about 8 ms: in a 16:9 frame none
            for 0.12, 6 for 0.05, 24 for 0.025. Video, where a face that comes near is found a
            little later, does well with 0.1. Smaller faces may be found, without a promise.
        min_relative_size: the search stops once every face that is at least this fraction of the
            largest one has been found (steps in the module's docstring). With 0.5 a portrait
            costs one look of about 1 ms, and people far behind it may be left out. 0 always
            searches down to `min_face_fraction`: for group pictures.
    """

    def __init__(
        self,
        threads: int = 1,
        *,
        min_score: float = 0.5,
        min_face_fraction: float = 0.025,
        min_relative_size: float = 0.5,
    ) -> None:
        if not 0 < min_face_fraction <= 1:
            raise ValueError(f"min_face_fraction is {min_face_fraction}; use a value in 0..1")
        if not 0 <= min_relative_size <= 1:
            raise ValueError(f"min_relative_size is {min_relative_size}; use a value in 0..1")
        if not SHORT_RANGE_HINT <= min_score < 1:
            raise ValueError(f"min_score is {min_score}; use {SHORT_RANGE_HINT} or more, below 1")
        self._threads = threads
        self._min_score = min_score
        self._min_face_fraction = min_face_fraction
        self._min_relative_size = min_relative_size

    @cached_property
    def _short_range(self) -> _BlazeFace:
        # 16 x 16 cells of 8 px with 2 anchors, 8 x 8 cells of 16 px with 6: section 3.2 of the
        # paper ("Anchor scheme").
        return _BlazeFace(
            _ASSETS / "blazeface_short_range.tflite", ((16, 2), (8, 6)), self._threads
        )

    @cached_property
    def _back_camera(self) -> _BlazeFace:
        # The same grid over an input twice as large.
        return _BlazeFace(_ASSETS / "blazeface_back.tflite", ((16, 2), (8, 6)), self._threads)

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces of a frame, the one with the highest `Detection.rank` first.

        Args:
            image_rgb: (H, W, 3) uint8 RGB.

        Returns:
            The faces, no two of which overlap by more than `SAME_FACE_IOU`; [] without a face.

        Raises:
            ImageError: `image_rgb` is not a non-empty uint8 array of shape (H, W, 3).
        """
        _check_image(image_rgb)
        height, width = image_rgb.shape[:2]
        shrink = min(1.0, MAX_SIDE_PX / max(height, width))
        if shrink == 1.0:
            return self._search(image_rgb)
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        small = cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA)
        # The two sides were rounded each for itself.
        scale = np.array([width / size[0], height / size[1]], dtype=np.float32)
        return [_scaled(found, scale) for found in self._search(np.asarray(small, np.uint8))]

    def _search(self, image: NDArray[np.uint8]) -> list[Detection]:
        height, width = image.shape[:2]
        longer, shorter = max(height, width), min(height, width)
        smallest = max(self._min_face_fraction * shorter, MIN_FACE_PX)
        if longer < smallest:
            return []

        # 1. The whole frame, as large as it fits into the window.
        whole = _Window.around(width / 2, height / 2, longer)
        candidates = self._short_range.look(image, whole, SHORT_RANGE_HINT)
        faces = [face for face in candidates if face.score >= max(SURE_SCORE, self._min_score)]
        faces += self._looked_at_again(image, _new(candidates, faces))
        found = self._final(faces, image)
        if self._done(found, SHORT_RANGE_REACH * longer, smallest):
            return found

        # 2. From farther away, and with the network for smaller faces.
        margin = _Window.around(width / 2, height / 2, MARGIN_WINDOW * longer)
        candidates = self._short_range.look(image, margin, SHORT_RANGE_HINT)
        faces += self._looked_at_again(image, _new(candidates, faces))
        proposals = self._back_camera.look(image, whole, BACK_CAMERA_HINT)
        faces += self._looked_at_again(image, _new(proposals, faces), PROPOSAL_LOG_ODDS)
        found = self._final(faces, image)
        reach = BACK_CAMERA_REACH * longer

        # 3. Closer and closer.
        levels = int(np.ceil(np.log(max(reach / smallest, 1.0)) / np.log(TILE_LEVEL_FACTOR)))
        for level in range(levels):
            if self._done(found, reach, smallest):
                break
            finer = reach * (smallest / reach) ** (1 / (levels - level))
            proposals = []
            for tile in _tiles(width, height, finer / BACK_CAMERA_REACH, overlap=reach):
                proposals += self._back_camera.look(image, tile, BACK_CAMERA_HINT)
            faces += self._looked_at_again(image, _new(proposals, faces), PROPOSAL_LOG_ODDS)
            found = self._final(faces, image)
            reach = finer
        return found

    def _done(self, found: list[Detection], reach_px: float, smallest_px: float) -> bool:
        """Tell whether faces below `reach_px`, which may have been missed, do not matter.

        A doubtful face must not end the search: on a frame of smooth colours the networks see one
        as large as the frame.
        """
        largest = max((face.size_px for face in found if face.score >= SURE_SCORE), default=0.0)
        return reach_px <= max(smallest_px, self._min_relative_size * largest)

    def _looked_at_again(
        self, image: NDArray[np.uint8], candidates: list[Detection], doubt: float = 0.0
    ) -> list[Detection]:
        """Return the candidates that second looks confirm, as these see them.

        `doubt` is taken off the log-odds of the score.
        """
        faces = []
        for candidate in _without_repeats(candidates)[:MAX_PROPOSALS]:
            x0, y0, x1, y1 = (float(value) for value in candidate.box_xyxy)
            box, side = candidate.box_xyxy, max(x1 - x0, y1 - y0)
            seen = []
            for factor in SECOND_LOOKS:
                window = _Window.around((x0 + x1) / 2, (y0 + y1) / 2, factor * side)
                look = self._short_range.look(image, window, SHORT_RANGE_HINT)
                seen += [face for face in look if _iou(box, face.box_xyxy[None]) > SAME_FACE_IOU][:1]
                if not seen:
                    break
            if not seen:
                continue
            odds = [_log_odds(face.score) for face in seen]
            odds += [_log_odds(UNSEEN_SCORE)] * (len(SECOND_LOOKS) - len(seen))
            score = 1 / (1 + np.exp(doubt - np.mean(odds)))
            if score >= self._min_score:
                faces.append(_mean_of(seen, float(score)))
        return faces

    def _final(self, faces: list[Detection], image: NDArray[np.uint8]) -> list[Detection]:
        inside = [face for face in faces if _part_inside(face, image.shape) >= MIN_INSIDE]
        return sorted(_without_repeats(inside), key=lambda face: -face.rank)


@dataclass(frozen=True)
class _Window:
    """A square of the frame, in box coordinates (pixels; 0 is the frame's edge)."""

    x0: float
    y0: float
    side: float

    @staticmethod
    def around(x: float, y: float, side: float) -> _Window:
        return _Window(x - side / 2, y - side / 2, side)

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


class _BlazeFace:
    """One network and its anchors."""

    def __init__(self, path: Path, grids: tuple[tuple[int, int], ...], threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter: Any = Interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        (source,) = self._interpreter.get_input_details()
        outputs = {int(out["shape"][-1]): out for out in self._interpreter.get_output_details()}
        self._input = source["index"]
        self._size = int(source["shape"][1])
        self._boxes, self._scores = outputs[16]["index"], outputs[1]["index"]
        self._anchors = _anchors(grids)

    def look(
        self, image: NDArray[np.uint8], window: _Window, min_score: float
    ) -> list[Detection]:
        """Return the faces of a window, one each, in frame pixels."""
        pixels = window.pixels(image, self._size)
        # The networks take -1..1.
        self._interpreter.set_tensor(self._input, pixels[None].astype(np.float32) / 127.5 - 1)
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._scores)[0, :, 0]
        keep = logits > _log_odds(min_score)
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
        return _blended(boxes, scores, keypoints)


def _anchors(grids: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
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


def _blended(
    boxes: NDArray[Any], scores: NDArray[Any], keypoints: NDArray[Any]
) -> list[Detection]:
    """Return one detection per group of overlapping ones: their mean, weighted by score.

    BlazeFace's replacement of non-maximum suppression (section 3.3 of the paper): boxes and points
    jitter less from frame to frame. The group's best score is kept, and the best come first.
    """
    left = np.argsort(-scores)
    found = []
    while left.size:
        best = left[0]
        same = _iou(boxes[best], boxes[left]) > SAME_FACE_IOU
        same[0] = True  # a box without area overlaps nothing, not even itself
        group, left = left[same], left[~same]
        faces = [Detection(boxes[one], float(scores[one]), keypoints[one]) for one in group]
        found.append(_mean_of(faces, float(scores[best])))
    return [face for face in found if face.size_px > 0]


def _mean_of(faces: list[Detection], score: float) -> Detection:
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


def _log_odds(score: float) -> float:
    return float(np.log(score / (1 - score)))


def _without_repeats(faces: list[Detection]) -> list[Detection]:
    """Return the faces by falling score, without those that are the same as a surer one.

    The same is what overlaps, and what is inside the other: there are no faces within faces. Not
    blended: the looks differ in zoom.
    """
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda face: -face.score):
        others = np.array([other.box_xyxy for other in kept]).reshape(-1, 4)
        common, area, areas = _common(face.box_xyxy, others)
        same = common / np.maximum(area + areas - common, 1e-9) > SAME_FACE_IOU
        within = common / np.maximum(np.minimum(area, areas), 1e-9) > INSIDE_OTHER
        if not (same | within).any():
            kept.append(face)
    return kept


def _iou(box: NDArray[Any], boxes: NDArray[Any]) -> NDArray[np.float64]:
    """Return the intersection over union of a box (4,) with each of boxes (N, 4)."""
    common, area, areas = _common(box, boxes)
    return np.asarray(common / np.maximum(area + areas - common, 1e-9))


def _common(
    box: NDArray[Any], boxes: NDArray[Any]
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Return the intersections of a box (4,) with boxes (N, 4), and the areas of both."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=1, dtype=np.float64)
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1, dtype=np.float64)
    return common, float(np.prod(np.maximum(box[2:] - box[:2], 0), dtype=np.float64)), areas


def _part_inside(face: Detection, shape: tuple[int, ...]) -> float:
    """Return which part of a face's box is inside a frame of `shape`, 0..1."""
    box = face.box_xyxy.astype(np.float64)
    low, high = np.maximum(box[:2], 0), np.minimum(box[2:], (shape[1], shape[0]))
    return float(np.prod(np.maximum(high - low, 0)) / max(np.prod(box[2:] - box[:2]), 1e-9))


def _scaled(face: Detection, scale: NDArray[np.float32]) -> Detection:
    """Return a face of a shrunk frame in pixels of the frame; `scale` is (x, y)."""
    return Detection(
        box_xyxy=face.box_xyxy * np.tile(scale, 2),
        score=face.score,
        keypoints_px=(face.keypoints_px + np.float32(0.5)) * scale - np.float32(0.5),
    )


def _new(faces: list[Detection], known: list[Detection]) -> list[Detection]:
    """Return the faces that are none of the known ones."""
    boxes = np.array([face.box_xyxy for face in known]).reshape(-1, 4)
    return [face for face in faces if not (_iou(face.box_xyxy, boxes) > SAME_FACE_IOU).any()]


def _tiles(width: int, height: int, side: float, overlap: float) -> list[_Window]:
    """Return at most `MAX_TILES` square windows that cover a frame.

    They are `side` wide, or wider where that would be too many. Neighbours overlap by at least
    `overlap` pixels (at most half their side), so that every face that is smaller than that is
    whole in one of them.
    """
    while True:
        step = side - min(overlap, side / 2)
        columns, rows = (
            1 + max(0, int(np.ceil((length - side) / step))) for length in (width, height)
        )
        if columns * rows <= MAX_TILES:
            break
        side *= 1.1
    # A tile that is larger than the frame is centred on it.
    lefts = [(width - side) / 2] if columns == 1 else np.linspace(0, width - side, columns)
    tops = [(height - side) / 2] if rows == 1 else np.linspace(0, height - side, rows)
    return [_Window(float(x), float(y), side) for y in tops for x in lefts]


def _check_image(image: NDArray[np.uint8]) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(
            f"the detector takes a uint8 array of shape (H, W, 3), RGB, not {kind}; "
            "convert the frame to uint8 (0..255)"
        )
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(
            f"the detector takes an array of shape (H, W, 3), RGB, not {image.shape}; "
            "convert grey or RGBA frames to RGB, and leave out empty ones"
        )
