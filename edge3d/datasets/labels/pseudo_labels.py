"""Better labels for photographs: what a trained student sees, corrected by human landmarks.

One round: the student looks at each crop and its mirror image in several views, the mean of what
it sees is fitted with parameters, and the human landmarks correct these as far as the student's
usual errors allow (a Kalman update). Where a face mesh network is given, it then says how far eyes
and mouth are open. A student trained on the result can be the next round's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge3d.contract import ModelContract
from edge3d.crop import CROP_SIZE_PX
from edge3d.decode import Decoder
from edge3d.face_model import FaceModel
from edge3d.face_model.correspondence import closest_on_surface
from edge3d.files import atomic_path, sha256_of_file
from edge3d.landmarks68 import GAPS, LID_GAPS, MIRROR
from edge3d.parameters import make_layout
from edge3d.pose import angles_from_rotation, rotation_from_6d
from edge3d.train.augment import Similarity2d
from edge3d.train.checkpoint import load_student
from edge3d.train.data import FaceCrops
from edge3d.train.face_mesh import EYE_FILE, FACE_FILE, seen_gaps
from edge3d.train.labels import (
    ConvertedLabels,
    DensePoints,
    fit_params,
    mirror_points,
    target_shape,
)
from edge3d.train.losses import PointDecoder

# (turn in degrees, size, shift x, shift y in pixels) of the views.
VIEWS = (
    (0, 1.0, 0, 0),
    (0, 0.92, 0, 0),
    (0, 1.08, 0, 0),
    (10, 1.0, 0, 0),
    (-10, 1.0, 0, 0),
    (0, 1.0, 3, 0),
    (0, 1.0, -3, 0),
    (0, 1.0, 0, 3),
    (0, 1.0, 0, -3),
)
BATCH = 64
CHUNK = 512
FIRST_NOISE_PX = 1.5  # of human landmarks, to begin with
EM_ROUNDS = 5  # more change nothing that could be measured
FAR_PX = 12.0  # marks farther off do not say where marks lie on a head
GATE = 3.0  # standard deviations; a human landmark farther off is taken for a mistake
# What labels do not know of a blendshape, as a standard deviation: lids close by a blink first.
EXPRESSION_STD, BLINK_STD = 0.15, 1.0
GAP_NOISE_PX = 0.5  # standard deviation of the face mesh's gaps in each direction
VERSION = 4  # of the cached files: raise it when the same faces would come out differently

# The landmarks of AFLW as means of the 68: brows, eyes, nose, mouth and chin, each from left to
# right in the picture; the ears are where the jaw's outline passes their lobes.
AFLW_LANDMARKS: tuple[tuple[int, ...], ...] = (
    (17,), (19,), (21,), (22,), (24,), (26,),
    (36,), (37, 38, 40, 41), (39,), (42,), (43, 44, 46, 47), (45,),
    (2,), (31,), (30,), (35,), (14,),
    (48,), (62, 66), (54,), (8,),
)  # fmt: skip

Progress = Callable[[int, int], None]
"""Called with faces done and in all."""


@dataclass(frozen=True, eq=False)
class Correction:
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


def load_relabelled(
    faces: FaceCrops,
    human_px: NDArray,
    checkpoint: str | Path,
    face_model: FaceModel,
    cache: str | Path,
    progress: Progress | None = None,
    face_mesh: str | Path = "",
) -> FaceCrops:
    """Return the faces with better labels; they are cached.

    Args:
        faces: photographed faces with labels.
        human_px: (N, 21, 2) AFLW's landmarks in crop pixels, NaN where they are not known.
        checkpoint: of the student that looks at them.
        face_model: of the labels.
        cache: folder for the labels.
        progress: called with faces done and in all.
        face_mesh: folder of MediaPipe's networks, to correct eyelids and lips as well.

    Raises:
        ContractError: not a checkpoint, or one of another face model.
        DatasetError: they cannot be read, or are others.
    """
    network, contract = load_student(checkpoint)
    contract.check_face_model(face_model, str(checkpoint))
    digest = hashlib.sha256(f"{VERSION} {sha256_of_file(checkpoint)}".encode())
    digest.update(np.ascontiguousarray(faces.labels.params).tobytes())
    digest.update(np.ascontiguousarray(human_px).tobytes())
    if face_mesh:
        for name in (FACE_FILE, EYE_FILE):
            digest.update(sha256_of_file(Path(face_mesh) / name).encode())
    file = Path(cache) / f"relabelled-{digest.hexdigest()[:16]}.npz"
    if not file.is_file():
        seen = see(network, contract, faces.crops, faces.points, face_model, progress)
        correction = learn_correction(seen, faces.labels.params, human_px, face_model)
        corrected = correct(seen, human_px, correction, face_model)
        if face_mesh:
            corrected = open_as_seen(
                corrected, faces.labels.params, faces.crops, face_model, face_mesh, progress
            )
        labels = _both_halves(corrected, faces.points, face_model)
        with atomic_path(file) as temporary:
            np.savez(
                temporary, params=labels.params, landmarks=labels.landmarks, dense=labels.dense
            )
    with np.load(file, allow_pickle=False) as content:
        labels = ConvertedLabels(content["params"], content["landmarks"], content["dense"])
    yaw_deg = angles_from_rotation(rotation_from_6d(labels.params[: len(faces.names), :6]))[0]
    return FaceCrops(
        faces.source, faces.crops, labels, faces.points, yaw_deg.astype(np.float32), faces.names
    )


@torch.no_grad()
def see(
    network: nn.Module,
    contract: ModelContract,
    crops: NDArray[np.uint8],
    points: DensePoints,
    face_model: FaceModel,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return the parameters (N, P), `rotation6d`, that fit the mean of all views of each crop.

    Args:
        network: gives whitened parameters of the contract's layout. contract: its contract.
        crops: (N, 120, 120, 3) uint8 RGB.
        points: the dense points that are fitted beside the landmarks.
        face_model: of the parameters.
        progress: called with faces done and in all.
    """
    # Traced and frozen, batch norms are folded into the convolutions: twice as fast on a CPU.
    network = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    example = torch.zeros(2, 3, CROP_SIZE_PX, CROP_SIZE_PX)
    network = torch.jit.freeze(torch.jit.trace(network, example))
    plain = PointDecoder(face_model, contract.layout, points)
    mirrored = PointDecoder(face_model, contract.layout, _mirrored_points(points, face_model))
    views = [
        Similarity2d(float(np.radians(turn)), size, (x, y), 0.5 * (CROP_SIZE_PX - 1))
        for turn, size, x, y in VIEWS
    ]
    shape = target_shape(face_model, points)
    fitted = []
    for start in range(0, len(crops), BATCH):
        batch = np.asarray(crops[start : start + BATCH])
        total = np.zeros((len(batch), 68 + len(points.target_weights), 3))
        for view in views:
            total += _look(network, plain, batch, view)
            other = mirror_points(_look(network, mirrored, batch[:, :, ::-1], view), CROP_SIZE_PX)
            other[:, :68] = other[:, MIRROR]
            total += other
        fitted.append(fit_params(shape, total / (2 * len(views)), face_model))
        if progress is not None:
            progress(start + len(batch), len(crops))
    return np.concatenate(fitted)


