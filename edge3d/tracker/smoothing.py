"""Smoothing of one face over time: pose, identity and expression, each in its own way.

Pose and expression go through One-Euro filters. The identity of a face does not change: it is the
mean over the frames, those that see the face from the front counting more, and once enough of them
have been seen it stays as it is. The result is a parameter vector like the network's, so that it is
decoded by the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.crop import Crop
from edge3d.geometry.mirror import flip_rotation
from edge3d.model.decoder import Decoder
from edge3d.tracker.one_euro import OneEuro, RotationFilter, VectorFilter

# A gap after which pose and expression start anew.
RESTART_AFTER_S = 0.5

# The lag and the remaining jitter of each: `python -m benchmarks.tracking`,
# docs/results/tracking.md.
ROTATION = OneEuro(0.7, 25.0)
PLACE = OneEuro(0.5, 15.0)
SIZE = OneEuro(0.5, 8.0)
EXPRESSION = OneEuro(1.0, 40.0)


@dataclass(frozen=True)
class Smoothing:
    """How a face is smoothed; the defaults are measured.

    Attributes:
        rotation: of the head's rotation; speeds in rad/s.
        place: of the head's place in the picture; speeds in face sizes a second.
        size: of the logarithm of its size.
        expression: of each expression coefficient.
        identity_frames: frontal frames after which the identity stays as it is.
    """

    rotation: OneEuro = ROTATION
    place: OneEuro = PLACE
    size: OneEuro = SIZE
    expression: OneEuro = EXPRESSION
    identity_frames: float = 30.0


class FaceSmoother:
    """Smooths the parameters of one face, frame after frame.

    Args:
        decoder: of the parameters.
        smoothing: the constants.
    """

    def __init__(self, decoder: Decoder, smoothing: Smoothing) -> None:
        self._decoder = decoder
        self._smoothing = smoothing
        landmarks = decoder.face_model.landmarks(decoder.face_model.mean)
        self._face_size = float(np.ptp(landmarks[:, :2], axis=0).max())  # model units
        self._identity = np.zeros(decoder.face_model.identity_count)
        self._frames = 0.0
        self._time_s: float | None = None
        self.identity_shape: NDArray[np.float32] | None = None
        self._restart()

    def _restart(self) -> None:
        self._rotation = RotationFilter(self._smoothing.rotation)
        self._place = VectorFilter(self._smoothing.place, joint=True)
        self._size = VectorFilter(self._smoothing.size, joint=True)
        self._expression = VectorFilter(self._smoothing.expression, joint=False)

    def smooth(self, params: NDArray[np.float32], crop: Crop, time_s: float) -> NDArray[np.float32]:
        """Return the smoothed parameters (P,), for the same crop.

        Args:
            params: (P,) not whitened, of the frame's crop.
            crop: it, whose place in the frame is taken into account.
            time_s: of the frame, later than that of the call before.
        """
        step_s = 1.0 if self._time_s is None else time_s - self._time_s
        if step_s > RESTART_AFTER_S:
            self._restart()
        self._time_s = time_s
        decoder, layout = self._decoder, self._decoder.layout
        rotations, scales = decoder.rotation_and_scale(params[None])
        rotation, scale = rotations[0].astype(np.float64), float(scales[0])

        changed = params.copy()
        layout.part(changed, "identity")[:] = self._settled_identity(
            layout.part(params, "identity"), max(float(rotation[2, 2]), 0.0)
        )
        layout.part(changed, "expression")[:] = self._expression(
            layout.part(params, "expression"), step_s
        )
        linear, translation = (part[0].astype(np.float64) for part in decoder.camera(params[None]))
        size_px = scale * crop.scale * self._face_size
        log_size = float(self._size(np.log(size_px), step_s)[0])
        place_px = crop.to_frame[:, 2] + crop.scale * translation[:2]
        # Speed in face sizes: a face near the camera and one far away are smoothed alike.
        place_px = self._place(place_px, step_s, unit=size_px)
        smooth_rotation = self._rotation(rotation, step_s)
        # Applied to the camera as a change, so that an affine camera keeps what is not a rotation.
        turn = flip_rotation(smooth_rotation @ rotation.T)
        new_linear = float(np.exp(log_size)) / size_px * turn @ linear
        new_translation = np.append((place_px - crop.to_frame[:, 2]) / crop.scale, translation[2])
        return decoder.with_camera(changed[None], new_linear[None], new_translation[None])[0]

    def _settled_identity(self, identity: NDArray, weight: float) -> NDArray:
        """Return the mean identity so far; hold it once it rests on enough frames."""
        if self.identity_shape is None:
            self._frames += weight
            self._identity = self._identity + weight / max(self._frames, 1e-9) * (
                identity - self._identity
            )
            if self._frames >= self._smoothing.identity_frames:
                self.identity_shape = self._decoder.identity_shape(self._identity)
        return self._identity
