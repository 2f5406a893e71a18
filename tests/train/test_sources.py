from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge3d.datasets.aflw import load_aflw
from edge3d.datasets.augment import AugmentConfig
from edge3d.datasets.faces import FaceCrops
from edge3d.errors import DatasetError
from edge3d.face_model import FaceModel
from edge3d.geometry.landmarks68 import MIRROR, PICTURE_LEFT
from edge3d.geometry.pose import angles_from_rotation, rotation_from_6d
from edge3d.train.recipe import DataSection, load_recipe
from edge3d.train.sampler import TrainingFaces, eyes_are_shut
from edge3d.train.sources import DEFAULT_SYNTHETIC, face_model_of, load_faces


def write_aflw(folder: Path, params62: np.ndarray, **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    names = [f"image{i:05d}.jpg" for i in range(len(params62))]
    with zipfile.ZipFile(folder / "crops120.zip", "w") as archive:
        for i, name in enumerate(names):
            picture = np.full((120, 120, 3), 20 * i, np.uint8)
            archive.writestr(f"crops120/{name}", cv2.imencode(".jpg", picture)[1].tobytes())
    labels = {
        "names": np.array(names),
        "params62_fit": params62,
        "yaw_deg": np.linspace(-60, 60, len(names)),
        **changes,
    }
    np.savez(folder / "labels.npz", **labels)
    return folder


@pytest.fixture
def params62(rng: np.random.Generator) -> np.ndarray:
    """Faces that look at the camera, about 85 crop pixels high."""
    params = np.zeros((4, 62), np.float32)
    params[:, [0, 5, 10]] = 5e-4
    params[:, [3, 7]] = 60
    params[:, 12:52] = 0.3 * rng.standard_normal((4, 40))
    return params


def test_aflw_is_read_mirrored_and_kept(
    tmp_path: Path, params62: np.ndarray, stand_in_bfm: FaceModel, open_model: FaceModel
) -> None:
    folder = write_aflw(tmp_path / "aflw", params62)
    calls: list[int] = []
    faces = load_aflw(
        folder, stand_in_bfm, open_model, tmp_path / "cache", lambda done, total: calls.append(done)
    )
    assert len(faces.crops) == 4 and len(faces.labels.params) == 8
    np.testing.assert_allclose(faces.crops.mean(axis=(1, 2, 3)), [0, 20, 40, 60], atol=2)
    assert calls[-1] == 4
    calls.clear()
    again = load_aflw(
        folder, stand_in_bfm, open_model, tmp_path / "cache", lambda done, total: calls.append(done)
    )
    assert not calls
    np.testing.assert_array_equal(again.labels.params, faces.labels.params)


def test_aflw_that_is_not_whole_is_named(
    tmp_path: Path, params62: np.ndarray, stand_in_bfm: FaceModel, open_model: FaceModel
) -> None:
    def load(folder: Path) -> None:
        load_aflw(folder, stand_in_bfm, open_model, tmp_path / "cache")

    with pytest.raises(DatasetError, match=r"lacks crops120\.zip"):
        load(tmp_path)
    folder = write_aflw(tmp_path / "a", params62, yaw_deg=np.zeros(3))
    with pytest.raises(DatasetError, match="differ in length"):
        load(folder)
    folder = write_aflw(tmp_path / "b", np.full_like(params62, np.nan))
    with pytest.raises(DatasetError, match="not finite"):
        load(folder)
    folder = write_aflw(tmp_path / "c", params62, names=np.array([f"{i}.jpg" for i in range(4)]))
    with pytest.raises(DatasetError, match=r"lacks 0\.jpg"):
        load(folder)
    folder = write_aflw(tmp_path / "d", params62)
    (folder / "crops120.zip").write_bytes((folder / "crops120.zip").read_bytes()[:400])
    with pytest.raises(DatasetError, match="is damaged"):
        load(folder)
    folder = write_aflw(tmp_path / "e", params62)
    with zipfile.ZipFile(folder / "crops120.zip", "w") as archive:
        for i in range(4):
            archive.writestr(f"image{i:05d}.jpg", b"no picture")
    with pytest.raises(DatasetError, match="is not a 120 x 120 picture"):
        load(folder)


def test_sources_are_loaded_side_by_side(
    tmp_path: Path, params62: np.ndarray, stand_in_bfm: FaceModel, open_model: FaceModel
) -> None:
    aflw = write_aflw(tmp_path / "aflw", params62)
    np.savez(
        tmp_path / "bfm62.npz",
        mean_shape=stand_in_bfm.mean,
        shape_basis=stand_in_bfm.identity_basis,
        expression_basis=stand_in_bfm.expression_basis,
        triangles=stand_in_bfm.triangles,
        landmarks68=stand_in_bfm.landmark_triangles[
            np.arange(68), stand_in_bfm.landmark_weights.argmax(axis=1)
        ],
    )
    wild = tmp_path / "wild"
    wild.mkdir()
    cv2.imwrite(str(wild / "w.png"), np.full((90, 90, 3), 99, np.uint8))
    spiral = [[45 + 0.5 * i, 20 + 0.7 * i] for i in range(68)]
    (wild / "landmarks.json").write_text(json.dumps([{"file": "w.png", "landmarks": spiral}]))
    section = DataSection(
        aflw=str(aflw),
        bfm=str(tmp_path / "bfm62.npz"),
        folder=str(wild),
        synthetic=3,
        profiles=2,
        cache=str(tmp_path / "cache"),
    )
    told: list[str] = []
    parts = load_faces(section, open_model, 1000, lambda what, done, total: told.append(what))
    sources = [part.source for part in parts]
    assert sources == ["aflw", "profiles", "synthetic", "folder"]
    assert [len(part.names) for part in parts] == [4, 2, 3, 1]
    assert {"fitting AFLW", "turning", "rendering faces", "reading pictures"} <= set(told)
    dataset = TrainingFaces(parts, 40, AugmentConfig(), 0, shares={"folder": 1, "aflw": 1})
    shapes = {tuple(dataset[i]["dense"].shape) for i in range(40)}
    assert len(shapes) == 1  # all sources give the same tensors
    unknown = [not dataset[i]["params"].isfinite().all() for i in range(40)]
    assert any(unknown) and not all(unknown)


def test_without_a_data_set_faces_are_rendered(tmp_path: Path, open_model: FaceModel) -> None:
    parts = load_faces(DataSection(cache=str(tmp_path)), open_model, 6, lambda *_: None)
    assert [part.source for part in parts] == ["synthetic"]
    assert len(parts[0].names) == 6 < DEFAULT_SYNTHETIC


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.aflw=a"], "bfm is needed"),
        (["data.w300lp=a"], "bfm is needed"),
        (["data.profiles=5"], "aflw is needed"),
        (["data.folder=a"], "2D landmarks alone"),
        (["data.aflw2000-3d=a"], "AFLW2000-3D is for evaluation"),
    ],
)
def test_recipes_that_cannot_work_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(Exception, match=message):
        load_recipe(None, overrides)


