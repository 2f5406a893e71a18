"""Faces of the open model, rendered: training data that every machine can make, in CC0.

Identity, expression, pose, skin, hair, light, background and what covers the face are random;
parameters, landmarks and dense points are known exactly. Face `i` is decided by `SEED` and `i`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from edge3d.crop import CROP_SIZE_PX, landmark_box
from edge3d.decode import Decoder
from edge3d.errors import FaceModelError
from edge3d.face_model import FaceModel
from edge3d.files import atomic_path
from edge3d.landmarks68 import MIRROR
from edge3d.parameters import make_layout
from edge3d.pose import angles_from_rotation, rotation_from_angles
from edge3d.train.augment import AugmentConfig, change_pixels
from edge3d.train.data import FaceCrops
from edge3d.train.labels import ConvertedLabels, DensePoints, mirror_points
from edge3d.train.synthetic_anatomy import study, visible
from edge3d.train.synthetic_look import paint

SEED = 0
VERSION = 2  # of the cached files: raise it when the same faces would come out differently

BATCH = 8  # faces decoded at once

IDENTITY_STD = 0.8  # of the model's own spread, which holds caricatures
IDENTITY_LIMIT = 2.2
CAMERA = AugmentConfig(
    photometric=0.2, blur=0.2, low_resolution=0.15, jpeg=0.2, noise=0.15, grey=0.05, occlusion=0.25
)

# How often a movement is made, and the beta distribution of its strength. Names without Left and
# Right stand for both sides. Of each group one movement is made at most.
MOVEMENTS: tuple[tuple[tuple[str, ...], float, tuple[float, float]], ...] = (
    (("eyeBlink",), 0.18, (8.0, 0.6)),
    (("eyeBlink",), 0.12, (1.2, 1.5)),
    (("eyeWide", "eyeSquint"), 0.30, (1.2, 1.5)),
    (("jawOpen",), 0.35, (1.0, 2.5)),
    (("jawOpen",), 0.15, (3.0, 1.2)),
    (("mouthSmile",), 0.35, (1.5, 1.3)),
    (("mouthFrown", "mouthPucker", "mouthFunnel", "mouthPress", "mouthStretch"), 0.35, (1.2, 1.5)),
    (("mouthUpperUp", "mouthShrugUpper", "mouthRollUpper", "mouthDimple"), 0.30, (1.0, 2.0)),
    (("mouthLowerDown", "mouthShrugLower", "mouthRollLower"), 0.30, (1.0, 2.0)),
    (("jawForward", "jawLeft", "jawRight", "mouthLeft", "mouthRight"), 0.20, (1.0, 2.0)),
    (("browDown", "browInnerUp", "browOuterUp"), 0.40, (1.2, 1.5)),
    (("browInnerUp",), 0.15, (1.2, 1.5)),
    (("cheekSquint", "cheekPuff"), 0.20, (1.0, 1.5)),
    (("noseSneer",), 0.15, (1.0, 2.0)),
    (("eyeLookUp", "eyeLookDown"), 0.50, (1.0, 2.0)),
)
ONE_SIDED = 0.1  # share of the paired movements that are made on one side alone
SIDEWAYS_GLANCES = (("eyeLookInLeft", "eyeLookOutRight"), ("eyeLookOutLeft", "eyeLookInRight"))


def load_synthetic(
    count: int,
    face_model: FaceModel,
    points: DensePoints,
    cache: str | Path,
    progress: Callable[[int, int], None] | None = None,
) -> FaceCrops:
    """Render faces, or load them if they were rendered before.

    Args:
        count: how many.
        face_model: the open face model, or another with ARKit's expressions.
        points: the dense points that are wanted.
        cache: folder for what was made (43 kB a face, 17 kB for its labels).
        progress: called with faces done and in all.

    Raises:
        FaceModelError: the face model has other expressions than ARKit's.
        OutputError: the cache cannot be written.
    """
    digest = hashlib.sha256(f"{VERSION} {SEED} {count} {face_model.sha256}".encode())
    digest.update(np.ascontiguousarray(points.target_triangles).tobytes())
    digest.update(np.ascontiguousarray(points.target_weights).tobytes())
    key = digest.hexdigest()[:16]
    crops_file = Path(cache) / f"synthetic-crops-{key}.npy"
    labels_file = Path(cache) / f"synthetic-labels-{key}.npz"
    if not (crops_file.is_file() and labels_file.is_file()):
        params = draw_params(count, face_model, SEED)
        labels = make_labels(params, face_model, points)
        with atomic_path(crops_file) as temporary:
            shape = (count, CROP_SIZE_PX, CROP_SIZE_PX, 3)
            crops = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
            render_faces(params, face_model, SEED, crops, progress)
            crops.flush()
        with atomic_path(labels_file) as temporary:
            np.savez(
                temporary, params=labels.params, landmarks=labels.landmarks, dense=labels.dense
            )
    with np.load(labels_file, allow_pickle=False) as file:
        labels = ConvertedLabels(file["params"], file["landmarks"], file["dense"])
    rotation = Decoder(face_model, make_layout("rotation6d", face_model)).rotation_and_scale(
        labels.params[:count]
    )[0]
    return FaceCrops(
        source="synthetic",
        crops=np.load(crops_file, mmap_mode="r"),
        labels=labels,
        points=points,
        yaw_deg=angles_from_rotation(rotation)[0].astype(np.float32),
        names=np.array([f"synthetic-{number}" for number in range(count)]),
    )


def sample_points(face_model: FaceModel, count: int = 600) -> DensePoints:
    """Return vertices spread evenly over the face as dense points.

    They are what `find_dense_points` gives where there is no second face model: source and target
    are the same.
    """
    outside = np.zeros(len(face_model.mean), bool)
    for yaw_deg in (-60.0, 0.0, 60.0):
        direction = rotation_from_angles(yaw_deg, 0.0, 0.0)[2]
        shape_mm = face_model.mean * face_model.unit_mm
        outside |= visible(shape_mm, face_model.triangles, direction, 0.5)
    face = np.flatnonzero(outside & (face_model.mask > 0.5))
    ids = face[_spread(face_model.mean[face], count)]
    triangles = np.repeat(ids[:, None], 3, axis=1).astype(np.int32)
    weights = np.tile([1.0, 0.0, 0.0], (len(ids), 1))
    return DensePoints(ids, _mirrored_vertices(face_model)[ids], triangles, weights)


def draw_params(count: int, face_model: FaceModel, seed: int) -> NDArray[np.float32]:
    """Draw `rotation6d` parameters (count, P) of faces in crops of the protocol's box.

    Raises:
        FaceModelError: the face model has other expressions than ARKit's.
    """
    layout = make_layout("rotation6d", face_model)
    decoder = Decoder(face_model, layout)
    params = np.zeros((count, layout.size), np.float32)
    for number, row in enumerate(params):
        rng = np.random.default_rng((seed, number))
        row[0:6] = _draw_rotation(rng)[:2].reshape(6)
        row[6] = 1.0
        identity = IDENTITY_STD * rng.standard_normal(face_model.identity_count)
        layout.part(row, "identity")[:] = identity.clip(-IDENTITY_LIMIT, IDENTITY_LIMIT)
        layout.part(row, "expression")[:] = draw_expression(face_model.expression_names, rng)
        box = landmark_box(decoder.landmarks(row[None])[0])
        row[6] = CROP_SIZE_PX / (box[2] - box[0])
        row[7:9] = (0.5 - box[:2]) * row[6] - 0.5
    return params


def draw_expression(names: tuple[str, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw coefficients (E,) within 0..1 of ARKit's expressions; both sides mostly move alike.

    Raises:
        FaceModelError: a name of ARKit is not among them.
    """
    strengths = dict.fromkeys(names, 0.0)

    def move(name: str, strength: float) -> None:
        if name not in strengths:
            raise FaceModelError(
                f"the face model has no expression '{name}'; synthetic faces need ARKit's, "
                "which the open face model has"
            )
        strengths[name] = float(np.clip(max(strengths[name], strength), 0.0, 1.0))

    for group, probability, (a, b) in MOVEMENTS:
        name = group[rng.integers(len(group))]
        strength, made = rng.beta(a, b), rng.random() < probability
        sides = np.clip(1 + 0.08 * rng.standard_normal(2), 0, 1.1)
        if rng.random() < ONE_SIDED:
            sides[rng.integers(2)] *= rng.uniform(0, 0.6)
        if not made:
            continue
        if name in strengths:
            move(name, strength)
        else:
            move(f"{name}Left", strength * sides[0])
            move(f"{name}Right", strength * sides[1])
    for name in SIDEWAYS_GLANCES[rng.integers(2)]:
        move(name, rng.beta(1, 2))
    # Lips that close over an open jaw move as far as the jaw does, not further.
    if rng.random() < 0.15:
        move("mouthClose", strengths["jawOpen"] * rng.uniform(0, 1))
    for side in ("Left", "Right"):  # a closed eye is not wide open
        strengths[f"eyeWide{side}"] *= 1 - strengths[f"eyeBlink{side}"]
    return np.array(list(strengths.values()), np.float32)


