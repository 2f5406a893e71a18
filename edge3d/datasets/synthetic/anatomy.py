"""What each vertex of a face model is: skin, lips, brows, eyes, mouth, scalp, beard.

The face model has a shape and no colours. Its landmarks say where brows, lips and lids are, its
separate parts are the eyeballs, and what little light reaches in the neutral face is the inside
of the mouth.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from edge3d.face_model import FaceModel
from edge3d.geometry.mesh import vertex_normals
from edge3d.geometry.sampling import smoothstep as ramp
from edge3d.viz.visibility import visible

IRIS_DEG, PUPIL_DEG = 27.0, 11.0  # half angles seen from the eyeball's centre
FIELDS = 24  # smooth random fields over the skin, of which every face has its own mixture
_BROWS = (slice(17, 22), slice(22, 27))
_UPPER_LIDS = (slice(36, 40), slice(42, 46))


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What each vertex of a face model is, as shares (V,) float32 within 0..1.

    Attributes:
        lips, brows, lashes, cheeks: by distance to their landmarks.
        mouth: inside the mouth. teeth: where teeth are seen.
        eyes: of the eyeballs. iris, pupil: on them.
        scalp_mm: how far above the hairline, negative on the face.
        beard: where a beard grows.
        neck: at the mesh's lower end.
        openness: share of light from all around that reaches the neutral face.
        fields: (V, FIELDS) smooth, of mean 0 and standard deviation 1.
    """

    lips: NDArray[np.float32]
    brows: NDArray[np.float32]
    lashes: NDArray[np.float32]
    cheeks: NDArray[np.float32]
    mouth: NDArray[np.float32]
    teeth: NDArray[np.float32]
    eyes: NDArray[np.float32]
    iris: NDArray[np.float32]
    pupil: NDArray[np.float32]
    scalp_mm: NDArray[np.float32]
    beard: NDArray[np.float32]
    neck: NDArray[np.float32]
    openness: NDArray[np.float32]
    fields: NDArray[np.float32]


def segment_vertices(face_model: FaceModel) -> Anatomy:
    """Find out what each vertex of a face model is, from its landmarks and its neutral shape."""
    points = face_model.mean.astype(np.float64) * face_model.unit_mm
    marks = face_model.landmarks(face_model.mean).astype(np.float64) * face_model.unit_mm
    triangles = face_model.triangles
    eyes, off_axis_deg = _eyeballs(points, triangles)
    skin = 1 - eyes
    open_share = openness(points, triangles)
    front = points[:, 2] > marks[[36, 45], 2].mean() - 20
    inside_lips = _inside_polygon_mm(points, marks[48:60])
    near_mouth = (abs(points[:, 0]) < 1.3 * marks[54, 0]) & (
        abs(points[:, 1] - marks[48:60, 1].mean()) < 32
    )
    hidden = near_mouth & (open_share < 0.3) & (points[:, 2] > marks[[0, 16], 2].mean() - 20)
    mouth = hidden * ramp(0.3 - open_share, 0.12) * skin
    lips = ramp(inside_lips + 1.0, 2.0) * front * skin
    brows = np.maximum(
        *(ramp(5.2 - _distance_to_line(points, marks[part]), 2.5) for part in _BROWS)
    )
    lashes = np.maximum(
        *(ramp(3.0 - _distance_to_line(points, marks[part]), 1.5) for part in _UPPER_LIDS)
    )
    cheek = 0.5 * (marks[[36, 45]] + marks[[48, 54]])
    cheeks = sum(np.exp(-(((points - at) / 17.0) ** 2).sum(axis=1)) for at in cheek)
    # The teeth stand a little behind the upper lip, on the upper side of the mouth.
    lip_line = marks[60:68, 1].mean()
    behind = marks[[51, 62], 2].mean() - points[:, 2]
    teeth = mouth * (points[:, 1] > lip_line) * ramp(behind - 3.0, 2.0)
    teeth = teeth * ramp(15.0 - behind, 4.0)
    return Anatomy(
        *(
            np.asarray(share, np.float32)
            for share in (
                lips * (1 - mouth),
                brows * skin,
                lashes * skin,
                np.minimum(cheeks, 1) * skin,
                mouth,
                teeth,
                eyes,
                eyes * ramp(IRIS_DEG - off_axis_deg, 4.0),
                eyes * ramp(PUPIL_DEG - off_axis_deg, 4.0),
                np.where(eyes > 0, -100, above_hairline_mm(points, marks)),
                _beard(points, marks) * (1 - lips) * skin,
                points[:, 1] < points[:, 1].min() + 12,
                np.where(eyes > 0, 0.85, np.maximum(open_share, 0.55 * teeth)),
                _smooth_fields(points),
            )
        )
    )


