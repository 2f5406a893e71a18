from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge3d.calibration.calibration_set import load_calibration_set, write_calibration_set
from edge3d.calibration.sources import faces_of_images
from edge3d.calibration.spread import choose_spread, crop_features
from edge3d.errors import DatasetError
from edge3d.reconstruct.reconstructor import FaceReconstructor


@pytest.fixture
def written(tmp_path: Path) -> Path:
    crops = np.random.default_rng(0).integers(0, 256, (3, 120, 120, 3)).astype(np.uint8)
    features = crop_features(crops, (np.zeros(3), np.zeros(3)))
    write_calibration_set(tmp_path, crops, ["a", "b", "c"], features, "noise", "CC0 1.0")
    return tmp_path


def test_a_set_comes_back(written: Path) -> None:
    found = load_calibration_set(written)
    expected = np.random.default_rng(0).integers(0, 256, (3, 120, 120, 3))
    np.testing.assert_array_equal(found.crops, expected)
    assert found.to_content() == {
        "images": 3,
        "source": "noise",
        "licence": "CC0 1.0",
        "manifest_sha256": found.sha256,
    }


def test_the_set_that_ships() -> None:
    found = load_calibration_set()
    assert len(found.crops) == 64 and "CC0" in found.licence
    grey = found.crops.mean(axis=(1, 2, 3))
    assert np.ptp(grey) > 60  # dark and bright


def test_what_is_no_set_is_refused(written: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"manifest\.json.*edge3d calibrate"):
        load_calibration_set(tmp_path / "gone")
    (written / "001.png").write_bytes((written / "000.png").read_bytes())
    with pytest.raises(DatasetError, match=r"001\.png is missing or not what"):
        load_calibration_set(written)
    manifest = written / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "crops": []}))
    with pytest.raises(DatasetError, match="names no crops"):
        load_calibration_set(written)
    manifest.write_text("{")
    with pytest.raises(DatasetError, match="is damaged"):
        load_calibration_set(written)


def test_the_choice_is_spread() -> None:
    """Of two clusters and an outlier, three points are one of each."""
    rng = np.random.default_rng(1)
    near, far = rng.normal(0, 0.1, (50, 2)), rng.normal(10, 0.1, (50, 2))
    features = np.concatenate([near, far, [[10.0, -30.0]]])
    chosen = choose_spread(features, 3)
    assert sorted((row >= 50) + int(row >= 100) for row in chosen) == [0, 1, 2]
    with pytest.raises(DatasetError, match="101 faces were found, 200 are wanted"):
        choose_spread(features, 200)


def test_features_of_a_blurred_crop(portrait: np.ndarray) -> None:
    crop = portrait[70:190, 160:280]
    blurred = np.asarray(cv2.GaussianBlur(crop, (0, 0), 3), np.uint8)
    dark = (crop // 2).astype(np.uint8)
    features = crop_features(np.stack([crop, blurred, dark]), (np.array([5.0, 0, 0]), np.zeros(3)))
    assert features[0, 0] == 5
    assert features[2, 2] < features[0, 2] and features[2, 3] < features[0, 3]
    assert features[1, 4] < features[0, 4]


def test_a_folder_of_pictures(portrait: np.ndarray, tmp_path: Path) -> None:
    from edge3d.io.image import write_image

    write_image(tmp_path / "inside" / "face.png", portrait)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    faces = faces_of_images(tmp_path, 8, FaceReconstructor())
    assert faces.crops.shape == (1, 120, 120, 3)
    assert list(faces.names) == ["inside/face.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no face was found in 0 pictures"):
        faces_of_images(tmp_path / "empty", 8, FaceReconstructor())
    with pytest.raises(DatasetError, match="is not a folder"):
        faces_of_images(tmp_path / "gone", 8, FaceReconstructor())
