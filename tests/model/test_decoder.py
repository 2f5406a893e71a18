from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge3d.face_model import FaceModel
from edge3d.face_model.bfm import import_bfm
from edge3d.face_model.store import read_face_model
from edge3d.geometry.pose import angles_from_rotation, rotation_from_angles
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout


@pytest.fixture(scope="module")
def decoder(open_model: FaceModel) -> Decoder:
    return Decoder(open_model, make_layout("rotation6d", open_model))


def some_params(decoder: Decoder, rng: np.random.Generator, count: int = 3) -> np.ndarray:
    rotation = rotation_from_angles(*rng.uniform(-40, 40, (3, count)))
    return np.concatenate(
        [
            rotation[:, :2].reshape(count, 6),
            rng.uniform(0.4, 0.7, (count, 1)),
            rng.uniform(50, 70, (count, 2)),
            rng.standard_normal((count, 80)),
            rng.uniform(0, 1, (count, 51)),
        ],
        axis=1,
    ).astype(np.float32)


def test_vertices_are_the_model_turned_scaled_and_shifted(
    decoder: Decoder, open_model: FaceModel, rng: np.random.Generator
) -> None:
    params = some_params(decoder, rng)
    vertices = decoder.vertices(params)
    for row, found in zip(params, vertices, strict=True):
        shape = open_model.vertices(row[9:89], row[89:])
        rotation = np.array([row[:3], row[3:6], np.cross(row[:3], row[3:6])])
        placed = row[6] * shape @ rotation.T
        expected = placed * [1, -1, 1] + [row[7], row[8], 0]
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_landmarks_are_points_of_the_mesh(
    decoder: Decoder, open_model: FaceModel, rng: np.random.Generator
) -> None:
    params = some_params(decoder, rng)
    on_mesh = open_model.landmarks(decoder.vertices(params))
    np.testing.assert_allclose(decoder.landmarks(params), on_mesh, atol=2e-3)


def test_identity_held_fixed_gives_the_same_mesh(
    decoder: Decoder, rng: np.random.Generator
) -> None:
    params = some_params(decoder, rng, 1)
    neutral = decoder.identity_shape(params[0, 9:89])
    np.testing.assert_allclose(
        decoder.vertices_of_identity(params, neutral), decoder.vertices(params), atol=2e-3
    )


def test_pose_comes_back(decoder: Decoder, rng: np.random.Generator) -> None:
    angles = rng.uniform(-60, 60, (3, 5))
    params = some_params(decoder, rng, 5)
    params[:, :6] = rotation_from_angles(*angles)[:, :2].reshape(5, 6)
    rotation, scale = decoder.rotation_and_scale(params)
    np.testing.assert_allclose(angles_from_rotation(rotation), angles, atol=1e-3)
    np.testing.assert_allclose(scale, params[:, 6])


def test_blendshapes_stay_within_bounds(decoder: Decoder) -> None:
    params = decoder.params(np.full((1, decoder.layout.size), 7.0))
    assert decoder.layout.part(params, "expression").max() == 1.0
    params = decoder.params(np.full((1, decoder.layout.size), -7.0))
    assert decoder.layout.part(params, "expression").min() == 0.0


def test_inputs_are_not_changed(decoder: Decoder) -> None:
    whitened = np.full((2, decoder.layout.size), 3.0, np.float32)
    decoder.vertices(decoder.params(whitened))
    assert (whitened == 3.0).all()


def test_a_layout_of_another_face_model_is_refused(open_model: FaceModel, tmp_path: Path) -> None:
    small = tiny_bfm(tmp_path)
    with pytest.raises(ValueError, match="shape parameters"):
        Decoder(open_model, make_layout("affine", small))


def tiny_bfm(folder: Path) -> FaceModel:
    rng = np.random.default_rng(0)
    count = 100
    np.savez(
        folder / "bfm62.npz",
        mean_shape=rng.normal(0, 5e4, (count, 3)),
        shape_basis=rng.normal(0, 1, (count, 3, 40)),
        expression_basis=rng.normal(0, 1, (count, 3, 10)),
        triangles=rng.integers(0, count, (50, 3)),
        landmarks68=np.arange(68),
    )
    import_bfm(folder / "bfm62.npz", folder / "tiny.npz", "tiny")
    return read_face_model(folder / "tiny.npz")


def test_3ddfa_camera_follows_its_formula(tmp_path: Path, rng: np.random.Generator) -> None:
    model = tiny_bfm(tmp_path)
    decoder = Decoder(model, make_layout("affine", model))
    params = rng.normal(0, 1e-3, (1, 62)).astype(np.float32)
    params[:, [3, 7]] = 60.0
    vertices = decoder.vertices(params)[0]
    # 3DDFA: X = M[:, :3] (mean + bases) + M[:, 3], then y = 121 - y, in a crop that counts from 1
    # with x_image = x * side / 120 + left; pixel centres of a crop are half a pixel before that.
    shape = model.mean + model.identity_basis @ params[0, 12:52]
    shape = shape + model.expression_basis @ params[0, 52:]
    matrix = params[0, :12].reshape(3, 4)
    expected = shape @ matrix[:, :3].T + matrix[:, 3]
    expected[:, 1] = 121 - expected[:, 1]
    expected[:, :2] -= 0.5
    np.testing.assert_allclose(vertices, expected, atol=1e-3)
