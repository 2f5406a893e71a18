from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3d.datasets.faces import FaceCrops
from edge3d.datasets.synthetic.dataset import load_synthetic, sample_points
from edge3d.datasets.synthetic.parameters import sample_expression, sample_params
from edge3d.datasets.synthetic.rendering import render_faces
from edge3d.errors import FaceModelError, OutputError
from edge3d.face_model import FaceModel
from edge3d.face_model.dense_points import DensePoints
from edge3d.geometry.boxes import landmark_box
from edge3d.geometry.landmarks68 import MIRROR
from edge3d.geometry.mirror import mirror_points
from edge3d.geometry.pose import angles_from_rotation, rotation_from_6d
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout
from edge3d.viz.rasterizer import rasterize

COUNT = 6


@pytest.fixture(scope="module")
def points(open_model: FaceModel) -> DensePoints:
    return sample_points(open_model)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def rendered(open_model: FaceModel, points: DensePoints, cache: Path) -> FaceCrops:
    return load_synthetic(COUNT, open_model, points, cache)


@pytest.fixture(scope="module")
def decoder(open_model: FaceModel) -> Decoder:
    return Decoder(open_model, make_layout("rotation6d", open_model))


def test_labels_are_what_the_parameters_decode_to(rendered: FaceCrops, decoder: Decoder) -> None:
    labels, points = rendered.labels, rendered.points
    own = labels.params[:COUNT]
    np.testing.assert_allclose(labels.landmarks[:COUNT], decoder.landmarks(own), atol=1e-3)
    dense = np.stack([points.on_target(mesh) for mesh in decoder.vertices(labels.params)])
    np.testing.assert_allclose(labels.dense, dense, atol=1e-3)
    yaw_deg = angles_from_rotation(rotation_from_6d(own[:, :6]))[0]
    np.testing.assert_allclose(rendered.yaw_deg, yaw_deg, atol=1e-3)


def test_mirror_images_have_mirrored_labels(rendered: FaceCrops, decoder: Decoder) -> None:
    labels = rendered.labels
    marks = mirror_points(labels.landmarks[:COUNT][:, MIRROR], 120)
    np.testing.assert_allclose(labels.landmarks[COUNT:], marks, atol=1e-3)
    decoded = decoder.landmarks(labels.params[COUNT:])
    # The landmarks of the model are not quite symmetric themselves: some by more than a pixel.
    assert np.linalg.norm(decoded - marks, axis=2)[..., :2].mean() < 0.6
    silhouettes = []
    for params in (labels.params[:COUNT], labels.params[COUNT:]):
        meshes = decoder.vertices(params)
        triangles = decoder.face_model.triangles
        silhouettes.append([np.isfinite(rasterize(m, triangles, (120, 120), m)[1]) for m in meshes])
    for own, mirrored in zip(*silhouettes, strict=True):
        assert (own[:, ::-1] != mirrored).mean() < 0.01


def test_crops_have_the_protocols_box(rendered: FaceCrops) -> None:
    for marks in rendered.labels.landmarks:
        np.testing.assert_allclose(landmark_box(marks), [0, 0, 120, 120], atol=0.01)


def test_the_picture_shows_the_face_where_the_labels_say(open_model: FaceModel) -> None:
    """There are edges around the eyes, and fewer beside them."""
    params = sample_params(24, open_model, 3)
    params = params[abs(angles_from_rotation(rotation_from_6d(params[:, :6]))[0]) < 40]
    crops = np.empty((len(params), 120, 120, 3), np.uint8)
    render_faces(params, open_model, 3, crops)
    marks = Decoder(open_model, make_layout("rotation6d", open_model)).landmarks(params)
    grey = crops.astype(float).mean(axis=3)
    edges = np.hypot(*np.gradient(grey, axis=(1, 2)))
    at = np.rint(marks[:, 36:48, :2]).astype(int).clip(8, 111)
    rows = np.arange(len(params))[:, None]

    def edge(dx: int, dy: int) -> float:
        return float(edges[rows, at[..., 1] + dy, at[..., 0] + dx].mean())

    here = edge(0, 0)
    assert all(here > 1.2 * edge(dx, dy) for dx, dy in ((6, 0), (-6, 0), (0, 6), (0, -6)))