def test_held_out_photos_are_never_drawn(faces: FaceCrops) -> None:
    held = faces.held_out(0.5)
    assert 0 < held.sum() < len(held)
    dataset = TrainingFaces([faces], 200, AugmentConfig(), 0, held_out=0.5)
    assert set(dataset._rows[0]) == set(np.flatnonzero(~held))
    turned = np.array([f"{name}#turned-{i}" for i, name in enumerate(faces.names)])
    derived = FaceCrops("profiles", faces.crops, faces.labels, faces.points, faces.yaw_deg, turned)
    np.testing.assert_array_equal(derived.held_out(0.5), held)


def test_detected_landmarks_are_worse_on_the_side_turned_away(faces: FaceCrops) -> None:
    near, far = [], []
    dataset = TrainingFaces([faces], 300, AugmentConfig(), 0)
    for draw in (dataset[index] for index in range(300)):
        yaw = angles_from_rotation(rotation_from_6d(draw["params"][None, :6].numpy()))[0][0]
        error = (draw["detected"] - draw["landmarks"][:, :2]).norm(dim=1).numpy()
        sides = error[PICTURE_LEFT], error[PICTURE_LEFT[MIRROR]]
        if abs(yaw) > 25:
            far.append(np.nanmedian(sides[0 if yaw > 0 else 1]))
            near.append(np.nanmedian(sides[1 if yaw > 0 else 0]))
    assert len(near) > 50
    assert np.mean(far) > 1.3 * np.mean(near)


