"""Reading and writing face model files."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.bundled import BUNDLED_FACE_MODELS, open_face_model_path
from edge3d.errors import FaceModelError
from edge3d.face_model.model import FaceModel
from edge3d.face_model.subdivision import catmull_clark, triangulate
from edge3d.io.files import atomic_path

SCHEMA = 1
_ARRAYS = ("mean", "identity_basis", "expression_basis", "landmark_triangles", "landmark_weights")


def user_face_model_path(name: str) -> Path:
    """Return where `edge3d face-model import` keeps a user's own face model."""
    return Path.home() / ".cache" / "edge3d" / "face-models" / f"{name}.npz"


def content_sha256(arrays: dict[str, NDArray], meta: dict[str, Any]) -> str:
    """Return a SHA-256 over arrays (name, dtype, shape, bytes) and the sorted JSON of `meta`."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        array = array.astype(array.dtype.newbyteorder("<"))
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    digest.update(json.dumps(meta, sort_keys=True).encode())
    return digest.hexdigest()


def save_face_model(path: str | Path, arrays: dict[str, NDArray], meta: dict[str, Any]) -> str:
    """Write a face model file (a NumPy .npz without pickles) and return its SHA-256.

    Args:
        path: the file to write, whole or not at all.
        arrays: `mean` (V, 3), `identity_basis` (V, 3, K), `expression_basis` (V, 3, E),
            `landmark_triangles`, `landmark_weights`, and either `quads` (Q, 4), a cage that is
            subdivided once on loading, or `triangles` (T, 3); optionally `uv` (V, 2).
        meta: `name`, `unit_mm`, `licence`, `source`, `expression_names`, `expression_bounds`.
    """
    meta = {"schema": SCHEMA, **meta}
    digest = content_sha256(arrays, meta)
    text = json.dumps({**meta, "sha256": digest}, sort_keys=True)
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, meta=np.array(text), **arrays)  # type: ignore[arg-type]
    return digest


def read_face_model(path: str | Path) -> FaceModel:
    """Read a face model file.

    Raises:
        FaceModelError: the file is missing, no face model, of an unknown schema, or its content
            does not have the SHA-256 that it states.
    """
    path = Path(path)
    if not path.is_file():
        raise FaceModelError(f"face model file {path} does not exist; give the path of an .npz")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if key != "meta"}
            meta = json.loads(str(file["meta"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise FaceModelError(
            f"{path} is not an edge3d face model, or is damaged ({error}); "
            "make one with `edge3d face-model import` or `edge3d face-model build`"
        ) from error
    if meta.get("schema") != SCHEMA:
        raise FaceModelError(
            f"{path}: face model schema {meta.get('schema')!r} is not the supported {SCHEMA}; "
            "use the edge3d version that wrote it, or build it again"
        )
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing or ("quads" not in arrays and "triangles" not in arrays):
        raise FaceModelError(f"{path} lacks the arrays {missing or ['triangles']}; build it again")
    stated = meta.pop("sha256")
    if content_sha256(arrays, meta) != stated:
        raise FaceModelError(f"{path} is not what its SHA-256 says; make or download it again")
    return _to_memory(arrays, meta, stated)


def _to_memory(arrays: dict[str, NDArray], meta: dict[str, Any], sha256: str) -> FaceModel:
    """Return the model that the stored arrays describe, a cage subdivided."""
    per_vertex = {
        name: arrays[name].astype(np.float32)
        for name in ("mean", "identity_basis", "expression_basis", "uv")
        if name in arrays
    }
    if "quads" in arrays:
        subdivision = catmull_clark(arrays["quads"], len(arrays["mean"]))
        per_vertex = {name: subdivision.apply(array) for name, array in per_vertex.items()}
        triangles = triangulate(subdivision.quads)
    else:
        triangles = arrays["triangles"].astype(np.int32)
    bounds = meta["expression_bounds"]
    landmark_weights = arrays["landmark_weights"].astype(np.float32)
    # Stored with four digits; they must sum to 1, or a landmark moves with the origin.
    landmark_weights /= landmark_weights.sum(axis=1, keepdims=True)
    return FaceModel(
        name=meta["name"],
        mean=per_vertex["mean"],
        identity_basis=per_vertex["identity_basis"],
        expression_basis=per_vertex["expression_basis"],
        triangles=triangles,
        landmark_triangles=arrays["landmark_triangles"].astype(np.int32),
        landmark_weights=landmark_weights,
        expression_names=tuple(meta["expression_names"]),
        expression_bounds=None if bounds is None else (float(bounds[0]), float(bounds[1])),
        uv=per_vertex.get("uv"),
        unit_mm=float(meta["unit_mm"]),
        licence=meta["licence"],
        source=meta["source"],
        sha256=sha256,
        parents=tuple(meta.get("parents", ())),
        mesh478_triangles=arrays.get("mesh478_triangles"),
        mesh478_weights=arrays.get("mesh478_weights"),
        base_vertex_ids=arrays.get("base_vertex_ids"),
    )


@lru_cache(maxsize=4)
def load_face_model(name_or_path: str = "open") -> FaceModel:
    """Return a face model by name (`open`, `open-2`, or one imported before) or by path.

    Raises:
        FaceModelError: no such face model; the message says how to get it.
    """
    if name_or_path in BUNDLED_FACE_MODELS:
        return read_face_model(open_face_model_path(name_or_path))
    path = Path(name_or_path)
    if path.suffix == ".npz":
        return read_face_model(path)
    user_path = user_face_model_path(name_or_path)
    if user_path.is_file():
        return read_face_model(user_path)
    raise FaceModelError(
        f"there is no face model '{name_or_path}'; `open` and `open-2` ship with the package, and "
        f"`edge3d face-model import FILE --name {name_or_path}` brings in one of your own"
    )
