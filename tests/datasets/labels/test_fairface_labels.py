"""The labels that the repository carries."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge3d.datasets.labels.face_landmarker import BLENDSHAPES, TASK_SHA256
from edge3d.datasets.labels.face_square import face_size
from edge3d.datasets.labels.mesh_labels import LEAST_PRESENCE, load_mesh_labels

LABELS = Path(__file__).parents[3] / "train" / "labels" / "fairface-mesh-478.npz"


def test_the_labels_of_fairface_decode_to_faces_in_their_photographs() -> None:
    labels = load_mesh_labels(LABELS)
    assert labels.record["photographs"]["licence"] == "CC-BY-4.0"
    assert labels.record["labeller"]["sha256"] == TASK_SHA256
    rows = np.arange(0, len(labels.names), 40)
    seen = labels.decode(rows)
    assert (seen.presence >= LEAST_PRESENCE - 1e-3).all()
    centres = seen.points_px[:, 1, :2] / labels.size_px[rows, ::-1]
    assert ((centres > 0) & (centres < 1)).all(axis=1).mean() > 0.99  # the tip of the nose
    share = face_size(seen.points_px) / labels.size_px[rows, 0]
    assert ((share > 0.15) & (share < 1.5)).all()
    # Smiles go with wide mouths, in the frontal faces.
    frontal = np.abs(labels.meshes.head_angles_deg(rows)[:, 0]) < 15
    mouth = np.linalg.norm(seen.points_px[:, 61, :2] - seen.points_px[:, 291, :2], axis=1)
    smile = seen.blendshapes[:, BLENDSHAPES.index("mouthSmileLeft")]
    relative = mouth / face_size(seen.points_px)
    assert np.corrcoef(relative[frontal], smile[frontal])[0, 1] > 0.7