def _eyeballs(points: NDArray, triangles: NDArray) -> tuple[NDArray, NDArray]:
    """Return 1 on the eyeballs (V,), and degrees (V,) from where they look in the neutral face.

    They are all parts of the mesh but the largest.
    """
    edges = np.concatenate([triangles[:, :2], triangles[:, 1:]])
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (len(points),) * 2)
    count, part = connected_components(graph, directed=False)
    head = np.bincount(part).argmax()
    off_axis_deg = np.full(len(points), 180.0)
    for number in set(range(count)) - {int(head)}:
        ball = part == number
        centre = 0.5 * (points[ball].min(axis=0) + points[ball].max(axis=0))
        ray = points[ball] - centre
        off_axis_deg[ball] = np.degrees(np.arctan2(np.hypot(ray[:, 0], ray[:, 1]), ray[:, 2]))
    return (part != head).astype(float), off_axis_deg


def openness(points: NDArray, triangles: NDArray, count: int = 48) -> NDArray:
    """Return the share of a surrounding light's irradiance that reaches vertices (V,)."""
    normals = vertex_normals(points, triangles).astype(np.float32)
    step = np.arange(count) + 0.5
    height, turn = 1 - 2 * step / count, np.pi * (1 + np.sqrt(5)) * step  # a Fibonacci sphere
    level = np.sqrt(1 - height**2)
    directions = np.stack([level * np.cos(turn), height, level * np.sin(turn)], axis=1)
    reached, sent = np.zeros(len(points)), np.zeros(len(points))
    for direction in directions:
        facing = np.maximum(normals @ direction, 0)
        sent += facing
        reached += facing * visible(points, triangles, direction, 2.0)
    return reached / np.maximum(sent, 1e-9)


def _distance_to_line(points: NDArray, line: NDArray) -> NDArray:
    """Return distances (V,) of points (V, 3) to a line through (K, 3)."""
    nearest = np.full(len(points), np.inf)
    for start, end in pairwise(line):
        along = end - start
        share = np.clip((points - start) @ along / (along @ along), 0, 1)
        off = np.linalg.norm(points - start - share[:, None] * along, axis=1)
        nearest = np.minimum(nearest, off)
    return nearest


def _inside_polygon_mm(points: NDArray, polygon: NDArray) -> NDArray:
    """Return how far inside a polygon points are, seen from the front; negative outside."""
    outline = polygon[:, :2].astype(np.float32)
    return np.array(
        [cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in points[:, :2]]
    )


def above_hairline_mm(points: NDArray, marks: NDArray) -> NDArray:
    """Return how far up from the hairline (V,); it goes down behind the ears to the neck."""
    brows, nose_base = marks[17:27, 1].mean(), marks[33, 1]
    forehead = points[:, 1] - (brows + 0.95 * (brows - nose_base) - points[:, 0] ** 2 / 250.0)
    ears = marks[[0, 16], 2].mean()
    nape = np.minimum(ears - 26.0 - points[:, 2], points[:, 1] - nose_base + 25.0)
    above_ears = np.minimum(ears + 8.0 - points[:, 2], points[:, 1] - brows + 8.0)
    return np.maximum(np.maximum(forehead, nape), above_ears)


def _beard(points: NDArray, marks: NDArray) -> NDArray:
    """Return where a beard grows (V,): below a line from lips to ears, and on the upper lip."""
    corner, mouth = marks[54, 0], marks[[48, 54], 1].mean()
    upper_end = mouth + 0.9 * np.maximum(abs(points[:, 0]) - corner, 0)
    below = ramp(upper_end - points[:, 1], 6.0) * ramp(points[:, 1] - marks[8, 1] + 22.0, 10.0)
    before_ears = ramp(points[:, 2] - marks[[0, 16], 2].mean() - 4.0, 8.0)
    moustache = ramp(7.0 - _distance_to_line(points, marks[[48, 50, 51, 52, 54]]), 4.0)
    return np.maximum(below * before_ears, moustache * (points[:, 1] > marks[51, 1] - 8))


def _smooth_fields(points: NDArray) -> NDArray:
    """Return FIELDS fields (V, FIELDS), each of a few waves; the later, the finer."""
    rng = np.random.default_rng(0)
    wavelength = np.geomspace(60.0, 8.0, FIELDS)
    fields = np.zeros((len(points), FIELDS))
    for _ in range(6):
        wave = rng.standard_normal((3, FIELDS)) * (2 * np.pi / wavelength) / np.sqrt(3)
        fields += np.sin(points @ wave + rng.uniform(0, 2 * np.pi, FIELDS))
    return (fields - fields.mean(axis=0)) / fields.std(axis=0)
