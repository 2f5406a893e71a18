from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge3d.errors import FaceModelError
from edge3d.face_model import FaceModel, load_face_model, open_face_model_path
from edge3d.face_model.bfm import import_bfm
from edge3d.face_model.store import read_face_model
from edge3d.geometry.landmarks68 import MIRROR


def test_open_model_is_what_the_package_promises(open_model: FaceModel) -> None:
    assert open_face_model_path().stat().st_size < 4_000_000
    assert open_model.expression_count == 51
    assert {"jawOpen", "eyeBlinkLeft", "mouthSmileRight", "browInnerUp"} <= set(
        open_model.expression_names
    )
    assert "tongueOut" not in open_model.expression_names
    assert open_model.expression_bounds == (0.0, 1.0)
    assert open_model.uv is not None and open_model.uv.shape == (len(open_model.mean), 2)
    assert "CC0" in open_model.licence
    assert open_model.triangles.max() == len(open_model.mean) - 1


def test_open_model_has_the_size_of_a_head(open_model: FaceModel) -> None:
    landmarks = open_model.landmarks(open_model.mean)
    assert 80 < np.linalg.norm(landmarks[45] - landmarks[36]) < 110  # outer eye corners, mm
    assert np.ptp(landmarks[:17, 0]) == pytest.approx(140, abs=25)  # jaw, ear to ear


def test_landmarks_are_symmetric(open_model: FaceModel) -> None:
    landmarks = open_model.landmarks(open_model.mean)
    mirrored = landmarks[MIRROR] * [-1, 1, 1]
    assert np.linalg.norm(landmarks - mirrored, axis=1).mean() < 1.0  # mm


def test_landmarks_lie_at_the_skin_that_carries_them(open_model: FaceModel) -> None:
    landmarks = open_model.landmarks(open_model.mean)
    carriers = open_model.mean[open_model.landmark_triangles]
    assert np.linalg.norm(carriers - landmarks[:, None], axis=2).max() < 25  # mm
    gap = np.linalg.norm(open_model.mean[:, None] - landmarks, axis=2).min(axis=0)
    assert gap.mean() < 2 and gap.max() < 6


def test_triangles_are_wound_outwards(open_model: FaceModel) -> None:
    corners = open_model.mean[open_model.triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    nose = np.linalg.norm(corners.mean(axis=1) - open_model.landmarks(open_model.mean)[30], axis=1)
    assert normal[nose.argmin(), 2] > 0


@pytest.mark.parametrize(
    ("name", "landmark", "axis", "sign"),
    [
        ("jawOpen", 8, 1, -1),  # the chin goes down
        ("eyeBlinkLeft", 43, 1, -1),  # the subject's left upper lid, right in the picture
        ("eyeBlinkRight", 38, 1, -1),
        ("mouthSmileLeft", 54, 1, 1),
        ("browInnerUp", 21, 1, 1),
    ],
)
def test_blendshapes_move_what_they_name(
    open_model: FaceModel, name: str, landmark: int, axis: int, sign: int
) -> None:
    weights = np.zeros(51)
    weights[open_model.expression_names.index(name)] = 1.0
    moved = open_model.landmarks(open_model.vertices(expression=weights))
    assert sign * (moved - open_model.landmarks(open_model.mean))[landmark, axis] > 1.5  # mm


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    with np.load(open_face_model_path()) as file:
        content = {name: file[name] for name in file.files}
    content["mean"] = content["mean"] + 1
    np.savez(tmp_path / "open.npz", **content)
    with pytest.raises(FaceModelError, match="SHA-256"):
        read_face_model(tmp_path / "open.npz")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.npz"
    path.write_bytes(open_face_model_path().read_bytes()[:100_000])
    with pytest.raises(FaceModelError, match=r"cut\.npz"):
        read_face_model(path)


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_what_is_no_face_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.npz"
    path.write_bytes(content)
    with pytest.raises(FaceModelError, match=r"no\.npz"):
        read_face_model(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a", "b")
    with pytest.raises(FaceModelError, match=r"no\.npz"):
        read_face_model(path)


def test_an_unknown_name_says_how_to_import() -> None:
    with pytest.raises(FaceModelError, match="face-model import"):
        load_face_model("no-such-model")


def bfm_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    count = 90
    return {
        "mean_shape": rng.normal(0, 5e4, (count, 3)).astype(np.float32),
        "shape_basis": rng.normal(0, 1, (count, 3, 40)).astype(np.float32),
        "expression_basis": rng.normal(0, 1, (count, 3, 10)).astype(np.float32),
        "triangles": rng.integers(0, count, (50, 3)),
        "landmarks68": rng.permutation(count)[:68],
    }


def test_both_forms_of_a_bfm_import_alike(tmp_path: Path) -> None:
    arrays = bfm_arrays()
    np.savez(tmp_path / "bfm62.npz", **arrays)
    folder = tmp_path / "3ddfa"
    folder.mkdir()
    np.save(folder / "u_shp.npy", 0.5 * arrays["mean_shape"].reshape(-1, 1))
    np.save(folder / "u_exp.npy", 0.5 * arrays["mean_shape"].reshape(-1, 1))
    np.save(folder / "w_shp_sim.npy", arrays["shape_basis"].reshape(-1, 40))
    np.save(folder / "w_exp_sim.npy", arrays["expression_basis"].reshape(-1, 10))
    np.save(folder / "tri.npy", arrays["triangles"])
    keypoints = (3 * arrays["landmarks68"][:, None] + np.arange(3)).reshape(-1)
    np.save(folder / "keypoints_sim.npy", keypoints)
    import_bfm(tmp_path / "bfm62.npz", tmp_path / "a.npz")
    import_bfm(folder, tmp_path / "b.npz")
    a, b = read_face_model(tmp_path / "a.npz"), read_face_model(tmp_path / "b.npz")
    np.testing.assert_allclose(a.mean, b.mean)
    np.testing.assert_array_equal(a.identity_basis, b.identity_basis)
    np.testing.assert_array_equal(a.expression_basis, b.expression_basis)
    np.testing.assert_array_equal(a.landmark_triangles, b.landmark_triangles)
    np.testing.assert_array_equal(a.triangles, b.triangles)
    np.testing.assert_allclose(
        a.landmarks(a.mean), arrays["mean_shape"][arrays["landmarks68"]], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean_shape": None}, "lacks the array 'mean_shape'"),
        ({"shape_basis": np.zeros((90, 3, 39))}, "'shape_basis' has shape"),
        ({"triangles": np.full((5, 3), 90)}, "vertices that do not exist"),
    ],
)
def test_a_wrong_bfm_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    arrays = {**bfm_arrays(), **change}
    np.savez(tmp_path / "x.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(FaceModelError, match=message):
        import_bfm(tmp_path / "x.npz", tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_a_folder_without_3ddfa_files_names_the_missing_one(tmp_path: Path) -> None:
    with pytest.raises(FaceModelError, match=r"keypoints_sim\.npy"):
        import_bfm(tmp_path, tmp_path / "out.npz")
