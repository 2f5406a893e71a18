"""Sampling the parameters of rendered faces: identity, expression, pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import FaceModelError
from edge3d.face_model import FaceModel
from edge3d.geometry.boxes import landmark_box
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.geometry.pose import rotation_from_angles
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout

IDENTITY_STD = 0.8  # of the model's own spread, which holds caricatures
IDENTITY_LIMIT = 2.2

# How often a movement is made, and the beta distribution of its strength. Names without Left and
# Right stand for both sides. Of each group one movement is made at most.
MOVEMENTS: tuple[tuple[tuple[str, ...], float, tuple[float, float]], ...] = (
    (("eyeBlink",), 0.18, (8.0, 0.6)),
    (("eyeBlink",), 0.12, (1.2, 1.5)),
    (("eyeWide", "eyeSquint"), 0.30, (1.2, 1.5)),
    (("jawOpen",), 0.35, (1.0, 2.5)),
    (("jawOpen",), 0.15, (3.0, 1.2)),
    (("mouthSmile",), 0.35, (1.5, 1.3)),
    (("mouthFrown", "mouthPucker", "mouthFunnel", "mouthPress", "mouthStretch"), 0.35, (1.2, 1.5)),
    (("mouthUpperUp", "mouthShrugUpper", "mouthRollUpper", "mouthDimple"), 0.30, (1.0, 2.0)),
    (("mouthLowerDown", "mouthShrugLower", "mouthRollLower"), 0.30, (1.0, 2.0)),
    (("jawForward", "jawLeft", "jawRight", "mouthLeft", "mouthRight"), 0.20, (1.0, 2.0)),
    (("browDown", "browInnerUp", "browOuterUp"), 0.40, (1.2, 1.5)),
    (("browInnerUp",), 0.15, (1.2, 1.5)),
    (("cheekSquint", "cheekPuff"), 0.20, (1.0, 1.5)),
    (("noseSneer",), 0.15, (1.0, 2.0)),
    (("eyeLookUp", "eyeLookDown"), 0.50, (1.0, 2.0)),
)
ONE_SIDED = 0.1  # share of the paired movements that are made on one side alone
SIDEWAYS_GLANCES = (("eyeLookInLeft", "eyeLookOutRight"), ("eyeLookOutLeft", "eyeLookInRight"))


def sample_params(count: int, face_model: FaceModel, seed: int) -> NDArray[np.float32]:
    """Draw `rotation6d` parameters (count, P) of faces in crops of the protocol's box.

    Raises:
        FaceModelError: the face model has other expressions than ARKit's.
    """
    layout = make_layout("rotation6d", face_model)
    decoder = Decoder(face_model, layout)
    params = np.zeros((count, layout.size), np.float32)
    for number, row in enumerate(params):
        rng = np.random.default_rng((seed, number))
        row[0:6] = _sample_rotation(rng)[:2].reshape(6)
        row[6] = 1.0
        identity = IDENTITY_STD * rng.standard_normal(face_model.identity_count)
        layout.part(row, "identity")[:] = identity.clip(-IDENTITY_LIMIT, IDENTITY_LIMIT)
        layout.part(row, "expression")[:] = sample_expression(face_model.expression_names, rng)
        box = landmark_box(decoder.landmarks(row[None])[0])
        row[6] = CROP_SIZE_PX / (box[2] - box[0])
        row[7:9] = (0.5 - box[:2]) * row[6] - 0.5
    return params


def sample_expression(names: tuple[str, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw coefficients (E,) within 0..1 of ARKit's expressions; both sides mostly move alike.

    Raises:
        FaceModelError: a name of ARKit is not among them.
    """
    strengths = dict.fromkeys(names, 0.0)

    def move(name: str, strength: float) -> None:
        if name not in strengths:
            raise FaceModelError(
                f"the face model has no expression '{name}'; synthetic faces need ARKit's, "
                "which the open face model has"
            )
        strengths[name] = float(np.clip(max(strengths[name], strength), 0.0, 1.0))

    for group, probability, (a, b) in MOVEMENTS:
        name = group[rng.integers(len(group))]
        strength, made = rng.beta(a, b), rng.random() < probability
        sides = np.clip(1 + 0.08 * rng.standard_normal(2), 0, 1.1)
        if rng.random() < ONE_SIDED:
            sides[rng.integers(2)] *= rng.uniform(0, 0.6)
        if not made:
            continue
        if name in strengths:
            move(name, strength)
        else:
            move(f"{name}Left", strength * sides[0])
            move(f"{name}Right", strength * sides[1])
    for name in SIDEWAYS_GLANCES[rng.integers(2)]:
        move(name, rng.beta(1, 2))
    # Lips that close over an open jaw move as far as the jaw does, not further.
    if rng.random() < 0.15:
        move("mouthClose", strengths["jawOpen"] * rng.uniform(0, 1))
    for side in ("Left", "Right"):  # a closed eye is not wide open
        strengths[f"eyeWide{side}"] *= 1 - strengths[f"eyeBlink{side}"]
    return np.array(list(strengths.values()), np.float32)


def _sample_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a head's rotation (3, 3): half of them anywhere to the side, half nearly frontal."""
    yaw_deg = rng.uniform(-90, 90) if rng.random() < 0.5 else 22 * rng.standard_normal()
    pitch_deg, roll_deg = np.array([12, 14]) * rng.standard_normal(2)
    limits = np.array([90, 40, 50])
    return rotation_from_angles(*np.clip([yaw_deg, pitch_deg, roll_deg], -limits, limits))
