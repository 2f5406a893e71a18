"""A folder of assets as small as one can be: plain colours, a triangle for each part."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

# Vertices of hm08 on the forehead, and of its helpers for lashes, teeth and tongue.
BOUND_TO = {
    "hair": (840, 900, 960),
    "beard": (840, 900, 960),
    "eyebrow": (108, 113, 165),
    "eyelashes": (14742, 14745, 14750),
    "teeth": (15061, 15068, 15077),
    "tongue": (13380, 13385, 13390),
}


def write_small_assets(folder: Path) -> Path:
    """Write the folder and return it."""
    (folder / "skins").mkdir(parents=True)
    (folder / "parts").mkdir()
    files = ["skins/plain.png", "parts/eye_dark.png"]
    cv2.imwrite(str(folder / files[0]), np.full((90, 40, 3), (120, 150, 200), np.uint8))
    eye = np.full((128, 128, 4), 230, np.uint8)
    cv2.circle(eye, (90, 38), 15, (20, 20, 20, 255), -1)  # the iris, where such textures have it
    eye[..., 3] = 255
    cv2.imwrite(str(folder / files[1]), eye)
    skin = {
        "file": files[0],
        "sex": "male",
        "age": "young",
        "ancestry": "caucasian",
        "cheek_linear": [0.57, 0.3, 0.18],
        "neck_linear": [0.57, 0.3, 0.18],
        "eye_socket_linear": [0.4, 0.2, 0.15],
    }
    crop = {"u0": 0.625, "u1": 1.0, "v0": 0.0, "v1": 0.875}
    (folder / "skins" / "skins.json").write_text(json.dumps({"uv_crop": crop, "skins": [skin]}))
    parts: dict = {"eye_textures": {"dark": {"file": files[1]}}}
    for kind, vertices in BOUND_TO.items():
        mesh, texture = f"parts/{kind}_one.npz", f"parts/{kind}_one.png"
        np.savez(
            folder / mesh,
            ref=np.repeat(np.array(vertices)[:, None], 3, axis=1),
            weight=np.full((3, 3), 1 / 3, np.float16),
            offset=np.zeros((3, 3), np.float16),
            scale_ref=np.array([[5399, 11998], [791, 881], [962, 5320]]),
            scale_div=np.array([1.4, 2.2, 1.8], np.float32),
            quads=np.array([[0, 1, 2, 2]]),
            uv=np.array([[0, 0], [1, 0], [0, 1]], np.float16),
            quad_uv=np.array([[0, 1, 2, 2]]),
        )
        cv2.imwrite(str(folder / texture), np.full((8, 8, 4), 255, np.uint8))
        files += [mesh, texture]
        parts[kind] = {"one": {"mesh": mesh}}
        parts[f"{kind}_textures"] = {"one": {"file": texture}}
    (folder / "parts" / "parts.json").write_text(json.dumps(parts))
    np.savez(folder / "env.npz", grey=np.ones((16, 32, 3), np.float16))
    rows = ["file,name,author,licence,source"]
    rows += [f"{name},small,edge3d,CC0-1.0,tests" for name in [*files, "env.npz#grey"]]
    (folder / "licences.csv").write_text("\n".join(rows) + "\n")
    return folder
