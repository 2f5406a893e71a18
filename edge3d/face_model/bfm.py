"""Brings a user's own Basel Face Model, in 3DDFA's 40 + 10 form, into edge3d's format."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import FaceModelError
from edge3d.face_model.model import FaceModel
from edge3d.face_model.store import read_face_model, save_face_model

LICENCE = (
    "Basel Face Model: for research only, not to be redistributed. This file was imported from a "
    "licensed copy and must stay with its licensee."
)
SHAPE_MODES, EXPRESSION_MODES = 40, 10


def import_bfm(source: str | Path, out: str | Path, name: str = "bfm") -> str:
    """Import a Basel Face Model and return the SHA-256 of the face model that was written.

    Args:
        source: `bfm62.npz` (`mean_shape`, `shape_basis`, `expression_basis`, `triangles`,
            `landmarks68`), or a folder of 3DDFA's files: `u_shp.npy`, `u_exp.npy`,
            `w_shp_sim.npy`, `w_exp_sim.npy`, `keypoints_sim.npy` and `tri.npy` or `tri.mat`.
        out: the .npz file to write.
        name: the name it gets.

    Raises:
        FaceModelError: files or arrays are missing or of another size.
    """
    source = Path(source)
    arrays = _read_folder(source) if source.is_dir() else _read_npz(source)
    _check(arrays, source)
    landmarks = arrays["landmarks68"].astype(np.int32)
    content = {
        "mean": arrays["mean_shape"].astype(np.float32),
        "identity_basis": arrays["shape_basis"].astype(np.float32),
        "expression_basis": arrays["expression_basis"].astype(np.float32),
        "triangles": _outward(arrays["mean_shape"], arrays["triangles"]).astype(np.int32),
        "landmark_triangles": np.repeat(landmarks[:, None], 3, axis=1),
        "landmark_weights": np.tile(np.array([1, 0, 0], np.float32), (68, 1)),
    }
    meta = {
        "name": name,
        "unit_mm": 0.001,
        "licence": LICENCE,
        "source": source.name,
        "expression_names": [f"expression{i:02d}" for i in range(EXPRESSION_MODES)],
        "expression_bounds": None,
    }
    return save_face_model(out, content, meta)


def read_bfm(source: str | Path) -> FaceModel:
    """Return a Basel Face Model without keeping it; source and errors as `import_bfm`'s."""
    with tempfile.TemporaryDirectory() as folder:
        import_bfm(source, Path(folder) / "bfm.npz")
        return read_face_model(Path(folder) / "bfm.npz")


def _read_npz(path: Path) -> dict[str, NDArray]:
    if not path.is_file():
        raise FaceModelError(f"{path} does not exist; give bfm62.npz or a folder of 3DDFA's files")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise FaceModelError(f"{path} is not a NumPy .npz file ({error})") from error


def _read_folder(folder: Path) -> dict[str, NDArray]:
    """Read 3DDFA's files; its vectors interleave x, y, z of each vertex."""

    def read(name: str) -> NDArray:
        path = folder / name
        if not path.is_file():
            raise FaceModelError(f"{folder} lacks {name}, one of the files that 3DDFA's model has")
        return np.load(path, allow_pickle=False)

    keypoints = read("keypoints_sim.npy").astype(np.int64)
    mean = read("u_shp.npy").reshape(-1) + read("u_exp.npy").reshape(-1)
    return {
        "mean_shape": mean.reshape(-1, 3),
        "shape_basis": read("w_shp_sim.npy")[:, :SHAPE_MODES].reshape(-1, 3, SHAPE_MODES),
        "expression_basis": read("w_exp_sim.npy")[:, :EXPRESSION_MODES].reshape(
            -1, 3, EXPRESSION_MODES
        ),
        "triangles": read("tri.npy").reshape(-1, 3),
        "landmarks68": keypoints.reshape(68, 3)[:, 0] // 3,
    }


def _check(arrays: dict[str, NDArray], source: Path) -> None:
    vertices = arrays["mean_shape"].shape[0] if "mean_shape" in arrays else 0
    wanted: dict[str, tuple[int | None, ...]] = {
        "mean_shape": (vertices, 3),
        "shape_basis": (vertices, 3, SHAPE_MODES),
        "expression_basis": (vertices, 3, EXPRESSION_MODES),
        "triangles": (None, 3),
        "landmarks68": (68,),
    }
    for name, shape in wanted.items():
        if name not in arrays:
            raise FaceModelError(f"{source} lacks the array '{name}'")
        actual = arrays[name].shape
        if len(actual) != len(shape) or any(
            want is not None and want != got for want, got in zip(shape, actual, strict=True)
        ):
            raise FaceModelError(f"{source}: '{name}' has shape {actual}, expected {shape}")
    for name in ("triangles", "landmarks68"):
        if arrays[name].min() < 0 or arrays[name].max() >= vertices:
            raise FaceModelError(f"{source}: '{name}' names vertices that do not exist")


def _outward(mean: NDArray, triangles: NDArray) -> NDArray:
    """Return the triangles wound counter-clockwise seen from outside (the face looks along +z)."""
    a, b, c = (mean[triangles[:, corner]] for corner in range(3))
    towards_camera = np.cross(b - a, c - a)[:, 2].sum()
    return triangles if towards_camera > 0 else triangles[:, ::-1]


def random_bfm_landmarks(bfm: dict[str, NDArray], count: int, seed: int) -> NDArray:
    """Return random BFM faces' 68 landmarks in model space: (count, 68, 3) mm.

    Shape and expression are drawn with 2DASL's parameter means and standard deviations.
    """
    rng = np.random.default_rng(seed)
    mean, std = bfm["param_mean"][12:], bfm["param_std"][12:]
    draws = mean + std * rng.standard_normal((count, 50))
    ids = bfm["landmarks68"]
    basis = np.concatenate([bfm["shape_basis"][ids], bfm["expression_basis"][ids]], axis=2)
    return (bfm["mean_shape"][ids] + np.einsum("lcm,nm->nlc", basis, draws)) / 1000.0
