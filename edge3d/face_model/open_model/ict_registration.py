"""Registers the hm08 head to ICT-FaceKit's mean head and carries its identity modes over.

Landmarks and the rims of lids and lips first, then the surface with a stiffness lowered in steps
(optimal-step non-rigid ICP: B. Amberg, S. Romdhani, T. Vetter, "Optimal step nonrigid ICP
algorithms for surface registration", 2007), last a smooth displacement along the normals.
Correspondences must have compatible normals and lie off the target's borders. What ICT-FaceKit
has no surface for (mouth, eye sockets, inner nostrils) follows its surroundings.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from edge3d.errors import FaceModelError
from edge3d.face_model.correspondence import closest_on_surface
from edge3d.face_model.subdivision import catmull_clark, triangulate
from edge3d.geometry.similarity import fit_similarity

UNIT_MM = 100.0  # brings coordinates to the order of 1, so that shear and shift weigh alike
# Stiffness, weight of the landmarks, greatest distance of a correspondence in mm.
STEPS = (
    *((stiffness, 20.0, 12.0) for stiffness in (200.0, 80.0, 30.0)),
    *((stiffness, 10.0, 6.0) for stiffness in (12.0, 6.0, 3.0, 3.0)),
    *((stiffness, 5.0, 4.0) for stiffness in (1.5, 1.5, 0.8, 0.8)),
)
BENDING = (3.0, 1.0, 0.3, 0.1, 0.1)  # of the displacement in the last steps
LEAST_COSINE = 0.6  # between the normals of corresponding points
MODE_BENDING = 0.02


@dataclass(frozen=True)
class IctHead:
    """ICT-FaceKit's head: mean (V, 3) and modes (V, 3, K) in mm, triangles, 68 landmark ids."""

    mean: NDArray[np.float64]
    modes: NDArray[np.float64]
    triangles: NDArray[np.int32]
    landmarks: NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Points of both heads that mean the same.

    Attributes:
        vertex_ids: (P,) numbers of the cage. goals: (P, 3) on the ICT head, mm.
    """

    vertex_ids: NDArray[np.int64]
    goals: NDArray[np.float64]


def read_ict(path: str | Path) -> IctHead:
    """Read `ict_facekit.npz`.

    Raises:
        FaceModelError: it is missing or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return IctHead(
                mean=file["mean_mm"].astype(np.float64),
                modes=file["identity_basis_mm"].astype(np.float64),
                triangles=triangulate(file["quads"]),
                landmarks=file["landmarks68"].astype(np.int64),
            )
    except (OSError, KeyError, ValueError) as error:
        raise FaceModelError(
            f"{path} is not ICT-FaceKit's ict_facekit.npz ({error}); "
            "give the file with mean_mm, identity_basis_mm, quads and landmarks68"
        ) from error


def mirror_of(points: NDArray) -> NDArray[np.int64]:
    """Return the vertex (V,) nearest to each one's mirror image in x."""
    return np.asarray(cKDTree(points).query(points * [-1, 1, 1])[1], np.int64)


