from __future__ import annotations

import numpy as np
import pytest

from edge3d.geometry.pose import (
    angles_from_rotation,
    rotation_from_6d,
    rotation_from_angles,
    scaled_rotation_from_affine,
)


def test_angles_survive_the_round_trip(rng: np.random.Generator) -> None:
    yaw, pitch, roll = rng.uniform(-89, 89, (3, 500))
    rotation = rotation_from_angles(yaw, pitch, roll)
    np.testing.assert_allclose(angles_from_rotation(rotation), (yaw, pitch, roll), atol=1e-8)
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0)


@pytest.mark.parametrize(
    ("angles", "nose_goes"),
    [
        ({"yaw_deg": 40.0}, (-1, 0)),  # to the picture's left
        ({"yaw_deg": -40.0}, (1, 0)),
        ({"pitch_deg": 30.0}, (0, 1)),  # up (y up in the camera's frame)
        ({"pitch_deg": -30.0}, (0, -1)),
    ],
)
def test_signs_are_as_documented(angles: dict[str, float], nose_goes: tuple[int, int]) -> None:
    full = {"yaw_deg": 0.0, "pitch_deg": 0.0, "roll_deg": 0.0, **angles}
    nose = rotation_from_angles(**full) @ [0, 0, 1]
    np.testing.assert_array_equal(np.sign(np.round(nose[:2], 6)), nose_goes)


def test_positive_roll_tilts_clockwise_in_the_picture() -> None:
    top_of_head = rotation_from_angles(0, 0, 20.0) @ [0, 1, 0]
    assert top_of_head[0] > 0.3  # to the picture's right


def test_gimbal_lock_still_gives_the_same_rotation() -> None:
    rotation = rotation_from_angles(90.0, 25.0, 10.0)
    angles = angles_from_rotation(rotation)
    np.testing.assert_allclose(rotation_from_angles(*angles), rotation, atol=1e-9)


def test_six_numbers_make_a_proper_rotation(rng: np.random.Generator) -> None:
    rotation = rotation_from_6d(rng.standard_normal((50, 6)))
    np.testing.assert_allclose(
        rotation @ rotation.transpose(0, 2, 1), np.tile(np.eye(3), (50, 1, 1)), atol=1e-9
    )
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0)


def test_affine_camera_splits_into_scale_and_rotation() -> None:
    rotation = rotation_from_angles(20.0, -10.0, 5.0)
    found, scale = scaled_rotation_from_affine(0.7 * rotation)
    assert scale == pytest.approx(0.7)
    np.testing.assert_allclose(found, rotation, atol=1e-9)
