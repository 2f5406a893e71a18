"""MediaPipe's Face Landmarker v2, run through LiteRT: 478 points and 52 blendshapes of a face.

The networks come from the user's `face_landmarker.task`, which MediaPipe distributes under
Apache-2.0 and which this package does not carry. The file is a zip archive of TensorFlow Lite
files; two of them are used here:

- `face_landmarks_detector.tflite`: a square crop of 256 px, RGB in 0..1, to 478 points in crop
  pixels (x right, y down, z away from the camera in the scale of x), a logit that a face is
  present, and a score that the tongue is out.
- `face_blendshapes.tflite`: x and y of 146 of the points to 52 scores in 0..1. Scale and position
  of the points do not matter to it.

Convention. The network was trained on crops whose pixels cover 0..1, 1..2, ...; edge3d puts pixel
centres at whole numbers. Half a pixel is therefore taken off x and y. Without it a mesh and the
mesh of the mirrored crop differ by one pixel in x; with it, by 0.02.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.labels.mesh_topology import POINTS
from edge3d.errors import DatasetError
from edge3d.io.files import sha256_of_file
from edge3d.litert import interpreter_class

CROP_PX = 256
HALF_PIXEL = 0.5
RECORD = {
    "name": "MediaPipe Face Landmarker v2",
    "source": "https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker",
    "licence": "Apache-2.0",
    "attribution": "MediaPipe Face Landmarker v2, the MediaPipe authors, Apache License 2.0.",
}
TASK_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MESH_MEMBER, BLENDSHAPE_MEMBER = "face_landmarks_detector.tflite", "face_blendshapes.tflite"
# The mesh network's outputs by their number of values; LiteRT keeps their order.
MESH_OUTPUTS = (3 * POINTS, 1, 1)

# Names of the 52 scores in the network's order, and which points it takes (MediaPipe,
# face_blendshapes_graph.cc, Apache-2.0).
BLENDSHAPES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft",
    "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft",
    "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft",
    "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen",
    "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower",
    "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
BLENDSHAPE_POINTS = np.array(
    [
        0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63,
        65, 66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132,
        133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161,
        162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263,
        267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310,
        311, 312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373,
        374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398,
        400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
    ]
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Meshes:
    """What the mesh network finds in N crops.

    Attributes:
        points_px: (N, 478, 3) float32 in crop pixels, pixel centres at whole numbers; z away from
            the camera, in the scale of x.
        presence: (N,) float32, probability that there is a face.
        tongue: (N,) float32, score of the tongue being out, 0..1.
    """

    points_px: NDArray[np.float32]
    presence: NDArray[np.float32]
    tongue: NDArray[np.float32]


class FaceLandmarker:
    """The mesh and the blendshape network of a `face_landmarker.task`, on one thread.

    Args:
        task: the file.
        sha256: its expected hash; an empty string accepts any file with the right networks.

    Raises:
        DatasetError: the file cannot be read, has another hash, or holds other networks.
        MissingExtraError: LiteRT is not installed.
    """

    def __init__(self, task: str | Path, sha256: str = TASK_SHA256) -> None:
        task = Path(task)
        if not task.is_file():
            raise DatasetError(
                f"{task} does not exist; download MediaPipe's face_landmarker.task "
                "(float16, version 1) and pass its path"
            )
        self.sha256 = sha256_of_file(task)
        if sha256 and self.sha256 != sha256:
            raise DatasetError(
                f"{task} has SHA-256 {self.sha256}, expected {sha256}; download MediaPipe's "
                "face_landmarker.task (float16, version 1) again"
            )
        try:
            with zipfile.ZipFile(task) as archive:
                mesh, blendshapes = archive.read(MESH_MEMBER), archive.read(BLENDSHAPE_MEMBER)
        except (zipfile.BadZipFile, KeyError, OSError) as error:
            raise DatasetError(f"{task} is not a face_landmarker.task: {error}") from error
        self._mesh = _Graph(mesh, f"{task}: {MESH_MEMBER}", (1, CROP_PX, CROP_PX, 3), MESH_OUTPUTS)
        self._shapes = _Graph(
            blendshapes,
            f"{task}: {BLENDSHAPE_MEMBER}",
            (1, len(BLENDSHAPE_POINTS), 2),
            (len(BLENDSHAPES),),
        )

    def meshes(self, crops: NDArray[np.uint8]) -> Meshes:
        """Find the mesh in crops.

        Args:
            crops: (N, 256, 256, 3) uint8 RGB, upright, the face's box about 2/3 of the side.
        """
        points = np.empty((len(crops), POINTS, 3), np.float32)
        scores = np.empty((2, len(crops)), np.float32)
        for index, crop in enumerate(crops):
            flat, logit, tongue = self._mesh(crop.astype(np.float32) / np.float32(255))
            points[index] = flat.reshape(POINTS, 3)
            scores[:, index] = logit[0], tongue[0]
        points[..., :2] -= HALF_PIXEL
        return Meshes(points, 1 / (1 + np.exp(-scores[0])), scores[1])

    def blendshapes(self, points_px: NDArray) -> NDArray[np.float32]:
        """Return the 52 scores (N, 52) float32 of meshes.

        Args:
            points_px: (N, 478, 2 or 3), upright, x right and y down, in any scale.
        """
        scores = np.empty((len(points_px), len(BLENDSHAPES)), np.float32)
        for index, points in enumerate(points_px):
            (scores[index],) = self._shapes(points[BLENDSHAPE_POINTS, :2].astype(np.float32))
        return scores


class _Graph:
    """One TensorFlow Lite graph with one input, which takes one sample at a time."""

    def __init__(
        self, content: bytes, what: str, shape: tuple[int, ...], sizes: tuple[int, ...]
    ) -> None:
        try:
            self._interpreter: Any = interpreter_class("labelling photographs")(
                model_content=content, num_threads=1
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise DatasetError(f"{what} is damaged: {error}") from error
        source = self._interpreter.get_input_details()[0]
        outputs = self._interpreter.get_output_details()
        found = tuple(int(np.prod(output["shape"])) for output in outputs)
        if tuple(int(n) for n in source["shape"]) != shape or found != sizes:
            raise DatasetError(
                f"{what} takes {tuple(source['shape'])} and gives {found} values, expected "
                f"{shape} and {sizes}; it is another version"
            )
        self._input = source["index"]
        self._outputs = [output["index"] for output in outputs]

    def __call__(self, sample: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the flattened outputs for one sample, given without its batch axis."""
        self._interpreter.set_tensor(self._input, sample[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index).ravel() for index in self._outputs]
