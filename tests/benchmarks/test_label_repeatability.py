from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.label_repeatability import measure, split_correlation
from edge3d.datasets.labels.face_square import FaceSquare
from edge3d.datasets.labels.photo_labels import Photo, label_photos
from edge3d.errors import DatasetError
from tests.datasets.labels.stub_landmarker import StubLandmarker, draw_face


def test_noise_of_views_lowers_the_correlation(rng: np.random.Generator) -> None:
    truth = rng.normal(size=(4000, 1))
    correlation, noise = split_correlation(truth + rng.normal(size=(4000, 16)))
    assert correlation == pytest.approx(1 / (1 + 1 / 8), abs=0.02)
    assert noise == pytest.approx(np.sqrt(2 / 8) / np.sqrt(1 + 1 / 16), abs=0.02)
    # Noise that the views of a pair share is seen, not averaged within a half.
    pairs = truth + np.repeat(rng.normal(size=(4000, 2)), 2, axis=1)
    assert split_correlation(pairs)[0] == pytest.approx(0.5, abs=0.05)


def test_tables_of_a_labelled_folder(tmp_path: Path) -> None:
    square = FaceSquare((149.5, 129.5), 180.0)
    photos = [
        Photo(f"{n}", draw_face(tmp_path / f"{n}.png", (150 + n, 130), grey), square)
        for n, grey in enumerate([255, 255, 255, 120])
    ]
    label_photos(photos, StubLandmarker(), tmp_path / "out", pairs=2)
    frontal, *others = measure([tmp_path / "out"])["bins"]
    assert frontal["photographs"] == 4 and not any(row["photographs"] for row in others)
    assert frontal["kept"] == 0.75
    label_photos(photos, StubLandmarker(), tmp_path / "single", pairs=1)
    with pytest.raises(DatasetError, match="fewer than two pairs"):
        measure([tmp_path / "single"])