def make_labels(
    params: NDArray[np.float32], face_model: FaceModel, points: DensePoints
) -> ConvertedLabels:
    """Return labels of faces and, behind them, of their mirror images."""
    layout = make_layout("rotation6d", face_model)
    decoder = Decoder(face_model, layout)
    both = np.concatenate([params, mirror_params(params, face_model)])
    marks = decoder.landmarks(params)
    basis = np.concatenate([face_model.identity_basis, face_model.expression_basis], axis=2)
    shape = layout.slices["identity"][0]
    cloud = np.einsum("dcm,nm->ndc", points.on_target(basis), both[:, shape:], optimize=True)
    linear, shift = decoder.camera(both)
    cloud = (cloud + points.on_target(face_model.mean)) @ linear.transpose(0, 2, 1)
    return ConvertedLabels(
        params=both,
        landmarks=np.concatenate([marks, mirror_points(marks[:, MIRROR], CROP_SIZE_PX)]).astype(
            np.float32
        ),
        dense=(cloud + shift[:, None]).astype(np.float32),
    )


def mirror_params(params: NDArray, face_model: FaceModel) -> NDArray[np.float32]:
    """Return `rotation6d` parameters (N, P) of the mirror images of faces.

    A rotation R becomes S R S with S = diag(-1, 1, 1); left and right expressions change places;
    the identity is the least squares fit of the mirrored one.
    """
    layout = make_layout("rotation6d", face_model)
    mirrored = np.array(params, np.float32)
    mirrored[:, 0:6] *= [1, -1, -1, -1, 1, 1]
    mirrored[:, 7] = CROP_SIZE_PX - 1 - params[:, 7]
    opposite = _mirrored_vertices(face_model)
    basis = face_model.identity_basis
    flipped = basis[opposite] * np.array([[-1], [1], [1]], np.float32)
    modes = face_model.identity_count
    fit = np.linalg.lstsq(basis.reshape(-1, modes), flipped.reshape(-1, modes), rcond=None)[0]
    layout.part(mirrored, "identity")[:] = layout.part(params, "identity") @ fit.T
    names = list(face_model.expression_names)
    partner = [names.index(_other_side(name)) for name in names]
    layout.part(mirrored, "expression")[:] = layout.part(params, "expression")[:, partner]
    return mirrored


