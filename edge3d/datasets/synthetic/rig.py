"""The whole head around a face model: skull, neck, shoulders, teeth and what parts are bound to.

The open face models are crops of MakeHuman's base mesh hm08. `head_rig.npz` (made by
`tools/build_head_rig.py`) holds the vertices of hm08 around them. Their place for an identity is
extrapolated from the face model's own vertices; for an expression it is hm08's. Both are linear, so
one matrix product makes the whole head.

Frame and unit: the face model's, in millimetres (x right, y up, z towards the camera).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from edge3d.errors import FaceModelError
from edge3d.face_model import FaceModel
from edge3d.face_model.subdivision import catmull_clark, triangulate
from edge3d.geometry.sampling import farthest_points

MM_PER_DM = 100.0
HM08_VERTICES = 19158
BODY_VERTICES = 13380
EYES = (14598, 14742)
LASHES = (14742, 14992)
# Where the mesh is drawn subdivided: landmarks, and the reach around them in mm.
FINE_REGIONS = ((36, 48, 9.0), (48, 68, 10.0), (27, 36, 9.0))
CONTROL_POINTS = 300
FADE_MM = (40.0, 180.0)  # from the face: over it an identity's change fades to its mean


@dataclass(frozen=True, eq=False)
class HeadRig:
    """A face model's whole head as one linear model over the rows of a mesh to render.

    Rows are first those of the face model's own vertices that are rendered, then other vertices of
    hm08. A corner is a row with one texture coordinate; rows on a texture seam have several.

    Attributes:
        face_model: whose head it is.
        mean_mm: (R, 3). basis_mm: (modes, 3 R), identity then expression.
        tongue_out_mm: (R, 3), what ARKit's `tongueOut` moves.
        model_rows: (M,) the face model's vertex in each of the first M rows.
        landmark_rows: (68, 3), the rows that carry the landmarks.
        row_of_hm08: (19158,) row of each hm08 vertex, -1 where there is none.
        triangles: (T, 3) corners; counter-clockwise seen from outside.
        corner_row: (C,) row of each corner. corner_uv: (C, 2) hm08 coordinates, v up.
        is_eye: (C,) on an eyeball.
        rest_gaze: (R, 3) direction from the eyeball's centre in the neutral face, 0 elsewhere.
        axes: (3, 3) turns hm08's axes to the face model's.
        scale: millimetres of the face model's frame in one of hm08's.
    """

    face_model: FaceModel
    mean_mm: NDArray[np.float32]
    basis_mm: NDArray[np.float32]
    tongue_out_mm: NDArray[np.float32]
    model_rows: NDArray[np.int64]
    landmark_rows: NDArray[np.int64]
    row_of_hm08: NDArray[np.int64]
    triangles: NDArray[np.int32]
    corner_row: NDArray[np.int64]
    corner_uv: NDArray[np.float32]
    is_eye: NDArray[np.bool_]
    rest_gaze: NDArray[np.float32]
    axes: NDArray[np.float64]
    scale: float

    def shapes_mm(self, coefficients: NDArray) -> NDArray[np.float32]:
        """Return heads (B, R, 3) of identity and expression coefficients (B, modes)."""
        moved = np.asarray(coefficients, np.float32) @ self.basis_mm
        return self.mean_mm + moved.reshape(len(coefficients), -1, 3)

    def landmarks_mm(self, shape_mm: NDArray) -> NDArray[np.float32]:
        """Return the 68 landmarks (68, 3) of a head (R, 3)."""
        return np.einsum(
            "lk,lkc->lc", self.face_model.landmark_weights, shape_mm[self.landmark_rows]
        )

    @cached_property
    def _triangle_rows(self) -> NDArray[np.int64]:
        return self.corner_row[self.triangles]

    @cached_property
    def _triangles_around(self) -> csr_array:
        count = len(self.triangles)
        entries = np.ones(3 * count, np.float32)
        index = (self._triangle_rows.ravel(), np.repeat(np.arange(count), 3))
        return csr_array((entries, index), shape=(len(self.mean_mm), count))

    def normals(self, shape_mm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return unit normals (R, 3) of a head (R, 3), outwards."""
        a, b, c = (np.ascontiguousarray(shape_mm[self._triangle_rows[:, k]].T) for k in range(3))
        u, v = b - a, c - a
        flat = np.stack(
            [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]],
            axis=1,
        )
        summed = self._triangles_around @ flat
        length = np.sqrt(np.einsum("rc,rc->r", summed, summed))[:, None]
        return summed / np.maximum(length, 1e-9)


