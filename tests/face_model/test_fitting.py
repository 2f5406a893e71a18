from __future__ import annotations

import numpy as np
import pytest

from edge3d.face_model.fitting import LinearShape, fit_shape
from edge3d.geometry.pose import rotation_from_angles
from edge3d.geometry.similarity import fit_similarity


@pytest.fixture
def shape(rng: np.random.Generator) -> LinearShape:
    return LinearShape(
        mean=rng.normal(0, 50, (60, 3)),
        basis=rng.normal(0, 3, (60, 3, 8)),
        weights=np.ones(60),
        ridge=np.full(8, 1e-6),
        lower=np.r_[np.full(5, -np.inf), np.zeros(3)],
        upper=np.r_[np.full(5, np.inf), np.ones(3)],
    )


def test_a_known_similarity_comes_back(rng: np.random.Generator) -> None:
    source = rng.standard_normal((4, 10, 3))
    rotation = rotation_from_angles(*rng.uniform(-80, 80, (3, 4)))
    target = 2.5 * np.einsum("bij,bnj->bni", rotation, source) + [1.0, -2.0, 3.0]
    found = fit_similarity(source, target, np.ones(10))
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-9)
    np.testing.assert_allclose(found.scale, 2.5)
    np.testing.assert_allclose(found.translation, np.tile([1.0, -2.0, 3.0], (4, 1)), atol=1e-9)
    np.testing.assert_allclose(found.undo(found.apply(source)), source, atol=1e-9)


def test_a_mirrored_shape_is_not_reached_by_a_reflection(rng: np.random.Generator) -> None:
    source = rng.standard_normal((1, 20, 3))
    found = fit_similarity(source, source * [-1, 1, 1], np.ones(20))
    assert np.linalg.det(found.rotation[0]) == pytest.approx(1.0)


def test_known_coefficients_come_back(shape: LinearShape, rng: np.random.Generator) -> None:
    truth = np.c_[rng.standard_normal((6, 5)), rng.uniform(0, 1, (6, 3))]
    rotation = rotation_from_angles(*rng.uniform(-60, 60, (3, 6)))
    target = 0.6 * np.einsum("bij,bnj->bni", rotation, shape.points(truth)) + [60.0, 60.0, 0.0]
    pose, found = fit_shape(shape, target, rounds=60, steps=200)
    np.testing.assert_allclose(pose.apply(shape.points(found)), target, atol=0.05)
    np.testing.assert_allclose(found, truth, atol=0.1)


def test_bounds_hold(shape: LinearShape, rng: np.random.Generator) -> None:
    truth = np.c_[rng.standard_normal((6, 5)), rng.uniform(-2, 3, (6, 3))]
    _, found = fit_shape(shape, shape.points(truth))
    assert found[:, 5:].min() >= 0 and found[:, 5:].max() <= 1
