"""Faces seen from the side, made of faces seen from further in front, with labels that are known.

Large yaws are rare in photographs and hard to label. A face that was photographed at a smaller
yaw, with its fitted 3D face, is turned away from the camera in the direction that it already has,
so that the side which is then seen is the one that the camera saw (see
`edge3d.datasets.head_rotation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.cache import cache_key, load_labels, save_labels
from edge3d.datasets.faces import ConvertedLabels, FaceCrops, Progress
from edge3d.datasets.head_rotation import (
    HeadRotations,
    azimuth_deg,
    rotate_head_image,
    rotation_about_vertical,
)
from edge3d.errors import DatasetError
from edge3d.face_model import FaceModel
from edge3d.geometry.boxes import landmark_box
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.geometry.mirror import flip_rotation
from edge3d.geometry.pose import angles_from_rotation
from edge3d.io.files import atomic_path
from edge3d.model.camera import rotations
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout

WANTED_DEG = (35.0, 90.0)  # azimuths of the results, spread evenly
TURN_DEG = (15.0, 60.0)
EITHER_WAY_DEG = 5.0  # up to here a face is frontal, and turned to either side
NEAR_DEG = 1.0  # a face this near to the azimuth that was drawn is taken
SEED = 0
VERSION = 1  # of the cached files: raise it when the same faces would come out differently


@dataclass(frozen=True, eq=False)
class Turns:
    """Which faces are turned, and how far.

    Attributes:
        rows: (N,) faces of a set; a face may be there more than once.
        turn_deg: (N,) what is added to the azimuth.
    """

    rows: NDArray[np.int64]
    turn_deg: NDArray[np.float64]


def load_profiles(
    faces: FaceCrops,
    count: int,
    face_model: FaceModel,
    cache: str | Path,
    progress: Progress | None = None,
) -> FaceCrops:
    """Make turned faces of a set, or load them if they were made before.

    Args:
        faces: photographed faces. count: how many to make.
        face_model: of the labels' parameters.
        cache: folder for what was made (43 kB a face, 17 kB for its labels).

    Raises:
        DatasetError: no face can be turned.
        OutputError: the cache cannot be written.
    """
    key = cache_key(
        f"{VERSION} {SEED} {count} {face_model.sha256}",
        faces.labels.params,
        "\n".join(faces.names).encode(),
    )
    crops_file = Path(cache) / f"profiles-crops-{key}.npy"
    labels_file = Path(cache) / f"profiles-labels-{key}.npz"
    if not (crops_file.is_file() and labels_file.is_file()):
        turns = draw_turns(faces, count, SEED)
        with atomic_path(crops_file) as temporary:
            shape = (count, CROP_SIZE_PX, CROP_SIZE_PX, 3)
            crops = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
            made = turn_faces(faces, turns, face_model, progress, crops)
            crops.flush()
        save_labels(labels_file, made.labels, yaw_deg=made.yaw_deg, names=made.names)
    labels, others = load_labels(labels_file)
    crops = np.load(crops_file, mmap_mode="r")
    return FaceCrops("profiles", crops, labels, faces.points, others["yaw_deg"], others["names"])


def draw_turns(faces: FaceCrops, count: int, seed: int) -> Turns:
    """Draw faces and turns so that azimuths are spread evenly over `WANTED_DEG`.

    The turn is drawn first, evenly from `TURN_DEG`, then a face to which it gives the azimuth
    that is wanted; drawing faces first would turn mostly frontal ones, by the largest angles.

    Raises:
        DatasetError: no face of known parameters can be turned that far.
    """
    rng = np.random.default_rng(seed)
    params = faces.labels.params[: len(faces.names)]
    azimuth = azimuth_deg(_rotations(params))
    reach = np.abs(azimuth)
    usable = np.flatnonzero(np.isfinite(params).all(1) & (reach <= WANTED_DEG[1] - TURN_DEG[0]))
    if not len(usable):
        raise DatasetError(
            f"source '{faces.source}' has no face with known parameters that looks less than "
            f"{WANTED_DEG[1] - TURN_DEG[0]:.0f} degrees aside; profiles need some"
        )
    usable = usable[np.argsort(reach[usable], kind="stable")]
    wanted = rng.permutation(np.linspace(*WANTED_DEG, count))
    start = wanted - rng.uniform(TURN_DEG[0], np.minimum(TURN_DEG[1], wanted))
    low = np.searchsorted(reach[usable], start - NEAR_DEG)
    high = np.searchsorted(reach[usable], start + NEAR_DEG)
    low = np.minimum(low, len(usable) - 1)
    rows = usable[rng.integers(low, np.maximum(high, low + 1))]
    frontal = reach[rows] < EITHER_WAY_DEG
    side = np.where(frontal, rng.choice([-1.0, 1.0], count), np.sign(azimuth[rows]))
    turn = np.clip(wanted - side * azimuth[rows], *TURN_DEG)
    return Turns(rows, side * turn)


def turn_faces(
    faces: FaceCrops,
    turns: Turns,
    face_model: FaceModel,
    progress: Progress | None = None,
    crops: NDArray[np.uint8] | None = None,
) -> FaceCrops:
    """Return turned faces, cropped to the protocol's box of their new landmarks.

    Args:
        faces: what is turned. turns: which, and how far.
        face_model: of the labels' parameters; its mesh is the head's shape.
        progress: called with faces done and in all.
        crops: (N, 120, 120, 3) uint8 that the crops are written into; made if None.
    """
    count = len(turns.rows)
    if crops is None:
        crops = np.empty((count, CROP_SIZE_PX, CROP_SIZE_PX, 3), np.uint8)
    decoder = Decoder(face_model, make_layout("rotation6d", face_model))
    motion = _motion(faces, turns, decoder)
    labels = _turn_labels(faces.labels, turns.rows, motion, decoder)
    mirrored = _turn_labels(faces.labels, turns.rows + len(faces.names), motion.mirrored(), decoder)
    for i, row in enumerate(turns.rows):
        params = faces.labels.params[row : row + 1]
        vertices = decoder.vertices(params)[0]
        vertices[:, 2] += motion.pivot_px[i, 2]  # the decoded mesh has depth 0 at its origin
        px_per_mm = float(decoder.layout.part(params, "scale")[0, 0]) / face_model.unit_mm
        photo = np.asarray(faces.crops[row])
        crops[i] = rotate_head_image(
            photo, vertices, face_model.triangles, px_per_mm, motion[i : i + 1]
        )
        if progress is not None:
            progress(i + 1, count)
    yaw_deg = angles_from_rotation(_rotations(labels[0]))[0].astype(np.float32)
    names = np.array([f"{faces.names[row]}#turned-{i}" for i, row in enumerate(turns.rows)])
    both = [np.concatenate(halves) for halves in zip(labels, mirrored, strict=True)]
    return FaceCrops(
        "profiles", crops, ConvertedLabels(both[0], both[1], both[2]), faces.points, yaw_deg, names
    )


def _motion(faces: FaceCrops, turns: Turns, decoder: Decoder) -> HeadRotations:
    """Return the turns about the face model's origin, with the boxes of the new landmarks."""
    params, landmarks = faces.labels.params[turns.rows], faces.labels.landmarks[turns.rows]
    rotation = rotation_about_vertical(_rotations(params), turns.turn_deg)
    pivot = _origins(params, landmarks, decoder)
    anywhere = HeadRotations(rotation, pivot, np.zeros((len(pivot), 4)))
    boxes = np.stack([landmark_box(marks) for marks in anywhere.turn(landmarks)])
    return HeadRotations(rotation, pivot, boxes)


