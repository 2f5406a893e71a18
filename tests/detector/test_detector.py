"""The face detector: on a public-domain portrait, on nonsense, and on real pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.detector import beside_the_face, hits, pictures
from benchmarks.perturbations import turned_left
from edge3d.detector import Detection, FaceDetector, crop_box
from edge3d.detector.blazeface import anchors
from edge3d.errors import ImageError

# The astronaut's face in the portrait, by hand: from the forehead to the chin, from ear to ear.
FACE_XYXY = np.array([180, 80, 272, 178])
# Her eyes (right, left), nose tip and mouth, by hand.
POINTS_PX = np.array([[204, 101], [247, 103], [225, 126], [223, 146]])


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


def into_frame(picture: np.ndarray, height: int, size: tuple[int, int], at: tuple[int, int]):
    """Put a picture, shrunk to `height`, into a grey frame of `size` (h, w) at (x, y)."""
    scale = height / picture.shape[0]
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    frame = np.full((*size, 3), 90, np.uint8)
    frame[at[1] : at[1] + small.shape[0], at[0] : at[0] + small.shape[1]] = small
    return frame, scale


def assert_at(found: Detection, box: np.ndarray, tolerance: float) -> None:
    """Assert that a box is where it should be, within `tolerance` of its side."""
    np.testing.assert_allclose(found.box_xyxy, box, atol=tolerance * (box[2] - box[0]))


def test_portrait(detector, portrait):
    (face,) = detector.detect(portrait)
    assert_at(face, FACE_XYXY, 0.1)
    assert face.score > 0.8
    assert face.box_xyxy.dtype == face.keypoints_px.dtype == np.float32
    assert face.keypoints_px.shape == (6, 2)
    np.testing.assert_allclose(face.keypoints_px[:4], POINTS_PX, atol=6)


def test_input_is_left_alone_and_any_layout_is_taken(detector, portrait):
    frame = portrait.copy()
    (face,) = detector.detect(frame)
    np.testing.assert_array_equal(frame, portrait)
    wide = np.zeros((512, 1024, 3), np.uint8)
    wide[:, ::2] = portrait
    (same,) = detector.detect(wide[:, ::2])
    np.testing.assert_allclose(same.box_xyxy, face.box_xyxy)


def test_mirrored(detector, portrait):
    (face,) = detector.detect(portrait)
    (mirrored,) = detector.detect(portrait[:, ::-1])
    width = portrait.shape[1]
    x0, y0, x1, y1 = face.box_xyxy
    assert_at(mirrored, np.array([width - x1, y0, width - x0, y1]), 0.06)
    # The right eye is the left one in the mirror.
    points = face.keypoints_px[[1, 0, 2, 3, 5, 4]] * [-1, 1] + [width - 1, 0]
    np.testing.assert_allclose(mirrored.keypoints_px, points, atol=6)


@pytest.mark.parametrize(
    ("height", "at"),
    # The face is a fifth of the portrait: 2.5, 5, 10 % of the frame's height.
    [(135, (1500, 900)), (270, (1640, 30)), (540, (500, 500))],
)
def test_small_face_in_a_large_frame(detector, portrait, height, at):
    frame, scale = into_frame(portrait, height, (1080, 1920), at)
    found = detector.detect(frame)
    assert_at(found[0], FACE_XYXY * scale + np.tile(at, 2), 0.15)


def test_whole_range_of_sizes(detector, portrait):
    for height in (1080, 540, 270, 135):
        frame, scale = into_frame(portrait, height, (1080, 1920), (300, 0))
        (face,) = detector.detect(frame)
        assert_at(face, FACE_XYXY * scale + [300, 0, 300, 0], 0.15)


def test_face_that_fills_the_frame(detector, portrait):
    x0, y0, x1, y1 = FACE_XYXY
    (face,) = detector.detect(portrait[y0 - 5 : y1 + 5, x0 - 5 : x1 + 5])
    assert_at(face, FACE_XYXY - np.tile([x0 - 5, y0 - 5], 2), 0.2)


def test_face_half_outside(detector, portrait):
    middle = int(FACE_XYXY[[0, 2]].mean())
    (face,) = detector.detect(portrait[:, middle + 5 :])
    assert face.box_xyxy[0] < 5 and 30 < face.box_xyxy[2] < 65
    assert 60 < face.box_xyxy[1] < 110 and 150 < face.box_xyxy[3] < 195


def test_two_side_by_side(detector, portrait):
    (face,) = detector.detect(portrait)
    found = detector.detect(np.hstack([portrait, portrait]))
    assert len(found) == 2
    left, right = sorted(found, key=lambda one: one.box_xyxy[0])
    assert_at(left, face.box_xyxy, 0.1)
    assert_at(right, face.box_xyxy + np.array([512, 0, 512, 0]), 0.1)


def test_a_small_face_behind_a_large_one_is_found_on_request(portrait):
    frame, _ = into_frame(portrait[40:240, 120:320], 1000, (1080, 1920), (0, 0))
    small = cv2.resize(portrait, (270, 270), interpolation=cv2.INTER_AREA)
    frame[400:670, 1400:1670] = small
    found = FaceDetector(min_relative_size=0).detect(frame)
    assert len(found) == 2
    # the large one first
    assert found[0].size_px > 5 * found[1].size_px
    assert_at(found[1], FACE_XYXY * (270 / 512) + [1400, 400, 1400, 400], 0.15)


def test_very_large_frame(detector, portrait):
    frame = np.zeros((6000, 9000, 3), np.uint8)
    frame[2000:4560, 5000:7560] = cv2.resize(portrait, (2560, 2560))
    (face,) = detector.detect(frame)
    assert_at(face, FACE_XYXY * 5 + [5000, 2000, 5000, 2000], 0.1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 2), (13, 13), (40, 20000)])
def test_tiny_and_narrow_frames_have_no_faces(detector, shape):
    assert detector.detect(np.full((*shape, 3), 200, np.uint8)) == []


def test_noise_has_no_faces(detector, rng):
    assert detector.detect(rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)) == []


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64, 3), np.float32),
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((0, 64, 3), np.uint8),
        [[[0, 0, 0]]],
    ],
)
def test_what_is_no_rgb_picture_is_refused(detector, image):
    with pytest.raises(ImageError, match=r"\(H, W, 3\)"):
        detector.detect(image)


@pytest.mark.parametrize(
    "options", [{"min_score": 0.0}, {"min_face_fraction": 0.0}, {"min_relative_size": 1.5}]
)
def test_options_out_of_range(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        FaceDetector(**options)


def test_a_higher_min_score_finds_less(portrait):
    (face,) = FaceDetector().detect(portrait)
    assert FaceDetector(min_score=0.99).detect(portrait) == []
    assert face.score < 0.99


def test_anchors_are_cell_centres_row_by_row():
    points = anchors(((16, 2), (8, 6)))
    assert points.shape == (896, 2)
    np.testing.assert_allclose(points[[0, 1, 2, 32]] * 32, [[1, 1], [1, 1], [3, 1], [1, 3]])
    np.testing.assert_allclose(
        points[[512, 517, 518, 895]] * 16, [[1, 1], [1, 1], [3, 1], [15, 15]]
    )


def test_crop_box_moves_scales_and_mirrors_with_the_detection(detector, portrait):
    (face,) = detector.detect(portrait)
    box = crop_box(face)
    assert box.shape == (4,) and box.dtype == np.float64
    assert box[2] - box[0] == pytest.approx(box[3] - box[1])
    # Brow to chin, ear to ear, and a margin: a fifth of the side, all around.
    assert (box[:2] < FACE_XYXY[:2]).all() and (box[2:] > FACE_XYXY[2:]).all()
    assert 1.2 < (box[2] - box[0]) / (FACE_XYXY[3] - FACE_XYXY[1]) < 1.6

    # Twice as large, and moved: points are half a pixel off box coordinates.
    larger = Detection(
        box_xyxy=face.box_xyxy * 2 + 7,
        score=face.score,
        keypoints_px=(face.keypoints_px + 0.5) * 2 + 7 - 0.5,
    )
    np.testing.assert_allclose(crop_box(larger), box * 2 + 7, atol=1e-3)

    x0, y0, x1, y1 = face.box_xyxy
    mirrored = Detection(
        box_xyxy=np.array([512 - x1, y0, 512 - x0, y1], np.float32),
        score=face.score,
        keypoints_px=face.keypoints_px[[1, 0, 2, 3, 5, 4]] * np.float32([-1, 1])
        + np.float32([511, 0]),
    )
    np.testing.assert_allclose(
        crop_box(mirrored), [512 - box[2], box[1], 512 - box[0], box[3]], atol=1e-3
    )


def test_crop_box_survives_points_gone_astray():
    found = Detection(np.array([0, 0, 100, 100], np.float32), 0.5, np.full((6, 2), 1e4, np.float32))
    side = np.diff(crop_box(found)[[0, 2]])
    assert 100 < side < 200


def test_hit_rate_on_real_pictures(detector, data_dir):
    """The yardstick of benchmarks/detector.py, on every seventh picture."""
    yaws, hit, overlaps = [], [], []
    for _, image, box, yaw in pictures(data_dir, 7):
        found = detector.detect(image)
        good = hits(found, box)
        yaws.append(yaw)
        hit.append(good.any())
        if good.any():
            crop = crop_box(found[int(np.argmax(good))])
            low, high = np.maximum(crop[:2], box[:2]), np.minimum(crop[2:], box[2:])
            common = np.prod(high - low)
            areas = np.prod(crop[2:] - crop[:2]) + np.prod(box[2:] - box[:2])
            overlaps.append(common / (areas - common))
    assert len(hit) > 100
    assert np.mean(hit) >= 0.985
    assert np.mean(np.array(hit)[np.array(yaws) > 60]) >= 0.95
    assert np.mean(overlaps) > 0.85


@pytest.mark.parametrize("value", [0, 127, 255])
def test_a_frame_of_one_colour_has_no_faces(detector, value):
    assert detector.detect(np.full((240, 320, 3), value, np.uint8)) == []


def test_a_crowd(detector, portrait):
    small = cv2.resize(portrait, (240, 240), interpolation=cv2.INTER_AREA)
    found = detector.detect(np.tile(small, (4, 4, 1)))
    cells = {tuple((one.box_xyxy[:2] // 240).astype(int)) for one in found}
    assert len(found) == len(cells) == 16


def test_a_row_of_faces_in_a_very_wide_frame(detector, portrait):
    small = cv2.resize(portrait, (256, 256), interpolation=cv2.INTER_AREA)
    assert len(detector.detect(np.tile(small, (1, 20, 1)))) == 20


def test_column_major_pixels(detector, portrait):
    (face,) = detector.detect(portrait)
    (same,) = detector.detect(np.asfortranarray(portrait))
    np.testing.assert_allclose(same.box_xyxy, face.box_xyxy)


def test_part_beside_the_face(portrait):
    part = beside_the_face(portrait, np.array([150.0, 60, 300, 210]))
    # Below the box is the most room.
    np.testing.assert_array_equal(part, portrait[210:])


def test_a_turned_picture_takes_its_box_along(portrait, rng):
    x0, y0, x1, y1 = FACE_XYXY
    image, (a, b, c, d) = turned_left(portrait, FACE_XYXY, rng)
    np.testing.assert_array_equal(image[b:d, a:c], np.rot90(portrait[y0:y1, x0:x1]))
