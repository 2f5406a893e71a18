"""From parameters to landmarks, a mesh, the head's pose and blendshapes, in crop pixels.

Every user of a network's output decodes it here: training targets, evaluation, parity checks,
the reconstructor. Coordinates: pixels of the 120 px crop, 0-based at pixel centres, y down;
z in the same pixels, positive towards the camera, 0 at the model's origin.
"""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.face_model import FaceModel
from edge3d.geometry.pose import rotation_from_6d, scaled_rotation_from_affine
from edge3d.geometry.tddfa_camera import PROTOCOL_OFFSET_PX
from edge3d.model.local_basis import LocalBasis
from edge3d.model.parameters import ParameterLayout


class Decoder:
    """Decodes parameters of one layout with one face model.

    The bases are laid out once so that a dense decode of one face is one matrix product; with the
    identity held, as in video, it is cheaper still.

    Args:
        face_model: whose coefficients the parameters hold.
        layout: of the parameters; its sizes must be the face model's.

    Raises:
        ValueError: layout and face model do not fit.
    """

    def __init__(self, face_model: FaceModel, layout: ParameterLayout) -> None:
        modes = face_model.identity_count + face_model.expression_count
        start, stop = layout.slices["identity"][0], layout.slices["expression"][1]
        if stop - start != modes:
            raise ValueError(
                f"the layout has {stop - start} shape parameters, face model "
                f"'{face_model.name}' has {modes}"
            )
        self.face_model = face_model
        self.layout = layout
        identity, expression = face_model.identity_basis, face_model.expression_basis
        self._mean = face_model.mean.reshape(-1)
        basis = np.concatenate([identity, expression], axis=2)
        self._basis = _by_mode(basis)
        self._landmark_mean = face_model.landmarks(face_model.mean).reshape(-1)
        self._landmark_basis = _by_mode(
            np.einsum(
                "lk,lkcm->lcm", face_model.landmark_weights, basis[face_model.landmark_triangles]
            )
        )

    def params(self, whitened: NDArray) -> NDArray[np.float32]:
        """Return parameters (..., P) of a network's output: unwhitened, expressions bounded."""
        params = self.layout.unwhiten(whitened)
        if self.face_model.expression_bounds is not None:
            expression = self.layout.part(params, "expression")  # a view
            np.clip(expression, *self.face_model.expression_bounds, out=expression)
        return params

    def camera(self, params: NDArray) -> tuple[NDArray, NDArray]:
        """Return the linear part (B, 3, 3) and translation (B, 3) of the cameras of (B, P).

        `linear @ model_point + translation` is in crop pixels, y down, z towards the camera.
        """
        if self.layout.camera == "affine":
            matrix = self.layout.part(params, "camera").reshape(-1, 3, 4)
            linear, translation = matrix[:, :, :3].copy(), matrix[:, :, 3].copy()
            linear[:, 1] *= -1
            translation[:, 1] = 121.0 - translation[:, 1]
            translation[:, :2] -= PROTOCOL_OFFSET_PX
            return linear, translation
        rotation = rotation_from_6d(self.layout.part(params, "rotation"))
        scale = self.layout.part(params, "scale")
        linear = scale[:, :, None] * rotation
        linear[:, 1] *= -1
        shift = self.layout.part(params, "translation")
        return linear, np.concatenate([shift, np.zeros_like(scale)], axis=1)

    def with_camera(
        self, params: NDArray, linear: NDArray, translation: NDArray
    ) -> NDArray[np.float32]:
        """Return parameters (B, P) with other cameras, the inverse of `camera`.

        Args:
            params: (B, P).
            linear: (B, 3, 3); of a `rotation6d` layout a scaled rotation with y flipped.
            translation: (B, 3).
        """
        changed = np.array(params, np.float32)
        linear, translation = np.array(linear, np.float64), np.array(translation, np.float64)
        linear[:, 1] *= -1
        if self.layout.camera == "affine":
            translation[:, :2] += PROTOCOL_OFFSET_PX
            translation[:, 1] = 121.0 - translation[:, 1]
            matrix = np.concatenate([linear, translation[:, :, None]], axis=2)
            self.layout.part(changed, "camera")[:] = matrix.reshape(-1, 12)
            return changed
        scale = np.linalg.norm(linear[:, 0], axis=1)[:, None]
        self.layout.part(changed, "rotation")[:] = linear[:, :2].reshape(-1, 6) / scale
        self.layout.part(changed, "scale")[:] = scale
        self.layout.part(changed, "translation")[:] = translation[:, :2]
        return changed

    def rotation_and_scale(self, params: NDArray) -> tuple[NDArray, NDArray]:
        """Return proper rotations (B, 3, 3), model to camera, y up, and scales (B,) of (B, P)."""
        if self.layout.camera == "affine":
            matrix = self.layout.part(params, "camera").reshape(-1, 3, 4)
            return scaled_rotation_from_affine(matrix[:, :, :3])
        return (
            rotation_from_6d(self.layout.part(params, "rotation")),
            self.layout.part(params, "scale")[:, 0],
        )

    def landmarks(self, params: NDArray) -> NDArray[np.float32]:
        """Return the 68 landmarks (B, 68, 3) in crop pixels of parameters (B, P)."""
        return self._project(params, self._landmark_mean, self._landmark_basis)

    def vertices(self, params: NDArray) -> NDArray[np.float32]:
        """Return the mesh (B, V, 3) in crop pixels of parameters (B, P)."""
        return self._project(params, self._mean, self._basis)

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

    def _project(self, params: NDArray, mean: NDArray, basis: NDArray) -> NDArray[np.float32]:
        start, stop = self.layout.slices["identity"][0], self.layout.slices["expression"][1]
        return self._place(params, mean + _combined(basis, params[:, start:stop]))

    def _place(self, params: NDArray, shape: NDArray) -> NDArray[np.float32]:
        """Bring shapes (B, 3 N) in model units to crop pixels (B, N, 3)."""
        linear, translation = self.camera(params)
        cameras = np.concatenate([linear, translation[:, :, None]], axis=2).astype(np.float32)
        points = shape.reshape(len(params), 1, -1, 3).astype(np.float32, copy=False)
        placed = np.empty((len(params), *points.shape[2:]), np.float32)
        for face, camera, out in zip(points, cameras, placed, strict=True):
            cv2.transform(face, camera, dst=out[None])
        return placed


def _by_mode(basis: NDArray) -> NDArray[np.float32]:
    """Return a basis (N, 3, M) as (M, 3 N)."""
    return np.ascontiguousarray(basis.reshape(-1, basis.shape[2]).T, np.float32)


def _combined(basis: NDArray, coefficients: NDArray) -> NDArray:
    """Return the combinations (B, N) of a basis (M, N) by coefficients (B, M).

    One face is a vector times a matrix, which BLAS spreads over all cores although memory is what
    it waits for: where other work is on them that is many times slower than one core alone.
    """
    if len(coefficients) == 1:
        return np.einsum("m,mn->n", coefficients[0], basis)[None]
    return coefficients @ basis
