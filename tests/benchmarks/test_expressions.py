from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edge3d
from benchmarks.expressions import compare, curves, faces_of, read_reference
from edge3d.errors import DatasetError


def test_figures_of_known_curves() -> None:
    reference = np.linspace(0, 1, 101)[:, None]
    found = 0.2 + 0.5 * reference
    found[50] = np.nan  # no face in this frame
    (row,) = compare(found, reference, ["jawOpen"])
    assert row["rest"] == pytest.approx(0.25, abs=0.01)
    assert row["rest_reference"] == pytest.approx(0.1, abs=0.01)
    assert row["range_reference"] == pytest.approx(0.96, abs=0.01)
    assert row["range_ratio"] == pytest.approx(0.5)
    assert row["correlation"] == pytest.approx(1)


def test_a_shape_that_does_not_move_has_no_correlation() -> None:
    (row,) = compare(np.zeros((9, 1)), np.linspace(0, 1, 9)[:, None], ["cheekPuff"])
    assert row["correlation"] is None and row["range_ratio"] == 0


def test_references_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "reference.npz"
    with pytest.raises(DatasetError, match="is no reference"):
        read_reference(path)
    np.savez(path, names=["jawOpen"], weights=np.zeros((4, 2)))
    with pytest.raises(DatasetError, match="do not fit 1 names"):
        read_reference(path)
    with pytest.raises(DatasetError, match="3 frames, the reference 4"):
        compare(np.zeros((3, 1)), np.zeros((4, 1)), ["jawOpen"])
    with pytest.raises(DatasetError, match="found in 0 of 4 frames"):
        compare(np.full((4, 1), np.nan), np.zeros((4, 1)), ["jawOpen"])


def test_a_folder_of_photographs(portrait: np.ndarray, tmp_path: Path) -> None:
    edge3d.write_image(tmp_path / "0.png", portrait)
    edge3d.write_image(tmp_path / "1.png", np.zeros((200, 200, 3), np.uint8))
    reconstructor = edge3d.FaceReconstructor()
    (face,) = reconstructor.reconstruct(portrait)
    found = curves(faces_of(tmp_path, reconstructor, None), ["mouthSmileLeft", "unknown"])
    np.testing.assert_allclose(found[0], [face.blendshapes["mouthSmileLeft"], 0])
    assert np.isnan(found[1]).all()
