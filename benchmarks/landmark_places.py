"""How far `open-2`'s 68 landmarks lie from `open`'s, on the same skin.

    python -m benchmarks.landmark_places

Both models are hm08 heads with one texture map. The vertices that carry an old landmark are found
on the new mean by their texture coordinates, and the distances between old and new places are
printed in mm for each part of the face. `open`'s places come from BFM and AFLW, `open-2`'s from
ICT-FaceKit.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from edge3d.face_model import load_face_model

PARTS = {
    "jaw": (0, 17),
    "brows": (17, 27),
    "nose": (27, 36),
    "eyes": (36, 48),
    "outer lips": (48, 60),
    "inner lips": (60, 68),
}


def main() -> None:
    """Measure and print."""
    old, new = load_face_model("open"), load_face_model("open-2")
    if old.uv is None or new.uv is None:
        raise SystemExit("both models need texture coordinates")
    # Eyes and tongue have a texture of their own at the same coordinates: places tell them apart.
    known = np.column_stack([1000 * new.uv, new.mean / 20])
    wanted = np.column_stack([1000 * old.uv, old.mean / 20])
    number = np.asarray(cKDTree(known).query(wanted[old.landmark_triangles])[1])
    carried = np.einsum("lk,lkc->lc", old.landmark_weights, new.mean[number])
    apart = np.linalg.norm(carried - new.landmarks(new.mean), axis=1)
    for part, (start, end) in PARTS.items():
        own = apart[start:end]
        print(f"{part:12s} mean {own.mean():5.1f} mm, largest {own.max():5.1f} mm")
    print(f"{'all':12s} mean {apart.mean():5.1f} mm")


if __name__ == "__main__":
    main()