def render_faces(
    params: NDArray[np.float32],
    face_model: FaceModel,
    seed: int,
    crops: NDArray[np.uint8],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw a picture of every face of `params` (N, P) into `crops` (N, 120, 120, 3)."""
    decoder = Decoder(face_model, make_layout("rotation6d", face_model))
    anatomy = study(face_model)
    for start in range(0, len(params), BATCH):
        batch = params[start : start + BATCH]
        # Always of one size: BLAS sums in another order for another, and pixels could change.
        meshes_px = decoder.vertices(np.resize(batch, (BATCH, params.shape[1])))
        for number, row in enumerate(batch, start):
            rng = np.random.default_rng((seed, number, 1))
            px_per_mm = float(row[6]) / face_model.unit_mm
            mesh_px = meshes_px[number - start]
            picture = paint(anatomy, mesh_px, face_model.triangles, px_per_mm, rng)
            crops[number] = change_pixels(picture, CAMERA, rng)
            if progress is not None:
                progress(number + 1, len(params))


def _draw_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a head's rotation (3, 3): half of them anywhere to the side, half nearly frontal."""
    yaw_deg = rng.uniform(-90, 90) if rng.random() < 0.5 else 22 * rng.standard_normal()
    pitch_deg, roll_deg = np.array([12, 14]) * rng.standard_normal(2)
    limits = np.array([90, 40, 50])
    return rotation_from_angles(*np.clip([yaw_deg, pitch_deg, roll_deg], -limits, limits))


def _other_side(name: str) -> str:
    for here, there in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(here):
            return name.removesuffix(here) + there
    return name


def _mirrored_vertices(face_model: FaceModel) -> NDArray[np.int64]:
    """Return the vertex (V,) that is where a mirror takes each vertex."""
    mirrored = face_model.mean * np.array([-1, 1, 1], np.float32)
    return np.asarray(cKDTree(face_model.mean).query(mirrored)[1], np.int64)


def _spread(points: NDArray, count: int) -> NDArray[np.int64]:
    """Return `count` points (or all) of (N, 3), each the farthest from those before it."""
    chosen = [0]
    distance = np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen)