def vertex_normals(vertices: NDArray, triangles: NDArray) -> NDArray[np.float64]:
    """Return unit normals (V, 3), weighted by the triangles' areas."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    normals = np.zeros(vertices.shape)
    for k in range(3):
        np.add.at(normals, triangles[:, k], face)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(normals / np.maximum(length, 1e-12))


def read_pairs(vertex_ids: NDArray, positions: NDArray, ict: IctHead) -> Pairs:
    """Return the pairs of `ict_pairs.json` on both sides of the head.

    Args:
        vertex_ids: (V,) hm08 numbers of the cage's vertices, ascending. positions: (V, 3).
        ict: the head they are paired with.
    """
    text = (resources.files("edge3d.face_model.open_model") / "ict_pairs.json").read_text("utf-8")
    table = json.loads(text)
    ours = [np.array([a for a, _ in table["points"]])]
    goals = [ict.mean[[b for _, b in table["points"]]]]
    for own, theirs in table["curves"]:
        ids = np.searchsorted(vertex_ids, own)
        ours.append(np.array(own))
        goals.append(_along(ict.mean[theirs], _arc_length(positions[ids])))
    place = np.searchsorted(vertex_ids, np.concatenate(ours))
    place, first = np.unique(place, return_index=True)
    goal = np.concatenate(goals)[first]
    middle = abs(positions[place, 0]) < 1e-3
    goal[middle, 0] = 0.0
    other = mirror_of(positions)[place[~middle]]
    return Pairs(np.concatenate([place, other]), np.concatenate([goal, goal[~middle] * [-1, 1, 1]]))


def _arc_length(points: NDArray) -> NDArray:
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(length / length[-1])


def _along(curve: NDArray, share: NDArray) -> NDArray:
    own = _arc_length(curve)
    return np.stack([np.interp(share, own, curve[:, k]) for k in range(3)], axis=1)


class Registration:
    """The state of a registration: the cage's positions, and what does not change with them."""

    def __init__(
        self, positions: NDArray, quads: NDArray, pairs: Pairs, follows: NDArray, ict: IctHead
    ) -> None:
        """Keep the cage (V, 3) in mm, its quads, the pairs, who merely follows (V,), the goal."""
        self.pairs, self.ict = pairs, ict
        subdivision = catmull_clark(quads, len(positions))
        self.triangles = triangulate(subdivision.quads)
        rows = np.repeat(
            np.arange(len(subdivision.start)),
            np.diff(np.append(subdivision.start, len(subdivision.index))),
        )
        self.subdivide = sp.csr_matrix((subdivision.weight, (rows, subdivision.index)))
        self.free = np.asarray(self.subdivide @ follows.astype(float)) < 1e-6
        self.mirror = mirror_of(positions)
        sides = np.sort(np.stack([quads, np.roll(quads, -1, 1)], 2).reshape(-1, 2), axis=1)
        self.edges = np.unique(sides, axis=0)
        pose = fit_similarity(
            positions[pairs.vertex_ids][None], pairs.goals[None], np.ones(len(pairs.goals))
        )
        self.start = self.position = pose.apply(positions[None])[0]
        self.ict_normals = vertex_normals(ict.mean, ict.triangles)
        sides = np.sort(ict.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        sides, count = np.unique(sides, axis=0, return_counts=True)
        self.at_border = np.zeros(len(ict.mean), bool)
        self.at_border[sides[count == 1].ravel()] = True
        # Umbrella Laplacian of the cage, for bending.
        ones = np.ones(len(self.edges))
        one_way = sp.csr_matrix((ones, self.edges.T), (len(positions),) * 2)
        near = one_way + one_way.T
        degree = np.asarray(near.sum(axis=1)).ravel()
        self.laplacian = (sp.identity(len(positions)) - sp.diags(1 / degree) @ near).tocsr()

    def correspondences(self, reach_mm: float) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Return subdivided vertices that correspond (N,), goals, their normals, and weights."""
        fine = self.subdivide @ self.position
        triangle, weights = closest_on_surface(fine, self.ict.mean, self.ict.triangles)
        corners = self.ict.triangles[triangle]
        goal = np.einsum("nk,nkc->nc", weights, self.ict.mean[corners])
        normal = np.einsum("nk,nkc->nc", weights, self.ict_normals[corners])
        cosine = (normal * vertex_normals(fine, self.triangles)).sum(axis=1)
        border = (weights * self.at_border[corners]).sum(axis=1) > 0.99
        distance = np.linalg.norm(goal - fine, axis=1)
        good = np.flatnonzero(self.free & (cosine > LEAST_COSINE) & ~border & (distance < reach_mm))
        weight = 1 / (1 + (distance[good] / (0.5 * reach_mm)) ** 2)
        return good, goal[good], normal[good], weight

    def bend(self, stiffness: float, pair_weight: float, reach_mm: float) -> None:
        """Take one step of non-rigid ICP with an affine map for each vertex."""
        count = len(self.start)
        edge = np.arange(len(self.edges))
        incidence = sp.coo_matrix(
            (
                np.r_[np.ones(len(edge)), -np.ones(len(edge))],
                (np.r_[edge, edge], self.edges.T.ravel()),
            ),
            (len(edge), count),
        )
        smooth = np.sqrt(stiffness) * sp.kron(incidence, sp.identity(4))
        homogeneous = np.column_stack([self.start / UNIT_MM, np.ones(count)])
        own = sp.csr_matrix(
            (homogeneous.ravel(), (np.repeat(np.arange(count), 4), np.arange(4 * count)))
        )
        good, goal, _, weight = self.correspondences(reach_mm)
        data = sp.diags(np.sqrt(weight)) @ self.subdivide[good] @ own
        marks = np.sqrt(pair_weight) * own[self.pairs.vertex_ids]
        matrix = sp.vstack([smooth, data, marks]).tocsc()
        right = np.concatenate(
            [
                np.zeros((smooth.shape[0], 3)),
                np.sqrt(weight)[:, None] * goal / UNIT_MM,
                np.sqrt(pair_weight) * self.pairs.goals / UNIT_MM,
            ]
        )
        maps = splu((matrix.T @ matrix).tocsc()).solve(matrix.T @ right)
        self._move_to(UNIT_MM * (own @ maps))

    def press(self, bending: float, pair_weight: float, reach_mm: float) -> None:
        """Take one step along the goal's normals, the displacement kept from bending."""
        good, goal, normal, weight = self.correspondences(reach_mm)
        count = len(self.start)
        fine = self.subdivide[good]
        along = [sp.diags(np.sqrt(weight) * normal[:, k]) @ fine for k in range(3)]
        gap = goal - fine @ self.position
        blocks = [
            sp.hstack(along),
            sp.kron(sp.identity(3), 0.2 * sp.diags(np.sqrt(weight)) @ fine),
            sp.kron(sp.identity(3), np.sqrt(bending) * self.laplacian),
            sp.kron(
                sp.identity(3),
                np.sqrt(pair_weight) * sp.identity(count, format="csr")[self.pairs.vertex_ids],
            ),
            1e-3 * sp.identity(3 * count),
        ]
        ahead = self.pairs.goals - self.position[self.pairs.vertex_ids]
        right = np.concatenate(
            [
                np.sqrt(weight) * (gap * normal).sum(axis=1),
                0.2 * (np.sqrt(weight)[:, None] * gap).T.ravel(),
                np.zeros(3 * count),
                np.sqrt(pair_weight) * ahead.T.ravel(),
                np.zeros(3 * count),
            ]
        )
        matrix = sp.vstack(blocks).tocsc()
        move = splu((matrix.T @ matrix).tocsc()).solve(matrix.T @ right)
        self._move_to(self.position + move.reshape(3, -1).T)

    def _move_to(self, position: NDArray) -> None:
        self.position = 0.5 * (position + position[self.mirror] * [-1, 1, 1])

    def run(self) -> NDArray[np.float64]:
        """Take all steps and return the cage's positions (V, 3) in ICT's frame, mm."""
        for stiffness, pair_weight, reach_mm in STEPS:
            self.bend(stiffness, pair_weight, reach_mm)
        for bending in BENDING:
            self.press(bending, 1.0, 3.0)
        return self.position

    def carried_modes(self) -> NDArray[np.float64]:
        """Return ICT's modes on the cage (V, 3, K), smoothly continued where ICT has no surface."""
        good, _, _, weight = self.correspondences(2.0)
        fine = (self.subdivide @ self.position)[good]
        triangle, shares = closest_on_surface(fine, self.ict.mean, self.ict.triangles)
        corners = self.ict.triangles[triangle]
        wanted = np.einsum("nk,nkcm->ncm", shares, self.ict.modes[corners])
        data = sp.diags(np.sqrt(weight)) @ self.subdivide[good]
        matrix = sp.vstack([data, np.sqrt(MODE_BENDING) * self.laplacian]).tocsc()
        flat = np.sqrt(weight)[:, None] * wanted.reshape(len(good), -1)
        right = np.concatenate([flat, np.zeros((len(self.start), flat.shape[1]))])
        system = (matrix.T @ matrix + 1e-9 * sp.identity(len(self.start))).tocsc()
        return np.asarray(splu(system).solve(matrix.T @ right).reshape(len(self.start), 3, -1))
