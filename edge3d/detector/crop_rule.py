"""From a detector's box to the crop box that the networks are trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge3d.detector.detection import Detection

# The crop rule: coefficients of `crop_features` in `crop_box`. Fitted on AFLW's training crops by
#     python -m tools.fit_crop_rule --data DIR
CROP_RULE = {
    "offset_x": np.array([0.113, 0.052, -0.239, -0.205, -0.292, 0.048]),
    "offset_y": np.array([0.006, -0.318, 0.440, 0.153, 0.296, 0.006, -0.089]),
    "log_side": np.array([0.731, 1.591, -0.971, -0.421, -0.294, -0.335, 0.131]),
}

# The 0.1 and 99.9 percentiles of the logarithm over these crops.
CROP_LOG_SIDE_RANGE = (0.23, 0.59)


def crop_box(detection: Detection) -> NDArray[np.float64]:
    """Return the square crop box of a face that the networks of this project are trained on.

    It stands for AFLW2000-3D's protocol: the box of the 68 landmarks, side = sqrt(2) times its
    larger side, the same centre. The centre's offset and the side's logarithm are linear in the
    keypoints' places in the detector's box, with the coefficients of `CROP_RULE`; a mirrored
    detection has the mirrored crop box.

    Args:
        detection: a face from `FaceDetector.detect`.

    Returns:
        (4,) float64 `xyxy`, pixels, half-open, not rounded; it may reach beyond the frame.
    """
    centre, size, odd, even = crop_features(detection)
    offset_x = odd @ CROP_RULE["offset_x"]
    offset_y = even @ CROP_RULE["offset_y"]
    # Keypoints gone astray must not blow the crop up.
    log_side = np.clip(even @ CROP_RULE["log_side"], *CROP_LOG_SIDE_RANGE)
    middle = centre + size * np.array([offset_x, offset_y])
    half = size * np.exp(log_side) / 2
    return np.concatenate([middle - half, middle + half])


def crop_features(
    detection: Detection,
) -> tuple[NDArray[np.float64], float, NDArray[np.float64], NDArray[np.float64]]:
    """Return what `crop_box` is linear in, for it and for the fit of its coefficients.

    Returns:
        centre: (2,) the box's centre (box coordinates, pixels).
        size: the box's size in pixels, the unit of the following.
        odd: (6,) numbers that change their sign when the frame is mirrored: x of the eyes' middle,
            nose, mouth, ears' middle, and half the difference in y of the eyes and of the ears.
        even: (7,) numbers that a mirror leaves: 1, y of the eyes' middle, nose, mouth, ears'
            middle, and half the distance in x of the eyes and of the ears.
    """
    box = detection.box_xyxy.astype(np.float64)
    centre = (box[:2] + box[2:]) / 2
    size = detection.size_px
    points = (detection.keypoints_px + 0.5 - centre) / size
    right_eye, left_eye, nose, mouth, right_ear, left_ear = points
    eyes, ears = (right_eye + left_eye) / 2, (right_ear + left_ear) / 2
    eyes_apart, ears_apart = (left_eye - right_eye) / 2, (left_ear - right_ear) / 2
    odd = np.array([eyes[0], nose[0], mouth[0], ears[0], eyes_apart[1], ears_apart[1]])
    even = np.array([1.0, eyes[1], nose[1], mouth[1], ears[1], eyes_apart[0], ears_apart[0]])
    return centre, size, odd, even
