"""The search for faces: which network looks where, and when to stop."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.bundled import detector_path
from edge3d.detector.blazeface import BlazeFace, Window, log_odds
from edge3d.detector.detection import (
    SAME_FACE_IOU,
    Detection,
    mean_of,
    new_faces,
    part_inside,
    scaled,
    without_repeats,
)
from edge3d.errors import ImageError
from edge3d.geometry.boxes import box_iou

# Frames whose longer side is above this are shrunk to it first: a face of 5 % of a 4096 px frame
# is still 200 px large, and time and memory stay bounded whatever the camera.
MAX_SIDE_PX = 4096

# The smallest face, its box's side as a fraction of the window's, that is found reliably: by short
# range itself (93 % of AFLW2000-3D's pictures; 98 % at 0.22), and by back camera with a second
# look (98 %; 99 % at 0.07).
SHORT_RANGE_REACH = 0.17
BACK_CAMERA_REACH = 0.065

# The cells a side and the anchors a cell of both networks: 16 x 16 cells of 8 px (short range) with
# 2 anchors, 8 x 8 cells of 16 px with 6: section 3.2 of the paper ("Anchor scheme"). Back camera
# has the same grid over an input twice as large.
GRIDS = ((16, 2), (8, 6))

# BlazeFace's own threshold.
MIN_SCORE = 0.5

# A face with this score at first sight is taken as it is: so are 97 % of AFLW2000-3D's. Others
# are looked at again if they have at least the lower score, which short range gives to 99 % of them
# and back camera, which need only hint, to small ones.
SURE_SCORE = 0.7
# Nor is a face taken as it is that is smaller than this fraction of the window: its points are
# only good to a tenth of the box then, and the crop box depends on them.
CLEAR_SIZE = 0.3
SHORT_RANGE_HINT = 0.3
BACK_CAMERA_HINT = 0.15

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

# A smaller part of a box inside the frame than this, and there is no face to reconstruct: the
# networks can dream one up in the grey around the frame.
MIN_INSIDE = 0.25


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
        min_score: float = MIN_SCORE,
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
    def _short_range(self) -> BlazeFace:
        return BlazeFace(detector_path() / "blazeface_short_range.tflite", GRIDS, self._threads)

    @cached_property
    def _back_camera(self) -> BlazeFace:
        return BlazeFace(detector_path() / "blazeface_back.tflite", GRIDS, self._threads)

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
        return [scaled(found, scale) for found in self._search(np.asarray(small, np.uint8))]

    def look_near(
        self, image_rgb: NDArray[np.uint8], box_xyxy: NDArray, factor: float = 1.7
    ) -> Detection | None:
        """Return the face at a known place, seen in one look of about 1 ms, or None.

        For video: is the face that was here still here? Doubtful faces are given too, down to a
        score of `SHORT_RANGE_HINT`; at a place where there may be none, ask for more.

        Args:
            image_rgb: (H, W, 3) uint8 RGB.
            box_xyxy: (4,) the face's crop box, pixels.
            factor: side of the window that is looked at, in sides of the box.

        Returns:
            Of the faces that overlap the box, the one that overlaps it most.

        Raises:
            ImageError: as `detect`.
        """
        _check_image(image_rgb)
        box = np.asarray(box_xyxy, np.float64)
        x, y = (box[:2] + box[2:]) / 2
        window = Window.around(float(x), float(y), factor * float((box[2:] - box[:2]).max()))
        faces = [
            face
            for face in self._short_range.look(image_rgb, window, SHORT_RANGE_HINT)
            if part_inside(face, image_rgb.shape) >= MIN_INSIDE
        ]
        overlaps = box_iou(box, np.array([face.box_xyxy for face in faces]).reshape(-1, 4))
        if not faces or overlaps.max() == 0:
            return None
        return faces[int(np.argmax(overlaps))]

    def _search(self, image: NDArray[np.uint8]) -> list[Detection]:
        height, width = image.shape[:2]
        longer, shorter = max(height, width), min(height, width)
        if shorter < MIN_FACE_PX:
            return []
        smallest = max(self._min_face_fraction * shorter, MIN_FACE_PX)

        # 1. The whole frame, as large as it fits into the window.
        whole = Window.around(width / 2, height / 2, longer)
        candidates = self._short_range.look(image, whole, SHORT_RANGE_HINT)
        faces = [
            face
            for face in candidates
            if face.score >= max(SURE_SCORE, self._min_score)
            and face.size_px >= CLEAR_SIZE * longer
        ]
        faces += self._looked_at_again(image, new_faces(candidates, faces))
        found = self._final(faces, image)
        if self._done(found, SHORT_RANGE_REACH * longer, smallest):
            return found

        # 2. From farther away, and with the network for smaller faces.
        margin = Window.around(width / 2, height / 2, MARGIN_WINDOW * longer)
        candidates = self._short_range.look(image, margin, SHORT_RANGE_HINT)
        faces += self._looked_at_again(image, new_faces(candidates, faces))
        proposals = self._back_camera.look(image, whole, BACK_CAMERA_HINT)
        faces += self._looked_at_again(image, new_faces(proposals, faces), PROPOSAL_LOG_ODDS)
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
            faces += self._looked_at_again(image, new_faces(proposals, faces), PROPOSAL_LOG_ODDS)
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
        # A small face may be inside a large mistake, so nothing is ruled out for that yet.
        for candidate in without_repeats(candidates, nested=True)[:MAX_PROPOSALS]:
            x0, y0, x1, y1 = (float(value) for value in candidate.box_xyxy)
            box, side = candidate.box_xyxy, max(x1 - x0, y1 - y0)
            seen = []
            for factor in SECOND_LOOKS:
                window = Window.around((x0 + x1) / 2, (y0 + y1) / 2, factor * side)
                look = self._short_range.look(image, window, SHORT_RANGE_HINT)
                seen += [face for face in look if box_iou(box, face.box_xyxy) > SAME_FACE_IOU][:1]
                if not seen:
                    break
            if not seen:
                continue
            odds = [log_odds(face.score) for face in seen]
            odds += [log_odds(UNSEEN_SCORE)] * (len(SECOND_LOOKS) - len(seen))
            score = 1 / (1 + np.exp(doubt - np.mean(odds)))
            if score >= self._min_score:
                faces.append(mean_of(seen, float(score)))
        return faces

    def _final(self, faces: list[Detection], image: NDArray[np.uint8]) -> list[Detection]:
        inside = [face for face in faces if part_inside(face, image.shape) >= MIN_INSIDE]
        return sorted(without_repeats(inside), key=lambda face: -face.rank)


def _tiles(width: int, height: int, side: float, overlap: float) -> list[Window]:
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
    return [Window(float(x), float(y), side) for y in tops for x in lefts]


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
