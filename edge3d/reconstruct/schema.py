"""The JSON form of a reconstructed face."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge3d.reconstruct.face import Face


def face_to_dict(face: Face) -> dict[str, Any]:
    """Return what JSON says of a face: box, pose, landmarks, blendshapes, parameters."""
    return {
        "box_xyxy": np.round(face.box_xyxy, 3).tolist(),
        "score": round(face.score, 4),
        "pose": {
            "yaw_deg": round(face.pose.yaw_deg, 3),
            "pitch_deg": round(face.pose.pitch_deg, 3),
            "roll_deg": round(face.pose.roll_deg, 3),
            "rotation": np.round(face.pose.rotation.astype(float), 6).tolist(),
            "scale_px": round(face.pose.scale_px, 6),
            "translation_px": np.round(face.pose.translation_px.astype(float), 3).tolist(),
        },
        "landmarks_px": np.round(face.landmarks_px.astype(float), 3).tolist(),
        "blendshapes": {name: round(value, 4) for name, value in face.blendshapes.items()},
        "params": np.round(face.params.astype(float), 6).tolist(),
    }
