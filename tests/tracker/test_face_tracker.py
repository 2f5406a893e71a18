from __future__ import annotations

import numpy as np
import pytest

import edge3d
from edge3d import FaceReconstructor, FaceTracker, TrackedFace
from tests.tracker.conftest import SIZE_HW, FrameMaker

STEP_S = 1 / 30


def test_a_moving_face_keeps_its_number_and_needs_no_search(
    reconstructor: FaceReconstructor, frame: FrameMaker
) -> None:
    tracker = FaceTracker(reconstructor)
    for number in range(25):
        wave = np.sin(number / 6)
        image = frame(x=160 + 40 * wave, zoom=0.7 + 0.1 * wave, turn_deg=15 * wave)
        (tracked,) = tracker.update(image, number * STEP_S)
        assert tracked.id == 1 and tracked.detected is (number == 0)
        middle = tracked.face.landmarks_px[:, 0].mean()
        assert abs(middle - (160 + 40 * wave)) < 15
    assert tracker.counts.searches == 1
    assert tracker.counts.crops == 25


def test_without_smoothing_it_is_what_reconstruct_gives(
    reconstructor: FaceReconstructor, frame: FrameMaker
) -> None:
    tracker = FaceTracker(reconstructor, smoothing=None)
    for number in range(4):
        image = frame(x=150 + 5 * number)
        (tracked,) = tracker.update(image, number * STEP_S)
        (face,) = reconstructor.reconstruct(image, [tracked.face.box_xyxy.tolist()])
        np.testing.assert_array_equal(tracked.face.landmarks_px, face.landmarks_px)
        np.testing.assert_array_equal(tracked.face.vertices_px, face.vertices_px)
        assert tracked.face.blendshapes == face.blendshapes


def jitter(faces: list[TrackedFace]) -> float:
    points = np.array([tracked.face.landmarks_px for tracked in faces])
    return float(np.abs(np.diff(points[-15:], axis=0)).mean())


def test_smoothing_calms_a_still_face_under_noise(
    reconstructor: FaceReconstructor, frame: FrameMaker
) -> None:
    images = [frame(noise=1 + number) for number in range(45)]
    results = []
    for tracker in (FaceTracker(reconstructor), FaceTracker(reconstructor, smoothing=None)):
        results.append([tracker.update(image)[0] for image in images])
    assert jitter(results[0]) < 0.4 * jitter(results[1])
    identity = reconstructor.decoder.layout.part
    settled = [identity(tracked.face.params, "identity") for tracked in results[0][-5:]]
    assert all((one == settled[0]).all() for one in settled)  # it rests


def test_a_face_that_leaves_and_returns_is_known_again(
    reconstructor: FaceReconstructor, frame: FrameMaker
) -> None:
    empty = np.full((*SIZE_HW, 3), 120, np.uint8)
    tracker, time_s = FaceTracker(reconstructor), 0.0
    for image, expected in (
        *[(frame(x=100), [1])] * 5,
        *[(empty, [])] * 3,  # gone at once, also when it is dark
        *[(np.zeros_like(empty), [])] * 3,
        *[(frame(x=220), [1])] * 5,
    ):
        found = [tracked.id for tracked in tracker.update(image, time_s)]
        time_s += STEP_S
        assert found == expected


def test_two_faces_keep_their_numbers(reconstructor: FaceReconstructor, frame: FrameMaker) -> None:
    tracker = FaceTracker(reconstructor)
    left_of_all = {}
    for number in range(12):
        one = frame(x=80 + 2 * number, zoom=0.5)
        image = frame(x=240 - 2 * number, zoom=0.5, mirrored=True, under=one)
        for tracked in tracker.update(image, number * STEP_S):
            left_of_all.setdefault(tracked.id, []).append(tracked.face.landmarks_px[:, 0].mean())
    assert set(left_of_all) == {1, 2}
    for places in left_of_all.values():
        assert len(places) == 12 and np.ptp(places) < 40
    (one,) = FaceTracker(reconstructor, max_faces=1).update(image)
    assert one.id == 1


def test_what_is_refused(reconstructor: FaceReconstructor, frame: FrameMaker) -> None:
    with pytest.raises(ValueError, match="max_faces is 0"):
        FaceTracker(reconstructor, max_faces=0)
    tracker = FaceTracker(reconstructor)
    with pytest.raises(ValueError, match="time is nan"):
        tracker.update(frame(), float("nan"))
    with pytest.raises((ValueError, edge3d.ImageError), match="uint8"):
        tracker.update(frame().astype(np.float32))  # type: ignore[arg-type]


def test_times_that_do_not_rise(reconstructor: FaceReconstructor, frame: FrameMaker) -> None:
    tracker = FaceTracker(reconstructor)
    for time_s in (1.0, 1.0, 0.5, 1.1):
        (tracked,) = tracker.update(frame(), time_s)
        assert np.isfinite(tracked.face.landmarks_px).all()
