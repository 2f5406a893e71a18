from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3d.datasets.faces import ConvertedLabels, FaceCrops
from edge3d.datasets.head_rotation import azimuth_deg, rotation_about_vertical
from edge3d.datasets.labels.transfer import convert_labels
from edge3d.datasets.profiles import Turns, draw_turns, load_profiles, turn_faces
from edge3d.errors import DatasetError
from edge3d.face_model import FaceModel
from edge3d.face_model.dense_points import find_dense_points
from edge3d.geometry.boxes import landmark_box
from edge3d.geometry.landmarks68 import MIRROR
from edge3d.geometry.mirror import flip_rotation, mirror_points
from edge3d.geometry.pose import angles_from_rotation, rotation_from_6d, rotation_from_angles
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout
from edge3d.viz.rasterizer import rasterize
from tests.datasets.labels.test_transfer import params62


def camera_of(params: np.ndarray) -> np.ndarray:
    """The cameras (N, 3, 4) of 3DDFA parameters, as a view that can be written to."""
    return params[:, :12].reshape(-1, 3, 4)


def centred(points: np.ndarray) -> np.ndarray:
    return points - points.mean(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def fits() -> np.ndarray:
    """3DDFA parameters (6, 62) of faces that look a little aside."""
    rng = np.random.default_rng(5)
    fits = params62(rng, 6).astype(np.float32)
    yaw = np.array([-30.0, -12.0, 3.0, 10.0, 25.0, 40.0])
    pitch, roll = rng.uniform(-15, 15, (2, 6))
    camera_of(fits)[:, :, :3] = 0.57e-3 * rotation_from_angles(yaw, pitch, roll)
    camera_of(fits)[:, 2, 3] = 17.0  # an origin of depth, which labels may have anywhere
    return fits


@pytest.fixture(scope="module")
def photos(fits: np.ndarray, stand_in_bfm: FaceModel, open_model: FaceModel) -> FaceCrops:
    """Faces painted by where they are on the model, on grey, with labels."""
    points = find_dense_points(stand_in_bfm, open_model, 60)
    labels = convert_labels(fits, stand_in_bfm, open_model, points)
    crops = np.stack([painted(open_model, params)[0] for params in labels.params[: len(fits)]])
    yaw = angles_from_rotation(camera_of(fits)[:, :, :3] / 0.57e-3)[0].astype(np.float32)
    names = np.array([f"{i}.jpg" for i in range(len(fits))])
    return FaceCrops("aflw", crops, labels, points, yaw, names)


def painted(model: FaceModel, params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A crop (120, 120, 3) of a face in smooth colours, and where the face is: (120, 120)."""
    mesh = Decoder(model, make_layout("rotation6d", model)).vertices(params[None])[0]
    colours = 128 + 100 * np.sin(model.mean / 15.0)
    drawn, depth = rasterize(mesh, model.triangles, (120, 120), colours)
    covered = np.isfinite(depth)
    return np.where(covered[..., None], drawn, 128).astype(np.uint8), covered


TURNS = Turns(np.array([0, 1, 2, 3, 4, 5]), np.array([-30.0, -50.0, 45.0, 20.0, 55.0, 15.0]))


@pytest.fixture(scope="module")
def turned(photos: FaceCrops, open_model: FaceModel) -> FaceCrops:
    return turn_faces(photos, TURNS, open_model)


def test_the_picture_shows_the_face_that_the_labels_describe(
    turned: FaceCrops, open_model: FaceModel
) -> None:
    for crop, params in zip(turned.crops, turned.labels.params[:6], strict=True):
        expected, covered = painted(open_model, params)
        off = abs(crop.astype(float) - expected).max(axis=2)[covered]
        # Some of it the first picture had not shown; the rest must be in its place.
        assert np.median(off) < 4  # two pixels off would make it 15
        assert (off < 30).mean() > 0.75


def test_labels_are_those_of_the_turned_fit(
    turned: FaceCrops,
    photos: FaceCrops,
    fits: np.ndarray,
    stand_in_bfm: FaceModel,
    open_model: FaceModel,
) -> None:
    """Turning labels, of mirror images too, is converting the turned fit's labels."""
    turned_fits = fits.copy()
    camera = camera_of(turned_fits)
    turn = rotation_about_vertical(rotation_from_6d(photos.labels.params[:6, :6]), TURNS.turn_deg)
    camera[:, :, :3] = flip_rotation(turn) @ camera[:, :, :3]
    in_old_crop = Decoder(stand_in_bfm, make_layout("affine", stand_in_bfm)).landmarks(turned_fits)
    boxes = np.stack([landmark_box(marks) for marks in in_old_crop])
    camera *= (120 / (boxes[:, 2] - boxes[:, 0]))[:, None, None]
    straight = convert_labels(turned_fits, stand_in_bfm, open_model, turned.points)
    for name in ("landmarks", "dense"):
        # Where the crop is has a test of its own; the zero of depth is free.
        mine, known = (
            getattr(labels, name) - labels.landmarks.mean(axis=1, keepdims=True)
            for labels in (turned.labels, straight)
        )
        np.testing.assert_allclose(mine, known, atol=2e-3)
    decoder = Decoder(open_model, make_layout("rotation6d", open_model))
    mine, known = (
        centred(decoder.landmarks(labels.params)) for labels in (turned.labels, straight)
    )
    assert np.linalg.norm(mine - known, axis=2).mean() < 0.3


def test_parameters_and_points_of_a_turned_face_agree(
    turned: FaceCrops, photos: FaceCrops, open_model: FaceModel
) -> None:
    decoder = Decoder(open_model, make_layout("rotation6d", open_model))

    def off(labels: ConvertedLabels) -> float:
        own = decoder.landmarks(labels.params)
        return float(np.linalg.norm((own - labels.landmarks)[..., :2], axis=2).mean())

    assert off(turned.labels) < off(photos.labels) + 0.3


def test_mirror_images_have_mirrored_landmarks(turned: FaceCrops) -> None:
    marks = turned.labels.landmarks
    np.testing.assert_allclose(marks[6:], mirror_points(marks[:6][:, MIRROR], 120), atol=1e-3)


def test_crops_have_the_protocols_box(turned: FaceCrops) -> None:
    for marks in turned.labels.landmarks:
        np.testing.assert_allclose(landmark_box(marks), [0, 0, 120, 120], atol=0.01)


def test_identity_and_expression_stay(turned: FaceCrops, photos: FaceCrops) -> None:
    np.testing.assert_array_equal(turned.labels.params[:, 9:], photos.labels.params[:, 9:])


def test_turns_lead_evenly_away_from_the_camera(photos: FaceCrops, open_model: FaceModel) -> None:
    rng = np.random.default_rng(1)
    yaw = rng.uniform(-89, 89, 3000)
    params = np.zeros((6000, 140), np.float32)
    rotation = rotation_from_angles(yaw, rng.uniform(-20, 20, 3000), rng.uniform(-30, 30, 3000))
    params[:3000, :6] = rotation[:, :2].reshape(-1, 6)
    many = replace(
        photos,
        labels=replace(photos.labels, params=params),
        names=np.array([f"{i}.jpg" for i in range(3000)]),
    )
    turns = draw_turns(many, 4000, seed=3)
    before = azimuth_deg(rotation)[turns.rows]
    after = before + turns.turn_deg
    assert (abs(turns.turn_deg) >= 15).all() and (abs(turns.turn_deg) <= 60).all()
    aside = abs(before) > 5
    assert (np.sign(turns.turn_deg) == np.sign(before))[aside].all()
    share = np.histogram(abs(after), np.linspace(35, 90, 6))[0] / 4000
    np.testing.assert_allclose(share, 0.2, atol=0.03)
    again = draw_turns(many, 4000, seed=3)
    np.testing.assert_array_equal(again.rows, turns.rows)
    assert (draw_turns(many, 4000, seed=4).rows != turns.rows).any()


def test_a_turn_adds_to_the_azimuth_and_keeps_the_elevation() -> None:
    rotation = rotation_from_angles(20.0, 15.0, 30.0)
    new = flip_rotation(rotation_about_vertical(rotation, 25.0)) @ rotation
    assert azimuth_deg(new) == pytest.approx(azimuth_deg(rotation) + 25)
    assert new[2, 1] == pytest.approx(rotation[2, 1])
    assert azimuth_deg(rotation_from_angles(20.0, 0.0, 0.0)) == pytest.approx(20)


def test_faces_of_one_photo_are_held_out_together(photos: FaceCrops, turned: FaceCrops) -> None:
    np.testing.assert_array_equal(turned.held_out(0.5), photos.held_out(0.5)[TURNS.rows])
    assert len(set(turned.names)) == 6


def test_made_faces_are_kept(photos: FaceCrops, open_model: FaceModel, tmp_path: Path) -> None:
    told: list[int] = []
    first = load_profiles(photos, 4, open_model, tmp_path, lambda done, _: told.append(done))
    assert told == [1, 2, 3, 4]
    again = load_profiles(photos, 4, open_model, tmp_path, lambda done, _: told.append(done))
    assert len(told) == 4
    assert again.source == "profiles"
    np.testing.assert_array_equal(first.crops, again.crops)
    np.testing.assert_array_equal(first.labels.dense, again.labels.dense)
    load_profiles(photos, 5, open_model, tmp_path, lambda done, _: told.append(done))
    assert len(told) == 9


def test_faces_without_parameters_cannot_be_turned(photos: FaceCrops) -> None:
    unknown = replace(photos.labels, params=np.full_like(photos.labels.params, np.nan))
    with pytest.raises(DatasetError, match="no face with known parameters"):
        draw_turns(replace(photos, labels=unknown), 3, 0)
