from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge3d.datasets.augment import AugmentConfig, change_pixels, random_similarity, warp
from edge3d.face_model import FaceModel
from edge3d.geometry.similarity2d import Similarity2d
from edge3d.model.camera import move_params
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout
from tests.samples import random_params


def test_labels_move_with_the_face(open_model: FaceModel, rng: np.random.Generator) -> None:
    decoder = Decoder(open_model, make_layout("rotation6d", open_model))
    for params in random_params(rng, 5):
        change = random_similarity(AugmentConfig(), rng, 120)
        moved = decoder.landmarks(move_params(params, change)[None])[0]
        expected = change.move_points(decoder.landmarks(params[None])[0])
        np.testing.assert_allclose(moved, expected, atol=2e-3)


def test_labels_of_an_affine_camera_move_with_the_face(
    open_model: FaceModel, rng: np.random.Generator
) -> None:
    decoder = Decoder(open_model, make_layout("affine", open_model))
    params = np.zeros((1, 12 + 80 + 51), np.float32)
    params[0, :12] = rng.normal(0, 0.5, 12)
    params[0, [3, 7]] = 60
    change = random_similarity(AugmentConfig(), rng, 120)
    moved = move_params(params[0], change, "affine")[None]
    expected = change.move_points(decoder.landmarks(params))
    np.testing.assert_allclose(decoder.landmarks(moved), expected, atol=1e-3)


def test_pixels_move_like_points() -> None:
    image = np.zeros((120, 120, 3), np.uint8)
    cv2.circle(image, (80, 40), 3, (255, 255, 255), -1)
    change = Similarity2d(0.3, 1.1, (4.0, -2.0), 59.5)
    y, x = np.nonzero(warp(image, change, np.random.default_rng(0))[..., 0] > 128)
    expected = change.move_points(np.array([[80.0, 40.0, 0.0]]))[0]
    assert (x.mean(), y.mean()) == pytest.approx(tuple(expected[:2]), abs=0.3)


@pytest.mark.parametrize(
    "name", ["photometric", "blur", "low_resolution", "jpeg", "noise", "grey", "occlusion"]
)
def test_each_change_changes_pixels_and_nothing_else(name: str) -> None:
    off = dict.fromkeys(
        ["photometric", "blur", "low_resolution", "jpeg", "noise", "grey", "occlusion"], 0.0
    )
    image = np.random.default_rng(1).integers(0, 256, (120, 120, 3)).astype(np.uint8)
    kept = image.copy()
    changed = change_pixels(image, AugmentConfig(**{**off, name: 1.0}), np.random.default_rng(2))
    assert changed.shape == image.shape and changed.dtype == np.uint8
    assert (changed != image).any()
    np.testing.assert_array_equal(image, kept)
    same = change_pixels(image, AugmentConfig(**off), np.random.default_rng(2))
    np.testing.assert_array_equal(same, image)


def test_strength_is_a_factor_of_all() -> None:
    halved = AugmentConfig(strength=0.5, blur=0.4).effective()
    assert halved == AugmentConfig(
        rotation_deg=7.5, wide_rotation=0.06, scale=0.035, shift=0.0125, photometric=0.35,
        blur=0.2, low_resolution=0.05, jpeg=0.075, noise=0.05, grey=0.04, occlusion=0.075,
    )  # fmt: skip
    assert halved.effective() == halved
