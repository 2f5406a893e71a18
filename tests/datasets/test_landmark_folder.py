from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge3d.datasets.landmark_folder import load_landmark_folder
from edge3d.errors import DatasetError, ImageError
from edge3d.face_model.dense_points import DensePoints
from edge3d.geometry.landmarks68 import MIRROR

HEADER = ["file", *(f"{axis}{i}" for i in range(68) for axis in "xy")]


@pytest.fixture
def landmarks(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform([60, 40], [140, 110], (68, 2))


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    picture = rng.integers(0, 256, (160, 200, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    return tmp_path


def write_csv(folder: Path, points: np.ndarray, name: str = "a.png") -> None:
    with open(folder / "landmarks.csv", "w", newline="", encoding="utf-8") as file:
        row = ["" if not np.isfinite(v) else f"{v}" for v in points.reshape(-1)]
        csv.writer(file).writerows([HEADER, [name, *row]])


def test_csv_and_json_give_the_same(
    folder: Path, landmarks: np.ndarray, dense_points: DensePoints
) -> None:
    landmarks[5] = np.nan
    write_csv(folder, landmarks)
    from_csv = load_landmark_folder(folder, dense_points, 140)
    (folder / "landmarks.csv").unlink()
    points = [None if np.isnan(p).any() else p.tolist() for p in landmarks]
    (folder / "landmarks.json").write_text(json.dumps([{"file": "a.png", "landmarks": points}]))
    from_json = load_landmark_folder(folder, dense_points, 140)
    np.testing.assert_array_equal(from_csv.crops, from_json.crops)
    np.testing.assert_allclose(from_csv.labels.landmarks, from_json.labels.landmarks)


def test_landmarks_lie_where_they_lay_and_the_rest_is_unknown(
    folder: Path, landmarks: np.ndarray, dense_points: DensePoints
) -> None:
    landmarks[7] = np.nan
    write_csv(folder, landmarks)
    faces = load_landmark_folder(folder, dense_points, 140)
    planar = faces.labels.landmarks[0, :, :2]
    known = np.isfinite(planar).all(axis=1)
    assert not known[7] and known.sum() == 67
    # A similarity: the box's side is the protocol's, its middle the crop's.
    low, high = np.nanmin(landmarks, axis=0), np.nanmax(landmarks, axis=0)
    zoom = 120 / (np.sqrt(2) * (high - low).max())
    expected = (landmarks - 0.5 * (low + high)) * zoom + 59.5
    np.testing.assert_allclose(planar[known], expected[known], atol=0.6)  # boxes are rounded
    mirrored = faces.labels.landmarks[1, :, :2]
    np.testing.assert_allclose(mirrored[MIRROR, 0], 119 - planar[:, 0], atol=1e-4)
    assert np.isnan(faces.labels.params).all() and np.isnan(faces.labels.dense).all()
    assert np.isnan(faces.labels.landmarks[..., 2]).all()


def test_no_landmark_file_is_named(folder: Path, dense_points: DensePoints) -> None:
    with pytest.raises(DatasetError, match=r"neither landmarks\.csv nor landmarks\.json"):
        load_landmark_folder(folder, dense_points, 140)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line must be"),
        ("name,a,b\n", "the first line must be"),
        (",".join(HEADER) + "\n", "names no faces"),
        (",".join(HEADER) + "\na.png,1,2,3\n", "row 1: 3 numbers"),
        (",".join(HEADER) + "\na.png" + ",x" * 136 + "\n", "row 1: not a number"),
        (",".join(HEADER) + "\na.png" + ",nan" * 136 + "\n", "row 1: only 0 landmarks"),
    ],
)
def test_a_malformed_table_is_named(
    folder: Path, dense_points: DensePoints, text: str, message: str
) -> None:
    (folder / "landmarks.csv").write_text(text)
    with pytest.raises(DatasetError, match=rf"landmarks\.csv.*{message}"):
        load_landmark_folder(folder, dense_points, 140)


@pytest.mark.parametrize("text", ["[", '{"a": 1}', '[{"file": "a.png"}]', "[1]"])
def test_malformed_json_is_named(folder: Path, dense_points: DensePoints, text: str) -> None:
    (folder / "landmarks.json").write_text(text)
    with pytest.raises(DatasetError, match=r"landmarks\.json"):
        load_landmark_folder(folder, dense_points, 140)


def test_landmarks_far_outside_are_refused(
    folder: Path, landmarks: np.ndarray, dense_points: DensePoints
) -> None:
    landmarks[3] = (5000, 10)
    write_csv(folder, landmarks)
    with pytest.raises(DatasetError, match=r"row 1: landmarks of a\.png lie far outside"):
        load_landmark_folder(folder, dense_points, 140)


def test_a_picture_that_is_not_there_is_named(
    folder: Path, landmarks: np.ndarray, dense_points: DensePoints
) -> None:
    write_csv(folder, landmarks, "gone.png")
    with pytest.raises(ImageError, match=r"gone\.png"):
        load_landmark_folder(folder, dense_points, 140)
