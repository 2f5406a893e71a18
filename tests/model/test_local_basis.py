"""A basis in groups of vertices gives what the plain product gives."""

from __future__ import annotations

import numpy as np

from edge3d.face_model import FaceModel
from edge3d.model.local_basis import GROUPS, LocalBasis, vertex_groups


def test_equals_the_product(open_model: FaceModel, rng: np.random.Generator) -> None:
    basis = open_model.expression_basis
    weights = rng.uniform(0, 1, basis.shape[2]).astype(np.float32)
    found = LocalBasis(basis).combined(weights)
    np.testing.assert_allclose(found, basis @ weights, atol=1e-4)


def test_groups_share_out_the_vertices_and_save(open_model: FaceModel) -> None:
    moved = (open_model.expression_basis != 0).any(axis=1)
    groups = vertex_groups(moved)
    assert len(groups) == GROUPS
    np.testing.assert_array_equal(np.sort(np.concatenate(groups)), np.arange(len(moved)))
    numbers = sum(len(group) * moved[group].any(axis=0).sum() for group in groups)
    assert numbers < 0.55 * moved.size


def test_modes_that_move_everything_or_nothing() -> None:
    moved = np.zeros((6, 3), bool)
    moved[:, 0] = True
    assert len(vertex_groups(moved)) == 1  # no split saves anything
    basis = np.zeros((6, 3, 3), np.float32)
    basis[:, :, 0] = 2
    np.testing.assert_array_equal(LocalBasis(basis).combined(np.ones(3)), np.full((6, 3), 2))
    np.testing.assert_array_equal(LocalBasis(0 * basis).combined(np.ones(3)), np.zeros((6, 3)))
