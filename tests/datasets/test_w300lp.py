from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat, savemat

import edge3d
from edge3d.datasets.w300lp import crop_params62, load_300w_lp, read_fit
from edge3d.errors import DatasetError
from edge3d.face_model import FaceModel
from edge3d.face_model.bfm import import_bfm
from edge3d.face_model.store import read_face_model
from edge3d.geometry.boxes import landmark_box
from edge3d.geometry.crop import crop_face
from edge3d.geometry.pose import rotation_from_angles
from edge3d.metrics import landmark_nme
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout

HEIGHT, WIDTH = 200, 240


def write_face(folder: Path, name: str, rng: np.random.Generator, **changes: object) -> np.ndarray:
    """Write a picture and its fit; return the pose (7,)."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    cv2.imwrite(str(folder / f"{name}.jpg"), picture)
    # Micrometres to pixels: a face of some 150 mm becomes about 70 pixels wide.
    pose = np.array([*rng.uniform(-0.4, 0.4, 3), 110, 90, 0, 4.5e-4])
    content = {
        "Pose_Para": pose[None],
        "Shape_Para": 0.3 * rng.standard_normal((199, 1)),
        "Exp_Para": 0.02 * rng.standard_normal((29, 1)),
        **changes,
    }
    savemat(folder / f"{name}.mat", {k: v for k, v in content.items() if v is not None})
    return pose


def test_a_fit_means_the_same_in_its_crop(
    stand_in_bfm: FaceModel, tmp_path: Path, rng: np.random.Generator
) -> None:
    write_face(tmp_path, "a", rng)
    pose, coefficients = read_fit(tmp_path / "a.mat")
    shape = stand_in_bfm.vertices(coefficients[:40], coefficients[40:])
    pitch, yaw, roll = np.degrees(pose[:3])
    fitted = pose[6] * shape @ rotation_from_angles(yaw, pitch, roll).T + pose[3:6]
    in_picture = np.column_stack([fitted[:, 0] - 1, HEIGHT - fitted[:, 1]])  # 1-based, y up
    crop = crop_face(np.zeros((HEIGHT, WIDTH, 3), np.uint8), [30, 20, 180, 170])
    params = crop_params62(pose, coefficients, HEIGHT, crop)
    decoder = Decoder(stand_in_bfm, make_layout("affine", stand_in_bfm))
    decoded = crop.points_to_frame(decoder.vertices(params[None])[0])[:, :2]
    np.testing.assert_allclose(decoded, in_picture, atol=0.02)


def test_sub_folders_are_read_and_cached(
    stand_in_bfm: FaceModel, open_model: FaceModel, tmp_path: Path, rng: np.random.Generator
) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    for name in ("AFW/a", "LFPW_Flip/b", "LFPW_Flip/c"):
        path = data / name
        write_face(path.parent, path.name, rng)
    (data / "landmarks").mkdir()
    savemat(data / "landmarks" / "a_pts.mat", {"pts_2d": np.zeros((68, 2))})  # as 300W-LP has it
    seen: list[tuple[int, int]] = []
    faces = load_300w_lp(
        data, stand_in_bfm, open_model, cache, lambda done, total: seen.append((done, total))
    )
    assert list(faces.names) == ["AFW/a.jpg", "LFPW_Flip/b.jpg", "LFPW_Flip/c.jpg"]
    assert faces.crops.shape == (3, 120, 120, 3) and len(faces.labels.params) == 6
    assert seen[-1] == (3, 3)
    size = np.ptp(faces.labels.landmarks[:3, :, :2], axis=1).max(axis=1)
    np.testing.assert_allclose(size, 120 / np.sqrt(2), rtol=0.03)  # the protocol's crop
    # Kept: the second time nothing is read from the pictures.
    (data / "AFW" / "a.jpg").write_bytes((data / "AFW" / "a.jpg").read_bytes())
    again = load_300w_lp(data, stand_in_bfm, open_model, cache, lambda *_: seen.append((0, 0)))
    assert (0, 0) not in seen
    np.testing.assert_array_equal(again.labels.params, faces.labels.params)


def load(folder: Path, stand_in_bfm: FaceModel, open_model: FaceModel) -> None:
    load_300w_lp(folder, stand_in_bfm, open_model, folder.parent / "cache")


def test_a_folder_without_faces_is_named(
    stand_in_bfm: FaceModel, open_model: FaceModel, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=r"nothing holds no \.jpg with a \.mat"):
        load(tmp_path / "nothing", stand_in_bfm, open_model)


def test_the_evaluation_set_is_refused(
    stand_in_bfm: FaceModel, open_model: FaceModel, tmp_path: Path, rng: np.random.Generator
) -> None:
    write_face(tmp_path / "data", "image00002", rng, pt3d_68=np.zeros((3, 68)))
    with pytest.raises(DatasetError, match="AFLW2000-3D.*never trained on"):
        load(tmp_path / "data", stand_in_bfm, open_model)


@pytest.mark.parametrize(
    "changes",
    [
        {"Pose_Para": None},
        {"Shape_Para": np.zeros((100, 1))},
        {"Exp_Para": np.full((29, 1), np.nan)},
    ],
)
def test_a_wrong_fit_is_named(
    changes: dict,
    stand_in_bfm: FaceModel,
    open_model: FaceModel,
    tmp_path: Path,
    rng: np.random.Generator,
) -> None:
    write_face(tmp_path / "data", "odd", rng, **changes)
    with pytest.raises(DatasetError, match=rf"odd\.mat: {next(iter(changes))} is not"):
        load(tmp_path / "data", stand_in_bfm, open_model)


def test_a_damaged_fit_is_named(
    stand_in_bfm: FaceModel, open_model: FaceModel, tmp_path: Path, rng: np.random.Generator
) -> None:
    write_face(tmp_path / "data", "cut", rng)
    path = tmp_path / "data" / "cut.mat"
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(DatasetError, match=r"cut\.mat is not a readable"):
        load(tmp_path / "data", stand_in_bfm, open_model)


def test_real_fits_give_the_annotated_landmarks(data_dir: Path, tmp_path: Path) -> None:
    """AFLW2000-3D has the same layout and known landmarks; what 40 + 10 modes leave is small."""
    import_bfm(data_dir / "bfm" / "bfm62.npz", tmp_path / "bfm.npz")
    bfm = read_face_model(tmp_path / "bfm.npz")
    decoder = Decoder(bfm, make_layout("affine", bfm))
    errors = []
    for path in sorted((data_dir / "aflw2000-3d-dev").glob("*.mat"))[:40]:
        content = loadmat(path)
        known = content["pt3d_68"][:2].T - 1
        height, width = edge3d.read_image(path.with_suffix(".jpg")).shape[:2]
        crop = crop_face(np.zeros((height, width, 3), np.uint8), landmark_box(known))
        coefficients = np.concatenate([content["Shape_Para"][:40, 0], content["Exp_Para"][:10, 0]])
        params = crop_params62(content["Pose_Para"][0], coefficients, height, crop)
        found = crop.points_to_frame(decoder.landmarks(params[None])[0])
        errors.append(landmark_nme(found[None], known[None])[0])
    assert np.mean(errors) < 1.1