def test_a_face_is_decided_by_seed_and_number(open_model: FaceModel) -> None:
    params = sample_params(3, open_model, 1)
    np.testing.assert_array_equal(params[:2], sample_params(2, open_model, 1))
    assert (sample_params(2, open_model, 2) != params[:2]).any(axis=1).all()
    first, again = np.zeros((2, 120, 120, 3), np.uint8), np.zeros((3, 120, 120, 3), np.uint8)
    render_faces(params[:2], open_model, 1, first)
    render_faces(params, open_model, 1, again)
    np.testing.assert_array_equal(first, again[:2])
    render_faces(params[:2], open_model, 2, first)
    assert (first != again[:2]).mean() > 0.5


def test_expressions_are_possible_and_rich(open_model: FaceModel) -> None:
    names = open_model.expression_names
    drawn = np.stack([sample_expression(names, np.random.default_rng(i)) for i in range(1000)])
    assert drawn.min() >= 0 and drawn.max() <= 1
    assert (drawn > 0.1).any(axis=0).all()  # every blendshape moves
    column = {name: drawn[:, i] for i, name in enumerate(names)}
    blinks = np.minimum(column["eyeBlinkLeft"], column["eyeBlinkRight"])
    assert (blinks > 0.8).mean() > 0.08
    assert (column["jawOpen"] > 0.5).mean() > 0.1
    assert (column["mouthSmileLeft"] > 0.5).mean() > 0.1
    assert (column["mouthClose"] <= column["jawOpen"]).all()
    both = abs(column["mouthSmileLeft"] - column["mouthSmileRight"])
    assert (both < 0.2).mean() > 0.9 and both.max() > 0.3


def test_poses_reach_profiles(open_model: FaceModel) -> None:
    rotation = rotation_from_6d(sample_params(400, open_model, 0)[:, :6])
    yaw_deg, pitch_deg, roll_deg = angles_from_rotation(rotation)
    share = np.histogram(abs(yaw_deg), [0, 30, 60, 91])[0] / 400
    assert (share > 0.12).all() and (abs(yaw_deg) > 80).any()
    assert abs(pitch_deg).max() > 25 and abs(roll_deg).max() > 30


def test_dense_points_cover_the_face_evenly(open_model: FaceModel, points: DensePoints) -> None:
    at = points.on_target(open_model.mean)
    assert len(set(points.source_ids)) == len(at) == 600
    np.testing.assert_array_equal(at, open_model.mean[points.source_ids])
    off = np.linalg.norm(at[:, None] - at[None], axis=2) + 1e3 * np.eye(600)
    assert off.min() > 2 and off.min(axis=1).max() < 12  # mm
    mirrored = open_model.mean[points.mirrored_ids] * [-1, 1, 1]
    assert np.linalg.norm(mirrored - at, axis=1).max() < 1


def test_rendered_faces_are_kept(
    rendered: FaceCrops, open_model: FaceModel, points: DensePoints, cache: Path
) -> None:
    told: list[int] = []

    def tell(done: int, total: int) -> None:
        told.append(done)

    again = load_synthetic(COUNT, open_model, points, cache, tell)
    assert not told and again.source == "synthetic"
    np.testing.assert_array_equal(rendered.crops, again.crops)
    np.testing.assert_array_equal(rendered.labels.dense, again.labels.dense)
    load_synthetic(2, open_model, points, cache, tell)
    assert told == [1, 2]
    load_synthetic(2, replace(open_model, sha256="0" * 64), points, cache, tell)
    assert told == [1, 2, 1, 2]


def test_half_a_cache_is_made_again(
    open_model: FaceModel, points: DensePoints, tmp_path: Path
) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_synthetic(2, open_model, points, tmp_path, stop)
    assert not list(tmp_path.iterdir())
    whole = load_synthetic(2, open_model, points, tmp_path)
    next(tmp_path.glob("*.npz")).unlink()
    again = load_synthetic(2, open_model, points, tmp_path)
    np.testing.assert_array_equal(whole.crops, again.crops)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_unwritable_cache_is_an_error(
    open_model: FaceModel, points: DensePoints, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        load_synthetic(1, open_model, points, tmp_path / "file" / "cache")


def test_another_kind_of_face_model_is_an_error(stand_in_bfm: FaceModel) -> None:
    with pytest.raises(FaceModelError, match="ARKit"):
        sample_params(1, stand_in_bfm, 0)