def attach_rig(face_model: FaceModel) -> HeadRig:
    """Extend a face model to the whole head.

    Raises:
        FaceModelError: the face model is no crop of hm08 with ARKit's expressions.
    """
    with np.load(str(resources.files("edge3d.datasets.synthetic") / "head_rig.npz")) as file:
        rig = {name: file[name] for name in file.files}
    _check(face_model, rig)
    ids = rig["ids"].astype(np.int64)
    place = np.searchsorted(ids, rig["cage_ids"])  # kept vertex of each cage vertex
    outer = np.setdiff1d(np.arange(len(ids)), place)
    mean = face_model.mean.astype(np.float64) * face_model.unit_mm
    cage = slice(0, len(place))  # the cage's vertices are the mesh's first
    base = rig["positions_dm"].astype(np.float64) * MM_PER_DM
    scale, axes, shift = _similarity(base[place], mean[cage])
    base = scale * base @ axes.T + shift

    identity = face_model.identity_basis.astype(np.float64) * face_model.unit_mm
    weights = _extrapolation(base, place, outer, ids)
    outer_mean = base[outer] + weights @ (mean[cage] - base[place])
    outer_identity = np.tensordot(weights, identity[cage], axes=(1, 0))
    moves = _outer_moves(rig, outer, scale * axes * MM_PER_DM)
    names = [str(name) for name in rig["expression_names"]]
    outer_expression = np.stack([moves[names.index(n)] for n in face_model.expression_names], 2)

    model_rows, triangles, corner_row, corner_uv = _render_mesh(face_model, rig, place, outer)
    expression = face_model.expression_basis * face_model.unit_mm
    basis = np.concatenate(
        [
            np.concatenate([identity[model_rows], expression[model_rows]], axis=2),
            np.concatenate([outer_identity, outer_expression], axis=2),
        ]
    )
    mean_mm = np.concatenate([mean[model_rows], outer_mean])
    row_of_hm08 = np.full(HM08_VERTICES, -1)
    row_of_hm08[rig["cage_ids"]] = np.arange(len(place))
    row_of_hm08[ids[outer]] = len(model_rows) + np.arange(len(outer))
    tongue = np.zeros_like(mean_mm)
    tongue[len(model_rows) :] = moves[names.index("tongueOut")]
    is_eye_row = np.zeros(len(mean_mm), bool)
    is_eye_row[: len(model_rows)] = _on_eyeballs(face_model, rig)[model_rows]
    return HeadRig(
        face_model=face_model,
        mean_mm=mean_mm.astype(np.float32),
        basis_mm=np.ascontiguousarray(basis.reshape(-1, basis.shape[2]).T, np.float32),
        tongue_out_mm=tongue.astype(np.float32),
        model_rows=model_rows,
        landmark_rows=np.searchsorted(model_rows, face_model.landmark_triangles),
        row_of_hm08=row_of_hm08,
        triangles=triangles,
        corner_row=corner_row,
        corner_uv=corner_uv,
        is_eye=is_eye_row[corner_row],
        rest_gaze=_rest_gaze(mean_mm, is_eye_row),
        axes=axes,
        scale=scale,
    )


def _check(face_model: FaceModel, rig: dict[str, NDArray]) -> None:
    mesh = triangulate(catmull_clark(rig["cage_quads"], len(rig["cage_ids"])).quads)
    unknown = set(face_model.expression_names) - {str(n) for n in rig["expression_names"]}
    if unknown or not np.array_equal(mesh, face_model.triangles):
        reason = f"expressions {sorted(unknown)[:3]}" if unknown else "its mesh"
        raise FaceModelError(
            f"face model '{face_model.name}' cannot be rendered as a whole head: {reason} not "
            "known to edge3d/datasets/synthetic/head_rig.npz; use the open face model"
        )


def _similarity(source: NDArray, target: NDArray) -> tuple[float, NDArray, NDArray]:
    """Return scale, rotation and shift of the least squares similarity of (N, 3) to (N, 3)."""
    from_mean, to_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - from_mean, target - to_mean
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((s * sign).sum() / (a**2).sum())
    return scale, rotation, to_mean - scale * rotation @ from_mean


