"""What stays the same of a rendered head: where skin, neck, beard and hair are, and its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from edge3d.datasets.synthetic.anatomy import (
    above_hairline_mm,
    openness,
    ramp,
    segment_vertices,
)
from edge3d.datasets.synthetic.assets import Assets, Part
from edge3d.datasets.synthetic.rig import MM_PER_DM, HeadRig
from edge3d.geometry.mesh import vertex_normals


@dataclass(frozen=True, eq=False)
class HeadMesh:
    """Per-corner values of a rig's mesh that no face changes.

    Attributes:
        skin_triangles, eye_triangles: corners, as the rig's.
        uv: (C, 2) in the skin's texture, v down. rest: (C, 3) mm on the mean head.
        shares: (C, 4) openness to light, neck, eye socket, beard.
        extra: (C, 2) mm above the hairline / 100, lips. gaze: (C, 3).
        body: (R,) how much a row stays with the body when the head turns.
        neck_mm: (3,) the point that the head turns about.
    """

    skin_triangles: NDArray[np.int32]
    eye_triangles: NDArray[np.int32]
    uv: NDArray[np.float32]
    rest: NDArray[np.float32]
    shares: NDArray[np.float32]
    extra: NDArray[np.float32]
    gaze: NDArray[np.float32]
    body: NDArray[np.float32]
    neck_mm: NDArray[np.float32]


def make_head_mesh(rig: HeadRig, assets: Assets) -> HeadMesh:
    """Find out what each corner of a rig's mesh is."""
    points = rig.mean_mm.astype(np.float64)
    marks = rig.landmarks_mm(rig.mean_mm).astype(np.float64)
    triangles = rig.corner_row[rig.triangles]
    anatomy = segment_vertices(rig.face_model)
    rows = len(rig.model_rows)

    def of_model(values: NDArray) -> NDArray:
        full = np.zeros(len(points))
        full[:rows] = values[rig.model_rows]
        return full

    u0, u1, v0, v1 = assets.uv_crop
    u = (rig.corner_uv[:, 0] - u0) / (u1 - u0)
    v = 1 - (rig.corner_uv[:, 1] - v0) / (v1 - v0)
    outside = (u < 0) | (u > 1) | (v < 0) | (v > 1)
    at = points[rig.corner_row]
    balls = points[rig.corner_row[rig.is_eye]]
    near_eye = np.asarray(cKDTree(balls).query(at)[0]) < 14.0
    socket = outside & near_eye & ~rig.is_eye
    below = outside & ~near_eye
    to_neck = np.asarray(cKDTree(at[below]).query(at)[0])
    neck = np.where(below, 1.0, ramp(14.0 - to_neck, 14.0) * (at[:, 1] < marks[8, 1] + 25))
    light = np.maximum(openness(points, triangles), 0.12)
    beard = of_model(anatomy.beard)
    hairline = above_hairline_mm(points, marks)
    lips = of_model(anatomy.lips)
    eye = rig.is_eye[rig.triangles].all(axis=1)
    row = rig.corner_row
    chin = marks[8]
    return HeadMesh(
        skin_triangles=rig.triangles[~eye],
        eye_triangles=rig.triangles[eye],
        uv=np.stack([u, v], axis=1).astype(np.float32),
        rest=at.astype(np.float32),
        shares=np.stack([light[row], neck, socket, beard[row]], axis=1).astype(np.float32),
        extra=np.stack([hairline[row] / 100.0, lips[row]], axis=1).astype(np.float32),
        gaze=rig.rest_gaze[row],
        body=ramp(chin[1] - 15.0 - points[:, 1] - 0.35 * points[:, 2], 90.0).astype(np.float32),
        neck_mm=np.array([0.0, chin[1] - 10.0, marks[[0, 16], 2].mean() - 15.0], np.float32),
    )


class BoundPart:
    """A part that follows a rig: positions of its corners on a head.

    Args:
        part: from the assets.
        rig: whose rows carry it.
    """

    def __init__(self, part: Part, rig: HeadRig) -> None:
        self.part = part
        rows = rig.row_of_hm08[part.ref]
        kept = np.asarray((rows >= 0).all(axis=1))
        self._rows = np.maximum(rows, 0)
        self._scale_rows = rig.row_of_hm08[part.scale_ref]
        self._axes = rig.axes.astype(np.float32)
        self._unit = np.float32(MM_PER_DM * rig.scale)
        usable = kept[part.corner_vertex]
        self.triangles = part.triangles[usable[part.triangles].all(axis=1)]
        if part.kind == "teeth":
            self.triangles = _front_teeth(part, self.triangles, self.corners(rig.mean_mm))
        self.rest = self.corners(rig.mean_mm)
        corner_vertices = part.corner_vertex[self.triangles]
        rest = self.vertices(rig.mean_mm)
        self.normals = vertex_normals(rest, corner_vertices)[part.corner_vertex]

    def vertices(self, shape_mm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the part's vertices (N, 3) on a head (R, 3)."""
        part = self.part
        ends = (shape_mm[self._scale_rows[:, 0]] - shape_mm[self._scale_rows[:, 1]]) @ self._axes
        scale = abs(ends[range(3), range(3)]) / (self._unit * part.scale_div)
        # Sums written out: einsum over three short axes is several times slower.
        placed = (part.offset * (scale * self._unit).astype(np.float32)) @ self._axes.T
        for corner in range(3):
            placed += part.weight[:, corner, None] * shape_mm[self._rows[:, corner]]
        if part.kind == "teeth":  # real ones stand a little behind where the mesh has them
            placed[:, 2] -= 2.0
        return placed

    def corners(self, shape_mm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the part's corners (C, 3) on a head (R, 3)."""
        return self.vertices(shape_mm)[self.part.corner_vertex]


def _front_teeth(part: Part, triangles: NDArray, corners: NDArray) -> NDArray[np.int32]:
    """Return the triangles of teeth that a camera sees: the front, and of the gums the upper."""
    a, b, c = (corners[triangles[:, k]] for k in range(3))
    outwards = np.cross(b - a, c - a)[:, 2] > 0
    middle = (a + b + c) / 3
    height, width = part.texture_rgba.shape[:2]
    at = part.corner_uv[triangles].mean(axis=1)
    column = np.clip(at[:, 0] * width, 0, width - 1).astype(int)
    row = np.clip(at[:, 1] * height, 0, height - 1).astype(int)
    red, green = part.texture_rgba[row, column, :2].T.astype(int)
    is_gum: NDArray[np.bool_] = red > 1.35 * green + 10
    lower = middle[:, 1] < np.median(middle[:, 1])
    front = middle[:, 2] > corners[:, 2].max() - 32
    return triangles[outwards & front & ~(is_gum & lower)]


def texture_mean(part: Part) -> float:
    """Return the luminance of a part's texture, linear, by its opacity."""
    alpha = part.texture_rgba[..., 3].astype(np.float64)
    colour = (part.texture_rgba[..., :3] / 255.0) ** 2
    return float((colour @ [0.3, 0.6, 0.1] * alpha).sum() / max(alpha.sum(), 1.0))
