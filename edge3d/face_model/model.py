"""The face model class: mean, identity and expression bases, landmarks, names, licence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import FaceModelError
from edge3d.geometry.sampling import smoothstep


@dataclass(frozen=True, eq=False)
class FaceModel:
    """A linear 3D morphable model of the face.

    Frame: x to the image's right for a face that looks at the camera, y up, z towards the
    camera; the unit is `unit_mm` millimetres. A shape is
    `mean + identity_basis @ identity + expression_basis @ expression`.

    Attributes:
        name: `open`, `bfm`, or what a user chose.
        mean: (V, 3) float32.
        identity_basis: (V, 3, K) float32; a coefficient of 1 is one standard deviation in the
            open model, and 2DASL's own unit in `bfm`.
        expression_basis: (V, 3, E) float32.
        triangles: (T, 3) int32, counter-clockwise seen from outside.
        landmark_triangles: (68, 3) int32, the three vertices that carry each landmark.
        landmark_weights: (68, 3) float32, their shares in it; they sum to 1, and one may be below
            0: a landmark that lies beside its three vertices.
        expression_names: E names; ARKit's in the open model.
        expression_bounds: lowest and highest coefficient, or None where there is no bound.
        uv: (V, 2) float32 texture coordinates (v up), or None.
        unit_mm: millimetres in one unit of `mean`.
        licence: its text.
        source: where it comes from.
        sha256: of the content (arrays and names), not of the file's bytes.
        parents: what it was made from, each with name, source, licence (SPDX), attribution and
            sha256; empty in files that do not say.
        mesh478_triangles, mesh478_weights: (478, 3) the vertices that carry MediaPipe's 478 face
            mesh points, and their shares; None where they are not placed.
        base_vertex_ids: (C,) int32, MakeHuman's hm08 numbers of the first C vertices, which
            clothes and hair are bound to; None in other models.
    """

    name: str
    mean: NDArray[np.float32]
    identity_basis: NDArray[np.float32]
    expression_basis: NDArray[np.float32]
    triangles: NDArray[np.int32]
    landmark_triangles: NDArray[np.int32]
    landmark_weights: NDArray[np.float32]
    expression_names: tuple[str, ...]
    expression_bounds: tuple[float, float] | None
    uv: NDArray[np.float32] | None
    unit_mm: float
    licence: str
    source: str
    sha256: str
    parents: tuple[dict[str, str], ...] = ()
    mesh478_triangles: NDArray[np.int32] | None = None
    mesh478_weights: NDArray[np.float32] | None = None
    base_vertex_ids: NDArray[np.int32] | None = None

    @property
    def identity_count(self) -> int:
        """Number of identity modes, K."""
        return self.identity_basis.shape[2]

    @property
    def expression_count(self) -> int:
        """Number of expression modes, E."""
        return self.expression_basis.shape[2]

    @property
    def shape_basis(self) -> NDArray[np.float32]:
        """Identity and expression basis joined: (V, 3, K + E) float32.

        Made anew at each access (19 MB for the open model), so that no model holds its bases twice.
        """
        return np.concatenate([self.identity_basis, self.expression_basis], axis=2)

    @cached_property
    def landmark_basis(self) -> NDArray[np.float32]:
        """What the modes of `shape_basis` do to the landmarks: (68, 3, K + E) float32."""
        parts = []
        for basis in (self.identity_basis, self.expression_basis):
            landmarks = self.landmarks(basis.reshape(len(basis), -1))
            parts.append(landmarks.reshape(len(landmarks), 3, -1))
        return np.concatenate(parts, axis=2)

    @cached_property
    def mask(self) -> NDArray[np.float32]:
        """How much each vertex belongs to the face proper: (V,) float32, 0..1, soft at its border.

        The face from ear to ear and from the hairline to the jaw: what pictures lay over a photo,
        where the model's skull, ears and neck would hide hair and clothes. The hairline is taken
        to be as far above the brows as the base of the nose is below them.
        """
        landmarks = self.landmarks(self.mean) * self.unit_mm
        points = self.mean * self.unit_mm
        brows, nose_base = landmarks[17:27, 1].mean(), landmarks[33, 1]
        # The hairline comes down towards the temples: by 14 mm where they are 60 mm out.
        hairline = brows + 0.95 * (brows - nose_base) - points[:, 0] ** 2 / 250.0
        below_hairline = hairline - points[:, 1]
        before_ears = points[:, 2] - landmarks[[0, 16], 2].mean() - 6.0
        # The plane through the chin and both sides of the jaw; its normal points up.
        chin, left, right = landmarks[8], landmarks[4], landmarks[12]
        up = np.cross(left - chin, right - chin)
        up *= np.sign(up[1]) / np.linalg.norm(up)
        above_jaw = (points - chin) @ up + 8.0
        inside = np.minimum(np.minimum(below_hairline, before_ears), above_jaw)
        return smoothstep(inside, width=12.0).astype(np.float32)  # fades over 12 mm

    @cached_property
    def mask_triangles(self) -> NDArray[np.int32]:
        """The triangles (M, 3) that `mask` does not hide."""
        return self.triangles[(self.mask[self.triangles] > 0).any(axis=1)]

    def vertices(
        self, identity: NDArray | None = None, expression: NDArray | None = None
    ) -> NDArray[np.float32]:
        """Return the shape of given coefficients in the model's frame.

        Args:
            identity: (K,) or None for the mean face.
            expression: (E,) or None for the neutral one.

        Returns:
            (V, 3) float32, in units of `unit_mm` millimetres.
        """
        shape = self.mean
        if identity is not None:
            shape = shape + self.identity_basis @ np.asarray(identity, np.float32)
        if expression is not None:
            shape = shape + self.expression_basis @ np.asarray(expression, np.float32)
        return shape

    def landmarks(self, vertices: NDArray) -> NDArray[np.float32]:
        """Return the 68 landmarks on a mesh of this model.

        Args:
            vertices: (..., V, C) float, in any frame: positions, or basis vectors.

        Returns:
            (..., 68, C) float32 in the same frame.
        """
        corners = np.asarray(vertices)[..., self.landmark_triangles, :]  # (..., 68, 3, C)
        return np.einsum("lk,...lkc->...lc", self.landmark_weights, corners).astype(np.float32)

    def mesh478(self, vertices: NDArray) -> NDArray[np.float32]:
        """Return MediaPipe's 478 face mesh points on a mesh of this model.

        Args:
            vertices: (..., V, C) float, in any frame: positions, or basis vectors.

        Returns:
            (..., 478, C) float32 in the same frame.

        Raises:
            FaceModelError: they are not placed on this model.
        """
        if self.mesh478_triangles is None or self.mesh478_weights is None:
            raise FaceModelError(f"face model '{self.name}' has no mesh478 points; use open-2")
        corners = np.asarray(vertices)[..., self.mesh478_triangles, :]
        return np.einsum("lk,...lkc->...lc", self.mesh478_weights, corners).astype(np.float32)