def test_a_detectors_mistakes_are_shared_within_a_part(faces: FaceCrops) -> None:
    dataset = TrainingFaces([faces], 300, AugmentConfig(), 0)
    draws = [dataset[index] for index in range(300)]
    errors = np.stack([(d["detected"] - d["landmarks"][:, :2]).numpy() for d in draws])
    found = np.isfinite(errors).all(axis=2)
    nothing = ~found.any(axis=1)
    assert 0 < nothing.mean() < 0.1  # a detector misses whole faces
    assert 0 < (~found[~nothing]).mean() < 0.1  # and single landmarks

    def alike(one: int, other: int) -> float:
        both = found[:, one] & found[:, other]
        pair = [errors[both, landmark, 0] for landmark in (one, other)]
        near = np.all(np.abs(pair) < 8, axis=0)
        return float(np.corrcoef(np.array(pair)[:, near])[0, 1])

    within, across = alike(37, 40), alike(40, 57)  # an eye's; an eye's and a lip's
    assert within > across + 0.15 and across > 0


def test_the_face_model_of_a_recipe(stand_in_bfm: FaceModel, tmp_path: Path) -> None:
    file = tmp_path / "bfm62.npz"
    np.savez(
        file,
        mean_shape=stand_in_bfm.mean,
        shape_basis=stand_in_bfm.identity_basis,
        expression_basis=stand_in_bfm.expression_basis,
        triangles=stand_in_bfm.triangles,
        landmarks68=stand_in_bfm.landmark_triangles[:, 0],
    )
    settings = load_recipe(None, ["model.face_model=bfm", "data.aflw=a", f"data.bfm={file}"])
    own = face_model_of(settings)
    assert (own.name, own.identity_count, own.expression_count) == ("bfm", 40, 10)
    assert face_model_of(load_recipe(None, [])).name == "open"


def test_aflw_keeps_its_labels_in_the_basel_face_model(
    tmp_path: Path, params62: np.ndarray, stand_in_bfm: FaceModel
) -> None:
    folder = write_aflw(tmp_path / "aflw", params62)
    for _ in range(2):  # fitted, and from the cache
        faces = load_aflw(folder, stand_in_bfm, stand_in_bfm, tmp_path / "cache")
        assert faces.labels.camera == "affine"
        np.testing.assert_array_equal(faces.labels.params[:4], params62)


def with_eyes(landmarks: np.ndarray, ratios: tuple[float, float]) -> np.ndarray:
    """Return landmarks (68, 3) whose eyes have these aspect ratios."""
    changed = landmarks.copy()
    for corner, ratio in zip((36, 42), ratios, strict=True):
        lid = 9 * ratio
        changed[corner : corner + 6, :2] = [(0, 0), (3, lid), (6, lid), (9, 0), (6, 0), (3, 0)]
        changed[corner : corner + 6, 2] = 0
    return changed


def test_shut_eyes_are_drawn_more_often(faces: FaceCrops) -> None:
    landmarks = np.array(faces.labels.landmarks)
    for row, ratios in enumerate([(0.1, 0.1), (0.02, 0.28), (0.3, 0.1), *[(0.3, 0.3)] * 13]):
        landmarks[row] = with_eyes(landmarks[row], ratios)
    landmarks[3, 37] = np.nan
    assert eyes_are_shut(landmarks[:4]).tolist() == [True, True, False, False]
    landmarks[8:10] = landmarks[:2]  # their mirror images
    shown = replace(faces, labels=replace(faces.labels, landmarks=landmarks))
    dataset = TrainingFaces([shown], 400, AugmentConfig(), 0, balance=0, shut_eyes=4)
    drawn = torch.stack([dataset[index]["landmarks"] for index in range(400)]).numpy()
    assert eyes_are_shut(drawn).mean() == pytest.approx(
        8 / 14, abs=0.08
    )  # 2 of 8, 4 times as often
