from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3d.datasets.synthetic import gl
from edge3d.datasets.synthetic.dataset import load_synthetic, sample_points
from edge3d.datasets.synthetic.lights import draw_light
from edge3d.datasets.synthetic.looks import Look, draw_look
from edge3d.datasets.synthetic.rendered import RenderedFaces, Sample
from edge3d.datasets.synthetic.rig import attach_rig
from edge3d.errors import DatasetError, FaceModelError, MissingExtraError, RenderingError
from edge3d.face_model import FaceModel
from tests.datasets.synthetic.small_assets import write_small_assets

SKIN, EYE = 0, 1


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_assets(tmp_path_factory.mktemp("assets") / "small")


@pytest.fixture(scope="module")
def faces(open_model: FaceModel, assets: Path) -> RenderedFaces:
    try:
        gl.open_context().release()
    except (MissingExtraError, RenderingError) as error:
        pytest.skip(f"no OpenGL here: {error}")
    return RenderedFaces(open_model, assets)


def _bare(look: Look) -> Look:
    return replace(
        look, hair=-1, beard=-1, brow=-1, lash=-1, hat="", worn=(), body_turn=np.zeros(3)
    )


def _draw(faces: RenderedFaces, expression: dict[str, float], worn: tuple[str, ...] = ()) -> Sample:
    """Draw a frontal mean face with an expression and nothing worn."""
    names = faces.face_model.expression_names
    params = np.zeros(faces.layout.size, np.float32)
    params[[0, 4]] = 1.0
    params[6:9] = 0.8, 96, 100
    for name, value in expression.items():
        params[faces.layout.slices["expression"][0] + names.index(name)] = value
    rng = np.random.default_rng(0)
    look = replace(_bare(draw_look(faces.assets, rng)), worn=worn)
    light = draw_light(faces._around, rng)
    shape = faces._rig.shapes_mm(params[None, faces.layout.slices["identity"][0] :])[0]
    return faces.draw(params, shape, look, light, rng, clean=True)


def test_a_sample_depends_on_seed_and_number_alone(
    faces: RenderedFaces, open_model: FaceModel
) -> None:
    first = faces.sample(3)
    faces.sample(11)
    again = faces.sample(3)
    fresh = RenderedFaces(open_model, faces.assets).sample(3)
    for other in (again, fresh):
        np.testing.assert_array_equal(other.image, first.image)
        np.testing.assert_array_equal(other.params, first.params)
        np.testing.assert_array_equal(other.visible, first.visible)
    elsewhere = RenderedFaces(open_model, faces.assets, seed=1).sample(3)
    assert (elsewhere.params != first.params).any()
    assert (elsewhere.image != first.image).any()


def test_pixels_show_the_mesh_that_the_parameters_decode_to(faces: RenderedFaces) -> None:
    sample = _draw(faces, {"jawOpen": 0.4})
    rendered = sample.rendered
    vertices = faces._decoder.vertices(sample.params[None])[0]
    face = vertices[faces.face_model.mask > 0.9]
    x, y = np.rint(face[:, :2]).astype(int).T
    behind = rendered.depth_px[y, x] - face[:, 2]
    on_skin = (rendered.material[y, x] == SKIN) & (abs(behind) < 8)
    assert on_skin.mean() > 0.7  # the others are inside the mouth, the nose or behind lids
    assert np.median(abs(behind[on_skin])) < 0.5
    # Shifted by two pixels it would not agree.
    off = rendered.depth_px[y, x + 2] - face[:, 2]
    assert np.median(abs(off[on_skin])) > 1.5 * np.median(abs(behind[on_skin]))


