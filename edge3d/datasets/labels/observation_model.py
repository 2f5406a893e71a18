"""How observed landmarks correct a student's predictions: a Kalman update fitted by EM."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge3d.face_model import FaceModel
from edge3d.geometry.pose import rotation_vectors, rotations_from_vectors
from edge3d.model.camera import camera_of, rotation_and_scale, rotations
from edge3d.model.parameters import make_layout

CHUNK = 512
FIRST_NOISE_PX = 1.5  # of human landmarks, to begin with
EM_ROUNDS = 5  # more change nothing that could be measured
FAR_PX = 12.0  # marks farther off do not say where marks lie on a head
GATE = 3.0  # standard deviations; a human landmark farther off is taken for a mistake

# The landmarks of AFLW as means of the 68: brows, eyes, nose, mouth and chin, each from left to
# right in the picture; the ears are where the jaw's outline passes their lobes.
AFLW_LANDMARKS: tuple[tuple[int, ...], ...] = (
    (17,), (19,), (21,), (22,), (24,), (26,),
    (36,), (37, 38, 40, 41), (39,), (42,), (43, 44, 46, 47), (45,),
    (2,), (31,), (30,), (35,), (14,),
    (48,), (62, 66), (54,), (8,),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ObservationModel:
    """How measured marks correct a student's faces.

    Attributes:
        marks: (M, 68) what a mark is of the 68 landmarks: a mean of some, or a difference of two.
        offsets: (M, 3) in model units: where a mark lies on the head, seen from where the 68
            scheme has it.
        covariance: (K, K) of the student's errors: rotation vector, logarithm of the scale,
            translation in pixels, coefficients.
        noise_px: standard deviation of a mark in each direction.
    """

    marks: NDArray[np.float64]
    offsets: NDArray[np.float64]
    covariance: NDArray[np.float64]
    noise_px: float


def fit_observation_model_em(
    seen: NDArray, labels: NDArray, human_px: NDArray, face_model: FaceModel
) -> ObservationModel:
    """Learn how human landmarks and a student's faces differ.

    How far a student is from the truth is not known, but what human landmarks are likely to have
    come of: covariance and noise are those that make them most likely, found by expectation
    maximisation (R. Shumway and D. Stoffer, 1982) from how far a student is from the labels.

    Args:
        seen: (N, P) from `predict_tta`. labels: (N or more, P) what is known of these faces.
        human_px: (N, 21, 2) in crop pixels, NaN where they are not known.
        face_model: of the parameters.
    """
    layout = make_layout("rotation6d", face_model)
    labels, seen = labels[: len(seen)].astype(np.float64), seen.astype(np.float64)
    difference = np.column_stack(
        [
            rotation_vectors(rotations(labels) @ rotations(seen).transpose(0, 2, 1)),
            np.log(layout.part(labels, "scale") / layout.part(seen, "scale")),
            layout.part(labels, "translation") - layout.part(seen, "translation"),
            layout.coefficients(labels) - layout.coefficients(seen),
        ]
    )
    covariance = difference.T @ difference / len(difference)
    marks = _means(AFLW_LANDMARKS)
    offsets = head_offsets(seen, human_px, marks, face_model)
    correction = ObservationModel(marks, offsets, covariance, FIRST_NOISE_PX)
    for _ in range(EM_ROUNDS):
        second, squared, count = np.zeros_like(covariance), 0.0, 0
        for start in range(0, len(seen), CHUNK):
            rows = slice(start, start + CHUNK)
            update = KalmanUpdate(seen[rows], human_px[rows], correction, face_model)
            of_errors, of_marks = update.moments()
            second, squared = second + of_errors, squared + of_marks
            count += int(update.known.sum())
        noise = float(np.sqrt(squared / max(1, count)))
        correction = replace(correction, covariance=second / len(seen), noise_px=noise)
    return correction


def _means(groups: tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
    """Return marks (M, 68) that are means of some of the 68 landmarks."""
    marks = np.zeros((len(groups), 68))
    for row, members in enumerate(groups):
        marks[row, list(members)] = 1 / len(members)
    return marks


def correct(
    seen: NDArray, marks_px: NDArray, correction: ObservationModel, face_model: FaceModel
) -> NDArray[np.float32]:
    """Return parameters (N, P) corrected by marks (N, M, 2) in crop pixels, NaN if unknown.

    A Kalman update: what the student usually gets wrong is changed most. Marks that are more than
    `GATE` standard deviations off count for nothing.
    """
    parts = []
    for start in range(0, len(seen), CHUNK):
        rows = slice(start, start + CHUNK)
        update = KalmanUpdate(seen[rows], marks_px[rows], correction, face_model)
        parts.append(_moved(seen[rows], update.change, face_model))
    return np.concatenate(parts)


class KalmanUpdate:
    """A Kalman update of faces: what marks tell of the errors (K) of their parameters.

    Args:
        params: (N, P). marks_px: (N, M, 2), NaN if unknown. correction: what is expected.
        face_model: of the parameters.

    Attributes:
        change: (N, K) the mean of the errors. known: (N, 2 M) which coordinates count.
    """

    def __init__(
        self,
        params: NDArray,
        marks_px: NDArray,
        correction: ObservationModel,
        face_model: FaceModel,
    ) -> None:
        where, slope = _measured(params, correction.marks, correction.offsets, face_model)
        residual = marks_px - where
        noise = np.full(residual.shape, correction.noise_px**2)
        slope = slope.reshape(len(params), -1, slope.shape[-1])
        by_slope = slope @ correction.covariance
        own = np.einsum("nkp,nkp->nk", by_slope, slope).reshape(residual.shape)
        far = (residual**2).sum(axis=2) > GATE**2 * (own + noise).sum(axis=2)
        unknown = ~np.isfinite(residual).all(axis=2) | far
        noise[unknown], residual = 1e9, np.where(unknown[..., None], 0.0, residual)
        expected = by_slope @ slope.transpose(0, 2, 1)
        system = expected + noise.reshape(len(params), -1, 1) * np.eye(expected.shape[1])
        self.known = ~np.repeat(unknown, 2, axis=1)
        self._residual, self._slope = residual.reshape(len(params), -1), slope
        self._by_slope, self._expected, self._system = by_slope, expected, system
        self._covariance = correction.covariance
        solved = np.linalg.solve(system, self._residual[..., None])
        self.change = (by_slope.transpose(0, 2, 1) @ solved)[..., 0]

    def moments(self) -> tuple[NDArray[np.float64], float]:
        """Return what is expected, given the marks, summed over the faces.

        Returns:
            The second moment (K, K) of the parameters' errors, and the squares of the marks' own
            errors, of those that count.
        """
        taken = np.linalg.solve(self._system, self._by_slope)
        left = len(self.change) * self._covariance - np.einsum(
            "nkp,nkq->pq", self._by_slope, taken, optimize=True
        )
        own = self._residual - np.einsum("nkp,np->nk", self._slope, self.change)
        spread = np.einsum("nkp,nkp->nk", self._by_slope - self._expected @ taken, self._slope)
        return self.change.T @ self.change + left, float((own**2 + spread)[self.known].sum())


def head_offsets(
    params: NDArray, marks_px: NDArray, marks: NDArray, face_model: FaceModel
) -> NDArray[np.float64]:
    """Return where marks lie on the head, seen from where the 68 landmarks have them: (M, 3).

    By least squares over all faces, in model units.

    Args:
        params: (N, P) `rotation6d`. marks_px: (N, M, 2) in crop pixels, NaN if unknown.
        marks: (M, 68) what they are of the 68 landmarks, see `ObservationModel`.
        face_model: of the parameters.
    """
    layout = make_layout("rotation6d", face_model)
    none = np.zeros((len(marks), 3))
    normal, right = np.zeros((len(marks), 3, 3)), np.zeros((len(marks), 3))
    for start in range(0, len(params), CHUNK):
        own = params[start : start + CHUNK].astype(np.float64)
        where, _ = _measured(own, marks, none, face_model)
        residual = marks_px[start : start + CHUNK] - where
        known = np.isfinite(residual).all(axis=2) & (np.abs(residual).max(axis=2) < FAR_PX)
        camera = camera_of(layout, own)[0][:, :2]
        residual = np.where(known[..., None], residual, 0.0)
        normal += np.einsum("nk,nca,ncb->kab", known.astype(float), camera, camera)
        right += np.einsum("nkc,nca->ka", residual, camera)
    solved = np.linalg.solve(normal + 1e-6 * np.eye(3), right[..., None])
    return np.asarray(solved[..., 0], np.float64)


def _measured(
    params: NDArray, marks: NDArray, offsets: NDArray, face_model: FaceModel
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return marks (N, M, 2) in crop pixels, and their slopes (N, M, 2, K).

    The slopes are by rotation vector, logarithm of the scale, translation, coefficients.
    """
    params = np.asarray(params, np.float64)
    layout = make_layout("rotation6d", face_model)
    mean = marks @ face_model.landmarks(face_model.mean) + offsets
    basis = np.einsum("kl,lcm->kcm", marks, face_model.landmark_basis)
    total = marks.sum(axis=1)  # 1 for a mean, 0 for a difference, which a shift does not change
    rotation, scale = rotation_and_scale(layout, params)
    shape = mean + np.einsum("kcm,nm->nkc", basis, layout.coefficients(params))
    turned = scale[:, None, None] * np.einsum("nij,nkj->nki", rotation, shape)
    x, y, z = np.moveaxis(turned, 2, 0)
    shift = layout.part(params, "translation")[:, None]
    where = np.stack([x, -y], axis=2) + total[:, None] * shift
    zero, one = np.zeros_like(x), np.broadcast_to(total, x.shape)
    pose = [  # rows x and y (down) of the slope by a turn about x, y, z, and by the scale
        [zero, z, -y, x],
        [z, zero, -x, -y],
    ]
    by_pose = np.stack([np.stack(row, axis=-1) for row in pose], axis=2)
    by_shift = np.stack([np.stack([one, zero], -1), np.stack([zero, one], -1)], axis=2)
    by_shape = np.einsum("n,nij,kjm->nkim", scale, rotation[:, :2], basis) * [[1], [-1]]
    slope = np.concatenate([by_pose, by_shift, by_shape], axis=3)
    return where, slope


def _moved(params: NDArray, change: NDArray, face_model: FaceModel) -> NDArray[np.float32]:
    """Return parameters (N, P) after changes (N, K) as `_measured` orders them."""
    layout = make_layout("rotation6d", face_model)
    moved = np.array(params, np.float64)
    turned = rotations_from_vectors(change[:, :3]) @ rotations(moved)
    layout.part(moved, "rotation")[:] = turned[:, :2].reshape(-1, 6)
    layout.part(moved, "scale")[:] *= np.exp(change[:, 3:4])
    layout.part(moved, "translation")[:] += change[:, 4:6]
    layout.coefficients(moved)[:] += change[:, 6:]
    if face_model.expression_bounds is not None:
        expression = layout.part(moved, "expression")
        np.clip(expression, *face_model.expression_bounds, out=expression)
    return moved.astype(np.float32)
