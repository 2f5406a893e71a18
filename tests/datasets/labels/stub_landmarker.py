"""A stand-in for MediaPipe's networks that sees drawn faces: white discs on black."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge3d.datasets.labels.face_landmarker import BLENDSHAPES, Meshes
from edge3d.datasets.labels.mesh_topology import POINTS, canonical_mesh
from edge3d.detector import Detection

RADIUS_PX = 60
NOISE_PX = 12


def template() -> np.ndarray:
    """A symmetric mesh (478, 3) with a box of height 2, centred on the points' mean."""
    mesh = canonical_mesh()
    mesh -= mesh.mean(axis=0)
    return 2 * mesh / np.ptp(mesh[:, 1])


class StubLandmarker:
    """Finds the disc; the mesh jumps about where it is grey instead of white."""

    sha256 = "stub"

    def __init__(self) -> None:
        self.calls = 0
        self._rng = np.random.default_rng(0)

    def meshes(self, crops: np.ndarray) -> Meshes:
        self.calls += 1
        points = np.zeros((len(crops), POINTS, 3), np.float32)
        presence = np.zeros(len(crops), np.float32)
        for row, crop in enumerate(crops):
            grey = crop.mean(axis=2)
            seen = grey > 60
            if not seen.any():
                points[row] = 40 * template() + [128, 128, 0]
                continue
            centre = np.argwhere(seen).mean(axis=0)[::-1]
            size = np.sqrt(seen.sum() / np.pi)
            noise = NOISE_PX if grey[seen].mean() < 190 else 0
            points[row] = size * template() + [*centre, 0]
            points[row] += noise * self._rng.normal(size=3)
            presence[row] = 0.9
        return Meshes(points, presence, np.zeros(len(crops), np.float32))

    def blendshapes(self, points: np.ndarray) -> np.ndarray:
        scores = np.zeros((len(points), len(BLENDSHAPES)), np.float32)
        scores[:, BLENDSHAPES.index("jawOpen")] = 0.25
        scores[:, BLENDSHAPES.index("mouthSmileLeft")] = 0.5
        scores[:, BLENDSHAPES.index("mouthSmileRight")] = 0.5
        return scores


class StubDetector:
    """Finds the disc."""

    def detect(self, image: np.ndarray) -> list[Detection]:
        rows, columns = np.nonzero(image.mean(axis=2) > 60)
        if not len(rows):
            return []
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
        keypoints = np.full((6, 2), [columns.mean(), rows.mean()], np.float32)
        keypoints[:2, 0] += [-25, 25]
        return [Detection(box, 0.9, keypoints)]


def draw_face(
    path: Path,
    centre: tuple[int, int] = (150, 130),
    grey: int = 255,
    size: tuple[int, int] = (260, 300),
) -> Path:
    """Write a photograph of some height and width with a drawn face, or an empty one: grey 0."""
    image = np.zeros((*size, 3), np.uint8)
    cv2.circle(image, centre, RADIUS_PX, (grey, grey, grey), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
    return path
