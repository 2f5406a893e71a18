"""One face of a video: what is known of it, and where its next crop is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.crop import Crop
from edge3d.tracker.evidence import Appearance
from edge3d.tracker.smoothing import FaceSmoother

# Motion is not carried on over a longer gap than this: too much may have happened.
MAX_STEP_S = 0.25
# The share of a new velocity in the one that is carried on.
NEW_VELOCITY = 0.6


@dataclass(frozen=True, eq=False)
class Seen:
    """What the network says of one crop, before the mesh is decoded.

    Attributes:
        box_xyxy: (4,) of the crop. params: (P,) not whitened.
        landmarks_px: (68, 3) in the frame. own_box: (4,) their protocol box.
    """

    box_xyxy: NDArray[np.float64]
    crop: Crop
    params: NDArray[np.float32]
    landmarks_px: NDArray[np.float32]
    own_box: NDArray[np.float64]


@dataclass(eq=False)
class Track:
    """What is known of one face: followed, or lost and remembered."""

    id: int
    seen: Seen
    score: float  # the detector's, of its last look
    seen_s: float
    looked_s: float
    appearance: Appearance
    smoother: FaceSmoother | None
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))  # px/s
    failed_looks: int = 0
    detected: bool = True

    def move(self, seen: Seen, now: float) -> None:
        """Take the face as it is in the frame of now."""
        step = now - self.seen_s
        motion = (seen.own_box[:2] + seen.own_box[2:]) / 2
        motion -= (self.seen.own_box[:2] + self.seen.own_box[2:]) / 2
        kept = 1 - NEW_VELOCITY if step <= MAX_STEP_S else 0.0
        self.velocity = kept * self.velocity + (1 - kept) * motion / step
        self.seen, self.seen_s = seen, now

    def next_box(self, now: float) -> NDArray[np.float64]:
        """Return the crop box for the frame of now."""
        step = now - self.seen_s
        motion = step * self.velocity if step <= MAX_STEP_S else np.zeros(2)
        return rounded(self.seen.own_box + np.tile(motion, 2))


def rounded(box: NDArray) -> NDArray[np.float64]:
    """Return a box as files state it, so that a reader of one can cut the same crop."""
    return np.asarray(np.round(box, 3), np.float64)
