"""From parameters to landmarks, a mesh, the head's pose and blendshapes, in crop pixels.

Every user of a network's output decodes it here: training targets, evaluation, parity checks,
the reconstructor. Coordinates: pixels of the 120 px crop, 0-based at pixel centres, y down;
z in the same pixels, positive towards the camera, 0 at the model's origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.face_model import FaceModel
from edge3d.model.camera import camera_of, rotation_and_scale, with_camera
from edge3d.model.local_basis import LocalBasis
from edge3d.model.parameters import ParameterLayout

if TYPE_CHECKING:  # it imports scipy, which decoding does not need
    from edge3d.face_model.dense_points import DensePoints


@dataclass(frozen=True, eq=False)
class PointTable:
    """Points of a face model as a linear function of identity and expression.

    Attributes:
        mean: (3 N,), x, y and z of one point after the other.
        basis: (K + E, 3 N).
    """

    mean: NDArray[np.float32]
    basis: NDArray[np.float32]

    @staticmethod
    def of(mean: NDArray, basis: NDArray) -> PointTable:
        """Lay out a mean (N, 3) and a basis (N, 3, K + E)."""
        by_mode = np.ascontiguousarray(basis.reshape(-1, basis.shape[2]).T, np.float32)
        return PointTable(np.array(mean, np.float32).reshape(-1), by_mode)


@dataclass(frozen=True, eq=False)
class DecoderTables:
    """What decoders of one layout and face model compute with, in NumPy, torch or a graph.

    Args:
        face_model: whose coefficients the parameters hold.
        layout: of the parameters; its sizes must be the face model's.

    Raises:
        ValueError: layout and face model do not fit.
    """

    face_model: FaceModel
    layout: ParameterLayout

    def __post_init__(self) -> None:
        modes = self.face_model.identity_count + self.face_model.expression_count
        own = self.layout.shape.stop - self.layout.shape.start
        if own != modes:
            raise ValueError(
                f"the layout has {own} shape parameters, face model "
                f"'{self.face_model.name}' has {modes}"
            )

    @property
    def expression_bounds(self) -> tuple[float, float] | None:
        """Lowest and highest expression coefficient, or None without bounds."""
        return self.face_model.expression_bounds

    def landmarks(self) -> PointTable:
        """Return the table of the 68 landmarks."""
        model = self.face_model
        return PointTable.of(model.landmarks(model.mean), model.landmark_basis)

    def vertices(self) -> PointTable:
        """Return the table of all vertices."""
        return PointTable.of(self.face_model.mean, self.face_model.shape_basis)

    def landmarks_and(self, points: DensePoints) -> PointTable:
        """Return the table of the 68 landmarks and, behind them, of dense points."""
        model = self.face_model
        return PointTable.of(
            np.concatenate([model.landmarks(model.mean), points.on_target(model.mean)]),
            np.concatenate([model.landmark_basis, points.on_target(model.shape_basis)]),
        )


class Decoder:
    """Decodes parameters of one layout with one face model.

    The bases are laid out once so that a dense decode of one face is one matrix product; with the
    identity held, as in video, it is cheaper still.

    Args and errors: as `DecoderTables`.
    """

    def __init__(self, face_model: FaceModel, layout: ParameterLayout) -> None:
        tables = DecoderTables(face_model, layout)
        self.face_model = face_model
        self.layout = layout
        self._vertices = tables.vertices()
        self._landmarks = tables.landmarks()

    def params(self, whitened: NDArray) -> NDArray[np.float32]:
        """Return parameters (..., P) of a network's output: unwhitened, expressions bounded."""
        params = self.layout.unwhiten(whitened)
        if self.face_model.expression_bounds is not None:
            expression = self.layout.part(params, "expression")  # a view
            np.clip(expression, *self.face_model.expression_bounds, out=expression)
        return params

    def camera(self, params: NDArray) -> tuple[NDArray, NDArray]:
        """Return the linear part (B, 3, 3) and translation (B, 3) of cameras; see `camera_of`."""
        return camera_of(self.layout, params)

    def with_camera(
        self, params: NDArray, linear: NDArray, translation: NDArray
    ) -> NDArray[np.float32]:
        """Return parameters (B, P) with other cameras; see `edge3d.model.camera.with_camera`."""
        return with_camera(self.layout, params, linear, translation)

    def rotation_and_scale(self, params: NDArray) -> tuple[NDArray, NDArray]:
        """Return proper rotations (B, 3, 3), model to camera, y up, and scales (B,) of (B, P)."""
        return rotation_and_scale(self.layout, params)

    def landmarks(self, params: NDArray) -> NDArray[np.float32]:
        """Return the 68 landmarks (B, 68, 3) in crop pixels of parameters (B, P)."""
        return self._project(params, self._landmarks)

    def vertices(self, params: NDArray) -> NDArray[np.float32]:
        """Return the mesh (B, V, 3) in crop pixels of parameters (B, P)."""
        return self._project(params, self._vertices)

    def identity_shape(self, identity: NDArray) -> NDArray[np.float32]:
        """Return a neutral face (V, 3) in model units, to hold fixed in `vertices_of_identity`."""
        return self.face_model.vertices(identity=identity)

    def vertices_of_identity(self, params: NDArray, identity_shape: NDArray) -> NDArray[np.float32]:
        """Return the mesh (B, V, 3) in crop pixels with the identity held fixed.

        Args:
            params: (B, P), whose identity is not looked at.
            identity_shape: (V, 3) from `identity_shape`.
        """
        expressions = self.layout.part(params, "expression")
        shapes = [identity_shape + self._expressions.combined(one) for one in expressions]
        return self._place(params, np.stack(shapes))

    @cached_property
    def _expressions(self) -> LocalBasis:
        return LocalBasis(self.face_model.expression_basis)

    def _project(self, params: NDArray, table: PointTable) -> NDArray[np.float32]:
        coefficients = self.layout.coefficients(params)
        return self._place(params, table.mean + _combined(table.basis, coefficients))

    def _place(self, params: NDArray, shape: NDArray) -> NDArray[np.float32]:
        """Bring shapes (B, 3 N) in model units to crop pixels (B, N, 3)."""
        linear, translation = self.camera(params)
        cameras = np.concatenate([linear, translation[:, :, None]], axis=2).astype(np.float32)
        points = shape.reshape(len(params), 1, -1, 3).astype(np.float32, copy=False)
        placed = np.empty((len(params), *points.shape[2:]), np.float32)
        for face, camera, out in zip(points, cameras, placed, strict=True):
            cv2.transform(face, camera, dst=out[None])
        return placed


def _combined(basis: NDArray, coefficients: NDArray) -> NDArray:
    """Return the combinations (B, N) of a basis (M, N) by coefficients (B, M).

    One face is a vector times a matrix, which BLAS spreads over all cores although memory is what
    it waits for: where other work is on them that is many times slower than one core alone.
    """
    if len(coefficients) == 1:
        return np.einsum("m,mn->n", coefficients[0], basis)[None]
    return coefficients @ basis