def _turn_labels(
    labels: ConvertedLabels, rows: NDArray, motion: HeadRotations, decoder: Decoder
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return params, landmarks and dense points of the labels' rows, turned and cropped."""
    params, landmarks = labels.params[rows], labels.landmarks[rows]
    rotation = flip_rotation(motion.rotation) @ _rotations(params)
    origin = motion.turn(_origins(params, landmarks, decoder)[:, None])
    layout = decoder.layout
    layout.part(params, "rotation")[:] = rotation[:, :2].reshape(-1, 6)
    layout.part(params, "scale")[:, 0] *= motion.zoom
    layout.part(params, "translation")[:] = motion.crop(origin)[:, 0, :2]
    landmarks = motion.crop(motion.turn(landmarks)).astype(np.float32)
    dense = motion.crop(motion.turn(labels.dense[rows])).astype(np.float32)
    return params, landmarks, dense


def _rotations(params: NDArray) -> NDArray[np.float64]:
    """Return the rotations (N, 3, 3) of `rotation6d` parameters (N, P)."""
    return rotations(params.astype(np.float64))


def _origins(params: NDArray, landmarks: NDArray, decoder: Decoder) -> NDArray[np.float64]:
    """Return where the face model's origin is, (N, 3), in the frame of the landmarks (N, 68, 3).

    Parameters say nothing of depth; the labels' own depth counts from another model's origin.
    """
    depth = (landmarks[..., 2] - decoder.landmarks(params)[..., 2]).mean(axis=1)
    planar = decoder.layout.part(params, "translation")
    return np.column_stack([planar, depth]).astype(np.float64)