def _extrapolation(base: NDArray, place: NDArray, outer: NDArray, ids: NDArray) -> NDArray:
    """Return weights (O, cage) that carry displacements of the cage to the outer vertices.

    A biharmonic spline (kernel r, with a linear part) through control points on the skin; far from
    the face it fades to the mean displacement of the lower control points, the neck's. Lashes
    follow the lids that they stand on.
    """
    skin = np.flatnonzero(ids[place] < BODY_VERTICES)
    points = base[place[skin]]
    chosen = farthest_points(points, CONTROL_POINTS)
    control, centre = points[chosen], points.mean(axis=0)
    count = len(control)

    def affine(at: NDArray) -> NDArray:
        return np.concatenate([np.ones((len(at), 1)), (at - centre) / 100.0], axis=1)

    system = np.zeros((count + 4, count + 4))
    system[:count, :count] = -cdist(control, control) / 100.0 - 0.02 * np.eye(count)
    system[:count, count:] = affine(control)
    system[count:, :count] = affine(control).T
    target = base[outer]
    row = np.concatenate([-cdist(target, control) / 100.0, affine(target)], axis=1)
    spline = np.linalg.solve(system.T, row.T).T[:, :count]
    distance = cKDTree(points).query(target)[0]
    far = np.clip((distance - FADE_MM[0]) / (FADE_MM[1] - FADE_MM[0]), 0, 1)[:, None]
    low = control[:, 1] < np.quantile(control[:, 1], 0.15)
    spline = (1 - far) * spline + far * (low / low.sum())
    weights = np.zeros((len(outer), len(place)))
    weights[:, skin[chosen]] = spline
    lashes = np.flatnonzero((ids[outer] >= LASHES[0]) & (ids[outer] < LASHES[1]))
    near_mm, near = cKDTree(points).query(target[lashes], k=3)
    share: NDArray = 1.0 / (np.asarray(near_mm) + 0.5) ** 2
    weights[lashes] = 0
    weights[lashes[:, None], skin[near]] = share / share.sum(axis=1, keepdims=True)
    return weights


def _outer_moves(rig: dict[str, NDArray], outer: NDArray, turn: NDArray) -> NDArray:
    """Return what each expression moves the outer vertices by (E, O, 3), turned by (3, 3)."""
    moves = np.zeros((len(rig["expression_names"]), len(rig["ids"]), 3))
    number, vertex = rig["expression_index"].T.astype(np.int64)
    moves[number, vertex] = rig["expression_moves_dm"]
    return moves[:, outer] @ turn.T


def _on_eyeballs(face_model: FaceModel, rig: dict[str, NDArray]) -> NDArray[np.bool_]:
    """Return which vertices (V,) of the subdivided mesh are on eyeballs."""
    of_cage = (rig["cage_ids"] >= EYES[0]) & (rig["cage_ids"] < EYES[1])
    quads = catmull_clark(rig["cage_quads"], len(of_cage)).quads
    on_eye = np.zeros(len(face_model.mean), bool)
    on_eye[quads[of_cage[rig["cage_quads"][:, 0]].repeat(4)]] = True
    return on_eye