def _look(
    network: nn.Module, decoder: PointDecoder, crops: NDArray, view: Similarity2d
) -> NDArray[np.float64]:
    """Return landmarks and dense points (B, 68 + D, 3) seen in a view, in the crops' pixels."""
    matrix, size = view.matrix(), (CROP_SIZE_PX, CROP_SIZE_PX)
    images = np.stack([cv2.warpAffine(np.ascontiguousarray(c), matrix, size) for c in crops])
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float()  # channels last in memory
    found = torch.cat(decoder(network(tensor)), dim=1).numpy()
    return view.undo_points(found)


def _mirrored_points(points: DensePoints, face_model: FaceModel) -> DensePoints:
    """Return the points that lie where the given ones do in a mirrored face."""
    opposite = points.on_target(face_model.mean) * [-1, 1, 1]
    triangle, weights = closest_on_surface(opposite, face_model.mean, face_model.triangles)
    return DensePoints(
        points.source_ids, points.mirrored_ids, face_model.triangles[triangle], weights
    )


def learn_correction(
    seen: NDArray, labels: NDArray, human_px: NDArray, face_model: FaceModel
) -> Correction:
    """Learn how human landmarks and a student's faces differ.

    How far a student is from the truth is not known, but what human landmarks are likely to have
    come of: covariance and noise are those that make them most likely, found by expectation
    maximisation (R. Shumway and D. Stoffer, 1982) from how far a student is from the labels.

    Args:
        seen: (N, P) from `see`. labels: (N or more, P) what is known of these faces.
        human_px: (N, 21, 2) in crop pixels, NaN where they are not known.
        face_model: of the parameters.
    """
    labels, seen = labels[: len(seen)].astype(np.float64), seen.astype(np.float64)
    difference = np.column_stack(
        [
            _rotation_vector(rotation_from_6d(labels[:, :6]), rotation_from_6d(seen[:, :6])),
            np.log(labels[:, 6] / seen[:, 6]),
            labels[:, 7:] - seen[:, 7:],
        ]
    )
    covariance = difference.T @ difference / len(difference)
    marks = _means(AFLW_LANDMARKS)
    offsets = head_offsets(seen, human_px, marks, face_model)
    correction = Correction(marks, offsets, covariance, FIRST_NOISE_PX)
    for _ in range(EM_ROUNDS):
        second, squared, count = np.zeros_like(covariance), 0.0, 0
        for start in range(0, len(seen), CHUNK):
            rows = slice(start, start + CHUNK)
            update = _Update(seen[rows], human_px[rows], correction, face_model)
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