def test_gaze_moves_the_iris(faces: RenderedFaces) -> None:
    ahead = _draw(faces, {})
    left = _draw(faces, {"eyeLookInRight": 0.8, "eyeLookOutLeft": 0.8})
    up = _draw(faces, {"eyeLookUpLeft": 0.8, "eyeLookUpRight": 0.8})
    irises = [_iris(sample) for sample in (ahead, left, up)]
    assert irises[1][0] > irises[0][0] + 1.0
    assert left.gaze[0, 0] > ahead.gaze[0, 0] + 0.2
    assert left.gaze[1, 0] > ahead.gaze[1, 0] + 0.2
    assert irises[2][1] < irises[0][1] - 0.5
    assert (up.gaze[:, 1] > ahead.gaze[:, 1] + 0.1).all()
    np.testing.assert_allclose(np.linalg.norm(left.gaze, axis=1), 1, atol=1e-5)


def _iris(sample: Sample) -> np.ndarray:
    """Return the mean place (x, y) of the dark pixels of both eyeballs."""
    eye = sample.rendered.material == EYE
    grey = sample.image.mean(axis=2)
    row, column = np.nonzero(eye & (grey < 0.6 * np.percentile(grey[eye], 90)))
    return np.array([column.mean(), row.mean()])


def test_a_shut_eye_shows_no_eyeball(faces: RenderedFaces) -> None:
    def seen(sample: Sample) -> tuple[int, int]:
        eye = sample.rendered.material == EYE
        return int(eye[:, :96].sum()), int(eye[:, 96:].sum())

    opened = seen(_draw(faces, {}))
    shut = seen(_draw(faces, {"eyeBlinkRight": 1.0}))
    assert min(opened) > 20
    assert shut[0] <= 2
    assert shut[1] > 0.8 * opened[1]


def test_visibility_knows_masks_and_the_far_side(faces: RenderedFaces) -> None:
    assert _draw(faces, {}).visible[17:].mean() > 0.95
    masked = _draw(faces, {}, ("mask",)).visible
    assert not masked[48:].any()
    assert masked[17:27].all()
    side = next(s for s in map(faces.sample, range(64)) if abs(_yaw(s)) > 70)
    jaw = side.visible[:17]
    near, far = (jaw[:6], jaw[11:]) if _nearer_left(side) else (jaw[11:], jaw[:6])
    assert near.sum() >= far.sum()
    assert far.sum() <= 2


def _yaw(sample: Sample) -> float:
    return float(np.degrees(np.arcsin(np.clip(sample.params[2], -1, 1))))


def _nearer_left(sample: Sample) -> bool:
    return bool(sample.landmarks[:6, 2].mean() > sample.landmarks[11:17, 2].mean())


def test_the_crop_has_the_landmarks_of_its_parameters(faces: RenderedFaces) -> None:
    image, params, landmarks = faces.crop(faces.sample(5), 120)
    assert image.shape == (120, 120, 3)
    np.testing.assert_allclose(landmarks, faces._decoder.landmarks(params[None])[0], atol=2e-3)
    box = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    np.testing.assert_allclose(0.5 * (box[0] + box[1]), 59.5, atol=1.0)


def test_training_data_of_assets_differs_from_that_without(
    faces: RenderedFaces, assets: Path, tmp_path: Path
) -> None:
    points = sample_points(faces.face_model)
    with_assets = load_synthetic(2, faces.face_model, points, tmp_path, None, assets)
    plain = load_synthetic(2, faces.face_model, points, tmp_path)
    np.testing.assert_array_equal(with_assets.labels.params, plain.labels.params)
    assert (np.array(with_assets.crops) != np.array(plain.crops)).any()
    again = load_synthetic(2, faces.face_model, points, tmp_path, None, assets)
    np.testing.assert_array_equal(again.crops, with_assets.crops)


def test_what_is_missing_is_said(
    open_model: FaceModel,
    stand_in_bfm: FaceModel,
    assets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(DatasetError, match="has no photographs"):
        RenderedFaces(open_model, assets, photographs=tmp_path)
    with pytest.raises(FaceModelError, match="use the open face model"):
        attach_rig(stand_in_bfm)
    monkeypatch.setitem(sys.modules, "moderngl", None)
    with pytest.raises(MissingExtraError, match=r"moderngl.*edge3d\[render\]"):
        gl.open_context()
