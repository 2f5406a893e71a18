"""The figures, by hand and against the known answer of the released 2DASL parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge3d.evaluate import evaluate_predictions, load_aflw2000, predict_params62
from edge3d.face_model.bfm import import_bfm
from edge3d.face_model.store import read_face_model
from edge3d.metrics import landmark_nme, pose_error, summarise_nme, yaw_bins


def test_nme_of_a_known_shift() -> None:
    known = np.zeros((1, 68, 3))
    known[0, 0, :2] = (100, 25)  # a box of 100 x 25: size 50
    moved = known + np.array([3, 4, 99])  # 5 px in the plane; depth does not count
    assert landmark_nme(moved, known) == pytest.approx([10.0])


def test_bins_and_their_balance() -> None:
    assert yaw_bins(np.array([-30, 30.1, 60, -60.1, 120])).tolist() == [0, 1, 1, 2, 2]
    nme = np.array([1.0, 3.0, 5.0, 9.0, np.nan])
    result = summarise_nme(nme, np.array([0, 10, -45, 80, 20]))
    assert result == {"bins": [2.0, 5.0, 9.0], "balanced": pytest.approx(16 / 3), "all": 4.5}
    frontal = summarise_nme(nme[:2], np.zeros(2))
    assert frontal == {"bins": [2.0, None, None], "balanced": None, "all": 2.0}


def test_pose_error_leaves_extreme_images_out() -> None:
    known = np.array([[0, 0, 0], [10, 0, 0], [0, 0, 100.0]])
    predicted = np.array([[1, 2, 3], [np.nan, 0, 0], [0, 0, 0.0]])
    assert pose_error(predicted, known) == {"n": 1, "yaw": 1, "pitch": 2, "roll": 3, "mean": 2}


def test_released_2dasl_gives_its_known_numbers(data_dir: Path, tmp_path: Path) -> None:
    import_bfm(data_dir / "bfm" / "bfm62.npz", tmp_path / "bfm.npz")
    dataset = load_aflw2000(data_dir / "aflw2000-3d-dev")
    with np.load(data_dir / "aflw2000-3d-dev-protocol.npz") as protocol:
        params = protocol["params62_2dasl"]
    bfm = read_face_model(tmp_path / "bfm.npz")
    result = evaluate_predictions(dataset, predict_params62(dataset, params, bfm))
    assert result["n"] == 999
    np.testing.assert_allclose(result["nme"]["bins"], (2.731, 3.557, 4.774), atol=5e-4)
    assert result["nme"]["balanced"] == pytest.approx(3.687, abs=5e-4)
    assert result["nme_reannotated"]["balanced"] == pytest.approx(3.062, abs=5e-4)
