from __future__ import annotations

import numpy as np
import pytest

from edge3d.geometry.boxes import landmark_box, square_box
from edge3d.geometry.crop import CROP_SIZE_PX, crop_face


def gradient(height: int, width: int) -> np.ndarray:
    """A picture whose red is x and whose green is y."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("box", [(40, 60, 160, 180), (10, 20, 250, 260), (100, 100, 130, 130)])
def test_points_of_the_crop_come_back_to_where_the_pixels_came_from(box: tuple) -> None:
    crop = crop_face(gradient(256, 256), np.array(box))
    at = np.array([[30.0, 40.0], [80.0, 100.0], [59.5, 59.5]])
    frame = crop.points_to_frame(at)
    for (x, y), (frame_x, frame_y) in zip(at, frame, strict=True):
        # The crop's colour says which place of the picture it shows.
        x0, y0 = int(x), int(y)
        shown = crop.pixels[y0 : y0 + 2, x0 : x0 + 2].astype(float).mean(axis=(0, 1))
        near = crop.pixels[y0, x0].astype(float) if x == x0 and y == y0 else shown
        np.testing.assert_allclose(near[:2], (frame_x, frame_y), atol=0.75)


def test_same_size_crop_is_the_picture_itself() -> None:
    image = gradient(200, 200)
    crop = crop_face(image, np.array([30, 40, 150, 160]))
    np.testing.assert_array_equal(crop.pixels, image[40:160, 30:150])
    np.testing.assert_allclose(crop.points_to_frame(np.array([[0.0, 0.0]])), [[30.0, 40.0]])


def test_outside_of_the_picture_is_black() -> None:
    image = np.full((100, 100, 3), 200, np.uint8)
    crop = crop_face(image, np.array([-60, -60, 60, 60]))
    assert crop.pixels[:59, :59].max() == 0
    assert crop.pixels[61:, 61:].min() == 200


def test_a_box_wholly_outside_gives_a_black_crop() -> None:
    crop = crop_face(np.full((50, 50, 3), 9, np.uint8), np.array([500, 500, 600, 600]))
    assert crop.pixels.shape == (CROP_SIZE_PX, CROP_SIZE_PX, 3)
    assert crop.pixels.max() == 0


def test_a_box_cut_at_the_border_grows_outwards() -> None:
    assert square_box(np.array([0, 20, 60, 120]), (200, 200)).tolist() == [-40, 20, 60, 120]
    assert square_box(np.array([20, 150, 120, 200]), (200, 200)).tolist() == [20, 150, 120, 250]


def test_a_box_of_another_aspect_keeps_its_centre() -> None:
    assert square_box(np.array([50, 50, 90, 70]), (200, 200)).tolist() == [50, 40, 90, 80]


@pytest.mark.parametrize("box", [(10, 10, 10, 20), (20, 0, 10, 10), (0, 0, np.nan, 5), (1, 2, 3)])
def test_impossible_boxes_are_refused(box: tuple) -> None:
    with pytest.raises(ValueError, match="x0 < x1"):
        crop_face(np.zeros((30, 30, 3), np.uint8), np.array(box, float))


def test_depth_is_scaled_like_the_picture() -> None:
    crop = crop_face(np.zeros((500, 500, 3), np.uint8), np.array([0, 0, 240, 240]))
    assert crop.points_to_frame(np.array([[1.0, 1.0, 10.0]]))[0, 2] == pytest.approx(20.0)


def test_landmark_box_has_the_protocols_margin() -> None:
    landmarks = np.array([[10.0, 20.0], [110.0, 60.0]])
    x0, y0, x1, y1 = landmark_box(landmarks)
    assert x1 - x0 == pytest.approx(100 * np.sqrt(2))
    assert y1 - y0 == pytest.approx(x1 - x0)
    assert (0.5 * (x0 + x1), 0.5 * (y0 + y1)) == pytest.approx((60.5, 40.5))