def _rest_gaze(mean_mm: NDArray, is_eye: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return unit directions (R, 3) from the eyeballs' centres, 0 off the eyeballs."""
    rays = np.zeros((len(mean_mm), 3), np.float32)
    for side in (-1, 1):
        ball = np.flatnonzero(is_eye & (mean_mm[:, 0] * side > 0))
        points = mean_mm[ball]
        # The sphere through the points: |p|^2 = 2 c p + (r^2 - |c|^2) is linear in c.
        design = np.concatenate([2 * points, np.ones((len(ball), 1))], axis=1)
        centre = np.linalg.lstsq(design, (points**2).sum(axis=1), rcond=None)[0][:3]
        ray = points - centre
        rays[ball] = ray / np.linalg.norm(ray, axis=1, keepdims=True)
    return rays


def _render_mesh(
    face_model: FaceModel, rig: dict[str, NDArray], place: NDArray, outer: NDArray
) -> tuple[NDArray, NDArray[np.int32], NDArray, NDArray[np.float32]]:
    """Return the face model's vertices to render, triangles of corners, their rows and UV.

    Quads near eyes, mouth and nose, and eyeballs, are drawn subdivided as the face model has them;
    the others as one quad of subdivided positions. A coarse quad beside a fine one is a fan around
    its middle with the fine side's vertex in it, so that there are no gaps.
    """
    cage_quads = rig["cage_quads"].astype(np.int64)
    subdivided = catmull_clark(cage_quads, len(place)).quads.reshape(-1, 4, 4)
    # A quad of the cage gives 4 quads, each (corner, edge after it, middle, edge before it).
    edges, middles = subdivided[:, :, 1], subdivided[:, 0, 2]
    fine = _fine_quads(face_model, middles) | _on_eyeballs(face_model, rig)[middles]
    fine_edges = np.unique(edges[fine])
    split = np.isin(edges, fine_edges) & ~fine[:, None]
    corner_uv = rig["uv"][rig["quad_uv"]].astype(np.float64)
    uv_of_quad = {tuple(q): t for q, t in zip(rig["quads"].tolist(), corner_uv, strict=True)}
    polygons: list[tuple[list[int], NDArray]] = []
    for number, quad in enumerate(cage_quads):
        uv = uv_of_quad[tuple(place[quad].tolist())]
        uv_edge = 0.5 * (uv + np.roll(uv, -1, axis=0))
        if fine[number]:
            middle_uv = uv.mean(axis=0)
            for k in range(4):
                coordinates = np.stack([uv[k], uv_edge[k], middle_uv, uv_edge[k - 1]])
                polygons.append((subdivided[number, k].tolist(), coordinates))
        elif split[number].any():
            ring, ring_uv = [], []
            for k in range(4):
                ring.append(int(quad[k]))
                ring_uv.append(uv[k])
                if split[number, k]:
                    ring.append(int(edges[number, k]))
                    ring_uv.append(uv_edge[k])
            for k in range(len(ring)):
                after = (k + 1) % len(ring)
                coordinates = np.stack([uv.mean(axis=0), ring_uv[k], ring_uv[after]])
                polygons.append(([int(middles[number]), ring[k], ring[after]], coordinates))
        else:
            polygons.append((quad.tolist(), uv))
    wanted = {v for polygon, _ in polygons for v in polygon}
    wanted |= set(face_model.landmark_triangles.ravel().tolist())
    extra = sorted(wanted - set(range(len(place))))
    model_rows = np.concatenate([np.arange(len(place)), extra]).astype(np.int64)
    row_of_model = np.full(len(face_model.mean), -1)
    row_of_model[model_rows] = np.arange(len(model_rows))
    row_of_kept = np.full(len(rig["ids"]), -1)
    row_of_kept[place] = np.arange(len(place))
    row_of_kept[outer] = len(model_rows) + np.arange(len(outer))
    in_cage = {tuple(q) for q in place[cage_quads].tolist()}
    corners = [(row_of_model[polygon], uv) for polygon, uv in polygons]
    corners += [
        (row_of_kept[list(quad)], uv) for quad, uv in uv_of_quad.items() if quad not in in_cage
    ]
    return model_rows, *_corners(corners)


def _fine_quads(face_model: FaceModel, middles: NDArray) -> NDArray[np.bool_]:
    """Return which quads (Q,), given their middle vertices, lie near eyes, mouth or nose."""
    marks = face_model.landmarks(face_model.mean) * face_model.unit_mm
    points = face_model.mean[middles] * face_model.unit_mm
    near = np.zeros(len(middles), bool)
    for start, stop, reach in FINE_REGIONS:
        near |= cKDTree(marks[start:stop]).query(points)[0] < reach
    return near


def _corners(
    polygons: list[tuple[NDArray, NDArray]],
) -> tuple[NDArray[np.int32], NDArray, NDArray[np.float32]]:
    """Return triangles of numbered corners, and the corners' rows and texture coordinates."""
    number: dict[tuple[int, float, float], int] = {}
    triangles = []
    for rows, uv in polygons:
        keys = zip(rows.tolist(), *np.round(uv, 5).T.tolist(), strict=True)
        ids = [number.setdefault(key, len(number)) for key in keys]
        triangles += [(ids[0], ids[k], ids[k + 1]) for k in range(1, len(ids) - 1)]
    table = np.array(list(number))
    return np.array(triangles, np.int32), table[:, 0].astype(np.int64), table[:, 1:].astype("f4")
