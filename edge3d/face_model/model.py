"""The face model class: mean, identity and expression bases, landmarks, names, licence."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import FaceModelError
from edge3d.face_model.subdivide import catmull_clark, triangulate
from edge3d.files import atomic_path

SCHEMA = 1
_ARRAYS = ("mean", "identity_basis", "expression_basis", "landmark_triangles", "landmark_weights")


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

    @property
    def identity_count(self) -> int:
        """Number of identity modes, K."""
        return self.identity_basis.shape[2]

    @property
    def expression_count(self) -> int:
        """Number of expression modes, E."""
        return self.expression_basis.shape[2]

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
        share = np.clip(inside / 12.0, 0, 1)  # mm over which it fades
        return (share * share * (3 - 2 * share)).astype(np.float32)

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


def open_face_model_path() -> Path:
    """Return the path of the open face model that ships with the package."""
    return Path(str(resources.files("edge3d"))) / "assets" / "open.npz"


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
    )


@lru_cache(maxsize=4)
def load_face_model(name_or_path: str = "open") -> FaceModel:
    """Return a face model by name (`open`, or one imported before) or by path.

    Raises:
        FaceModelError: no such face model; the message says how to get it.
    """
    if name_or_path == "open":
        return read_face_model(open_face_model_path())
    path = Path(name_or_path)
    if path.suffix == ".npz":
        return read_face_model(path)
    user_path = user_face_model_path(name_or_path)
    if user_path.is_file():
        return read_face_model(user_path)
    raise FaceModelError(
        f"there is no face model '{name_or_path}'; `open` ships with the package, and "
        f"`edge3d face-model import FILE --name {name_or_path}` brings in one of your own"
    )
