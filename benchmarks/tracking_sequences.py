"""Video sequences with known motion, for `benchmarks.tracking` and the tracker's tests.

Real ones move the bundled public-domain portrait by a known similarity over a frame; synthetic ones
draw the open face model, with the portrait's colours, in known poses and expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

import edge3d
from edge3d.bundled import portrait_path
from edge3d.geometry.pose import rotation_from_angles
from edge3d.reconstruct.face import Face
from edge3d.reconstruct.reconstructor import FaceReconstructor
from edge3d.viz import overlays
from edge3d.viz.rasterizer import rasterize

FRAMES_PER_S = 30
FRAME_HW = (480, 640)
SENSOR_NOISE = 5.0  # grey levels, standard deviation: a webcam indoors
PORTRAIT_FACE = (225.6, 130.5)  # the face's middle in the portrait, pixels

Change = Callable[[NDArray, float], NDArray]


@dataclass(frozen=True)
class Placed:
    """Where a picture's face is in a frame.

    Attributes:
        x_px, y_px: where the picture's point `PORTRAIT_FACE` is.
        scale: pixels of the frame in one of the picture.
        roll_deg: clockwise.
    """

    x_px: float
    y_px: float
    scale: float = 1.0
    roll_deg: float = 0.0

    @property
    def affine(self) -> NDArray[np.float64]:
        """The (2, 3) affine from the picture to the frame."""
        angle = np.radians(self.roll_deg)
        linear = self.scale * np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        shift = np.array([self.x_px, self.y_px]) - linear @ np.array(PORTRAIT_FACE)
        return np.column_stack([linear, shift])


@dataclass(frozen=True)
class Sequence:
    """A video with known motion.

    Attributes:
        name: for tables.
        seconds: its length.
        place: where the face is at a time.
        change: what happens to the finished frame, given the time.
        noise: standard deviation of the sensor noise, grey levels.
        visible: whether the face is to be seen at a time; asked where it can be seen to a half.
    """

    name: str
    seconds: float
    place: Callable[[float], Placed]
    change: Change = lambda image, time_s: image
    noise: float = SENSOR_NOISE
    visible: Callable[[float], bool] = lambda time_s: True

    def times(self) -> NDArray[np.float64]:
        """Return the frames' times."""
        return np.arange(round(self.seconds * FRAMES_PER_S)) / FRAMES_PER_S

    def frames(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Yield (time in seconds, (H, W, 3) uint8 RGB)."""
        random = np.random.default_rng(0)
        for time_s in self.times():
            image = moved(portrait(), self.place(float(time_s)))
            yield float(time_s), noisy(self.change(image, float(time_s)), self.noise, random)


@lru_cache(maxsize=1)
def portrait() -> NDArray[np.uint8]:
    """Return the bundled portrait."""
    return edge3d.read_image(portrait_path())


def moved(
    picture: NDArray[np.uint8], placed: Placed, under: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Return a frame with a picture in its place, over another frame or a plain wall."""
    height, width = FRAME_HW
    if under is None:
        ramp = np.linspace(60, 130, width)[None, :, None] * np.ones((height, 1, 3))
        under = (ramp * (1.0, 0.95, 0.85)).astype(np.uint8)
    size = (width, height)
    drawn = cv2.warpAffine(picture, placed.affine, size, flags=cv2.INTER_LINEAR)
    share = cv2.warpAffine(np.ones(picture.shape[:2], np.float32), placed.affine, size)[..., None]
    return np.rint(drawn * share + under * (1 - share)).astype(np.uint8)


def noisy(image: NDArray, noise: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a frame with sensor noise."""
    grain = random.normal(0.0, noise, image.shape) if noise else 0.0
    return np.clip(np.rint(image + grain), 0, 255).astype(np.uint8)


def wave(time_s: float, hertz: float) -> float:
    """Return a sine that starts at 0."""
    return float(np.sin(2 * np.pi * hertz * time_s))


def _still(_: float) -> Placed:
    return Placed(320, 230)


def _leaving(time_s: float) -> Placed:
    """Rest, leave to the left within 0.5 s, stay away for 2 s, come back."""
    away = np.clip((time_s - 1.5) / 0.5, 0, 1) - np.clip((time_s - 4.0) / 0.5, 0, 1)
    return Placed(320 - 600 * away, 230)


def _covered(image: NDArray, time_s: float) -> NDArray:
    """Let a grey board pass before the face within two seconds."""
    changed = image.copy()
    left = round(640 - 900 * (time_s - 1.0) / 2.0)
    if left < 640:
        changed[:, max(left, 0) : max(left + 260, 0)] = (120, 110, 100)
    return changed


def _light(image: NDArray, time_s: float) -> NDArray:
    """Switch the light off from 1.5 to 3.0 s."""
    return image * 0.02 if 1.5 <= time_s < 3.0 else image


REAL = (
    Sequence("still", 5, _still),
    Sequence("still, dim and noisy", 5, _still, lambda image, _: image * 0.4, noise=10),
    Sequence("pan", 6, lambda t: Placed(320 + 180 * wave(t, 0.5), 230)),
    Sequence("fast pan", 4, lambda t: Placed(320 + 200 * wave(t, 1.0), 230)),
    Sequence("zoom", 6, lambda t: Placed(320, 230, scale=1.1 + 0.6 * wave(t, 0.4))),
    Sequence("roll", 6, lambda t: Placed(320, 230, roll_deg=30 * wave(t, 0.5))),
    Sequence("covered", 4, _still, _covered, visible=lambda t: not 1.35 < t < 2.35),
    Sequence("leaves, returns", 6, _leaving, visible=lambda t: not 1.7 < t < 4.3),
    Sequence("light out", 5, _still, _light, visible=lambda t: not 1.5 <= t < 3.0),
)
BY_NAME = {sequence.name: sequence for sequence in REAL}


# Synthetic --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """What is known of a frame of the synthetic video.

    Attributes:
        yaw_deg, pitch_deg, roll_deg: of the head. blendshapes: those that are not 0.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    blendshapes: dict[str, float]


def blink(time_s: float, every_s: float = 1.5, length_s: float = 0.25) -> float:
    """Return how far the eyes are closed, 0..1: a raised cosine now and then."""
    phase = (time_s % every_s) / length_s
    return float(0.5 - 0.5 * np.cos(2 * np.pi * phase)) if phase < 1 else 0.0


def talking(time_s: float) -> Known:
    """Return a head that looks around, talks and blinks."""
    jaw = 0.35 * (1 - np.cos(2 * np.pi * 1.0 * time_s)) / 2 + 0.1
    closed = blink(time_s)
    return Known(
        yaw_deg=25 * wave(time_s, 0.4),
        pitch_deg=8 * wave(time_s, 0.27),
        roll_deg=6 * wave(time_s, 0.33),
        blendshapes={"jawOpen": float(jaw), "eyeBlinkLeft": closed, "eyeBlinkRight": closed},
    )


class SyntheticHead:
    """Draws the open face model with the portrait's face and colours over the portrait."""

    def __init__(self, reconstructor: FaceReconstructor) -> None:
        self._model = reconstructor.face_model
        (face, *_) = reconstructor.reconstruct(portrait())
        self._face: Face = face
        self._identity = reconstructor.decoder.layout.part(face.params, "identity")
        self._colours = overlays.vertex_colours(portrait(), face.vertices_px)

    def frame(self, known: Known) -> NDArray[np.uint8]:
        """Return (512, 512, 3) uint8 RGB of the head as it is known."""
        model, pose = self._model, self._face.pose
        names = model.expression_names
        expression = np.array([known.blendshapes.get(name, 0.0) for name in names], np.float32)
        shape = model.vertices(self._identity, expression)
        rotation = rotation_from_angles(known.yaw_deg, known.pitch_deg, known.roll_deg)
        points = pose.scale_px * shape @ rotation.T * (1, -1, 1)
        points[:, :2] += pose.translation_px
        attributes = np.column_stack([self._colours, 255.0 * model.mask])
        size = portrait().shape[:2]
        drawn, _ = rasterize(points, model.triangles, size, attributes)
        soft = cv2.GaussianBlur(drawn, (3, 3), 0)
        share = soft[..., 3:] / 255.0
        return np.rint(soft[..., :3] * share + portrait() * (1 - share)).astype(np.uint8)