def open_as_seen(
    params: NDArray,
    labels: NDArray,
    crops: NDArray[np.uint8],
    face_model: FaceModel,
    face_mesh: str | Path,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return parameters (N, P) whose eyes and mouths are open as far as a face mesh sees them.

    Expressions alone are changed; faces of which the mesh is not sure stay as they are.

    Args:
        params: (N, P) `rotation6d`.
        labels: (N or more, P) where the 68 landmarks of these faces lie, as is known.
        crops: (N, 120, 120, 3) uint8 RGB.
        face_model: of the parameters.
        face_mesh: folder of MediaPipe's networks, see `edge3d.train.face_mesh`.
        progress: called with faces done and in all.

    Raises:
        DatasetError: they cannot be read, or are others.
    """
    decoder = Decoder(face_model, make_layout("rotation6d", face_model))
    landmarks = decoder.landmarks(np.asarray(params, np.float32))[..., :2]
    yaw_deg = angles_from_rotation(rotation_from_6d(params[:, :6]))[0]
    gaps = seen_gaps(crops, landmarks, yaw_deg, face_mesh, progress)
    return correct(params, gaps, learn_gaps(labels, gaps, face_model), face_model)


def learn_gaps(labels: NDArray, gaps: NDArray, face_model: FaceModel) -> Correction:
    """Return `gap_correction`, with what the 68 landmarks' lips are farther apart than the mesh's.

    The scheme's inner lips do not touch where a mouth is shut, the mesh's do.

    Args:
        labels: (N or more, P) where the 68 landmarks of these faces lie, as is known.
        gaps: (N, 7, 2) of `GAPS` in crop pixels, NaN where they are not seen.
        face_model: of the parameters.
    """
    correction = gap_correction(face_model)
    offsets = head_offsets(labels[: len(gaps)], gaps, correction.marks, face_model)
    offsets[: len(LID_GAPS)] = 0  # labels know no blink
    return replace(correction, offsets=offsets)


def gap_correction(face_model: FaceModel) -> Correction:
    """Return how `edge3d.landmarks68.GAPS` correct expressions."""
    marks = np.zeros((len(GAPS), 68))
    for row, (above, below) in enumerate(GAPS):
        marks[row, above], marks[row, below] = 1, -1
    spread = np.array(
        [
            BLINK_STD if name.startswith("eyeBlink") else EXPRESSION_STD
            for name in face_model.expression_names
        ]
    )
    spread = np.concatenate([np.zeros(6 + face_model.identity_count), spread])
    return Correction(marks, np.zeros((len(GAPS), 3)), np.diag(spread**2), GAP_NOISE_PX)


def correct(
    seen: NDArray, marks_px: NDArray, correction: Correction, face_model: FaceModel
) -> NDArray[np.float32]:
    """Return parameters (N, P) corrected by marks (N, M, 2) in crop pixels, NaN if unknown.

    A Kalman update: what the student usually gets wrong is changed most. Marks that are more than
    `GATE` standard deviations off count for nothing.
    """
    parts = []
    for start in range(0, len(seen), CHUNK):
        rows = slice(start, start + CHUNK)
        update = _Update(seen[rows], marks_px[rows], correction, face_model)
        parts.append(_moved(seen[rows], update.change, face_model))
    return np.concatenate(parts)


class _Update:
    """A Kalman update of faces: what marks tell of the errors (K) of their parameters.

    Args:
        params: (N, P). marks_px: (N, M, 2), NaN if unknown. correction: what is expected.
        face_model: of the parameters.

    Attributes:
        change: (N, K) the mean of the errors. known: (N, 2 M) which coordinates count.
    """

    def __init__(
        self, params: NDArray, marks_px: NDArray, correction: Correction, face_model: FaceModel
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
        marks: (M, 68) what they are of the 68 landmarks, see `Correction`.
        face_model: of the parameters.
    """
    none = np.zeros((len(marks), 3))
    normal, right = np.zeros((len(marks), 3, 3)), np.zeros((len(marks), 3))
    for start in range(0, len(params), CHUNK):
        own = params[start : start + CHUNK].astype(np.float64)
        where, _ = _measured(own, marks, none, face_model)
        residual = marks_px[start : start + CHUNK] - where
        known = np.isfinite(residual).all(axis=2) & (np.abs(residual).max(axis=2) < FAR_PX)
        camera = own[:, 6, None, None] * (rotation_from_6d(own[:, :6]) * [[1], [-1], [1]])
        camera = camera[:, :2]
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
    basis = np.concatenate([face_model.identity_basis, face_model.expression_basis], axis=2)
    basis = np.einsum(
        "lk,lkcm->lcm", face_model.landmark_weights, basis[face_model.landmark_triangles]
    )
    mean = marks @ face_model.landmarks(face_model.mean) + offsets
    basis = np.einsum("kl,lcm->kcm", marks, basis)
    total = marks.sum(axis=1)  # 1 for a mean, 0 for a difference, which a shift does not change
    rotation, scale = rotation_from_6d(params[:, :6]), params[:, 6]
    shape = mean + np.einsum("kcm,nm->nkc", basis, params[:, 9:])
    turned = scale[:, None, None] * np.einsum("nij,nkj->nki", rotation, shape)
    x, y, z = np.moveaxis(turned, 2, 0)
    where = np.stack([x, -y], axis=2) + total[:, None] * params[:, None, 7:9]
    zero, one = np.zeros_like(x), np.broadcast_to(total, x.shape)
    pose = [  # rows x and y (down) of the slope by a turn about x, y, z, and by the scale
        [zero, z, -y, x],
        [z, zero, -x, -y],
    ]
    by_pose = np.stack([np.stack(row, axis=-1) for row in pose], axis=2)
    shift = np.stack([np.stack([one, zero], -1), np.stack([zero, one], -1)], axis=2)
    by_shape = np.einsum("n,nij,kjm->nkim", scale, rotation[:, :2], basis) * [[1], [-1]]
    slope = np.concatenate([by_pose, shift, by_shape], axis=3)
    return where, slope


def _moved(params: NDArray, change: NDArray, face_model: FaceModel) -> NDArray[np.float32]:
    """Return parameters (N, P) after changes (N, K) as `_measured` orders them."""
    angle = np.linalg.norm(change[:, :3], axis=1)
    axis = change[:, :3] / np.maximum(angle, 1e-9)[:, None]
    cross = np.zeros((len(params), 3, 3))
    cross[:, [2, 0, 1], [1, 2, 0]], cross[:, [1, 2, 0], [2, 0, 1]] = axis, -axis
    turn = (
        np.eye(3)
        + np.sin(angle)[:, None, None] * cross
        + (1 - np.cos(angle))[:, None, None] * cross @ cross
    )  # Rodrigues' formula
    moved = np.array(params, np.float64)
    moved[:, :6] = (turn @ rotation_from_6d(moved[:, :6]))[:, :2].reshape(-1, 6)
    moved[:, 6] *= np.exp(change[:, 3])
    moved[:, 7:] += change[:, 4:]
    if face_model.expression_bounds is not None:
        first = 9 + face_model.identity_count
        moved[:, first:] = np.clip(moved[:, first:], *face_model.expression_bounds)
    return moved.astype(np.float32)


def _rotation_vector(rotation: NDArray, start: NDArray) -> NDArray[np.float64]:
    """Return the vectors (N, 3) that turn `start` (N, 3, 3) to `rotation`; angles below pi."""
    turn = rotation @ start.transpose(0, 2, 1)
    vector = 0.5 * np.stack(
        [
            turn[:, 2, 1] - turn[:, 1, 2],
            turn[:, 0, 2] - turn[:, 2, 0],
            turn[:, 1, 0] - turn[:, 0, 1],
        ],
        axis=1,
    )
    sine = np.linalg.norm(vector, axis=1)
    angle = np.arctan2(sine, 0.5 * (np.trace(turn, axis1=1, axis2=2) - 1))
    return vector * (angle / np.maximum(sine, 1e-9))[:, None]


def _both_halves(params: NDArray, points: DensePoints, face_model: FaceModel) -> ConvertedLabels:
    """Return labels of faces and, behind them, of their mirror images."""
    layout = make_layout("rotation6d", face_model)
    shape = target_shape(face_model, points)
    mirrored_points = _mirrored_points(points, face_model)
    decoders = [PointDecoder(face_model, layout, p) for p in (points, mirrored_points)]
    parts: list[list[NDArray]] = [[], [], []]
    mirrored_parts: list[list[NDArray]] = [[], [], []]
    for start in range(0, len(params), CHUNK):
        own = params[start : start + CHUNK]
        tensor = torch.from_numpy(own)
        marks, cloud = (value.numpy() for value in decoders[0](tensor))
        other_marks = mirror_points(marks[:, MIRROR], CROP_SIZE_PX)
        other_cloud = mirror_points(decoders[1](tensor)[1].numpy(), CROP_SIZE_PX)
        both = np.concatenate([other_marks, other_cloud], axis=1)
        other = fit_params(shape, both, face_model)
        for into, values in (
            (parts, (own, marks, cloud)),
            (mirrored_parts, (other, other_marks, other_cloud)),
        ):
            for bucket, value in zip(into, values, strict=True):
                bucket.append(value.astype(np.float32))
    labels, marks, cloud = (
        np.concatenate(a + b) for a, b in zip(parts, mirrored_parts, strict=True)
    )
    return ConvertedLabels(labels, marks, cloud)
