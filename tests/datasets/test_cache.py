from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from edge3d.datasets.cache import cache_key, load_labels, save_labels
from edge3d.datasets.faces import FaceCrops


def test_a_key_is_the_start_of_the_hash_of_all_that_decides_the_content() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    wanted = hashlib.sha256(b"2 0" + array.T.copy().tobytes() + b"names").hexdigest()[:16]
    assert cache_key("2 0", array.T, b"names") == wanted


def test_labels_come_back_as_they_were(faces: FaceCrops, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "labels.npz"
    save_labels(path, faces.labels, yaw_deg=faces.yaw_deg)
    labels, others = load_labels(path, "affine")
    for name in ("params", "landmarks", "dense"):
        np.testing.assert_array_equal(getattr(labels, name), getattr(faces.labels, name))
    assert labels.camera == "affine" and others.keys() == {"yaw_deg"}
    np.testing.assert_array_equal(others["yaw_deg"], faces.yaw_deg)
