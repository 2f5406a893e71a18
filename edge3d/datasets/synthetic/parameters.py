"""Sampling the parameters of rendered faces: identity, expression, pose."""

from __future__ import annotations

from functools import lru_cache

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
Movements = tuple[tuple[tuple[str, ...], float, tuple[float, float]], ...]
# Everything at once and strong: what the rarer faces are like.
STRONG: Movements = (
    (("eyeBlink",), 0.18, (8.0, 0.6)),
    (("eyeBlink",), 0.12, (1.2, 1.5)),
    (("eyeWide", "eyeSquint"), 0.30, (1.2, 1.5)),
    (("jawOpen",), 0.35, (1.0, 2.5)),
    (("jawOpen",), 0.22, (3.0, 1.2)),
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
# A face at rest: little moves, eyes look about and blink.
RESTING: Movements = (
    (("eyeBlink",), 0.06, (8.0, 0.6)),
    (("eyeBlink",), 0.35, (1.2, 5.0)),
    (("eyeSquint",), 0.30, (1.0, 3.0)),
    (("mouthPress", "mouthFrown", "mouthShrugLower", "mouthRollLower", "mouthPucker"), 0.4, (1, 5)),
    (("browDown", "browInnerUp", "browOuterUp"), 0.30, (1.0, 4.0)),
    (("jawOpen",), 0.15, (1.0, 9.0)),
    (("eyeLookUp", "eyeLookDown"), 0.50, (1.0, 2.5)),
)
# A smile, with or without teeth: cheeks and lids go along.
SMILING: Movements = (
    (("mouthSmile",), 1.0, (2.0, 1.5)),
    (("cheekSquint",), 0.60, (1.5, 2.0)),
    (("eyeSquint",), 0.50, (1.5, 2.0)),
    (("mouthUpperUp",), 0.50, (1.2, 2.5)),
    (("mouthLowerDown",), 0.40, (1.2, 2.5)),
    (("jawOpen",), 0.45, (1.0, 4.0)),
    (("mouthDimple", "mouthStretch"), 0.30, (1.0, 3.0)),
    (("eyeBlink",), 0.08, (8.0, 0.6)),
    (("eyeBlink",), 0.30, (1.2, 4.0)),
    (("browInnerUp", "browOuterUp"), 0.20, (1.0, 3.0)),
    (("eyeLookUp", "eyeLookDown"), 0.40, (1.0, 2.5)),
)
# The mouths of speech: vowels open and round, consonants press, roll and spread.
SPEAKING: Movements = (
    (("jawOpen",), 0.80, (1.3, 4.0)),
    (("mouthFunnel", "mouthPucker", "mouthStretch", "mouthSmile"), 0.60, (1.2, 2.5)),
    (("mouthRollLower", "mouthRollUpper", "mouthPress", "mouthShrugLower"), 0.40, (1.2, 2.5)),
    (("mouthUpperUp",), 0.35, (1.0, 3.0)),
    (("mouthLowerDown",), 0.45, (1.0, 2.5)),
    (("mouthLeft", "mouthRight", "jawForward"), 0.15, (1.0, 4.0)),
    (("browDown", "browInnerUp", "browOuterUp"), 0.40, (1.0, 2.5)),
    (("eyeBlink",), 0.10, (8.0, 0.6)),
    (("eyeBlink",), 0.30, (1.2, 4.0)),
    (("eyeSquint", "eyeWide"), 0.20, (1.0, 3.0)),
    (("eyeLookUp", "eyeLookDown"), 0.50, (1.0, 2.5)),
)
MIXTURE: tuple[tuple[float, Movements], ...] = (
    (0.20, RESTING),
    (0.15, SMILING),
    (0.20, SPEAKING),
    (0.45, STRONG),
)
ONE_SIDED = 0.1  # share of the paired movements that are made on one side alone
SIDEWAYS_GLANCES = (("eyeLookInLeft", "eyeLookOutRight"), ("eyeLookOutLeft", "eyeLookInRight"))


def sample_params(count: int | range, face_model: FaceModel, seed: int) -> NDArray[np.float32]:
    """Draw `rotation6d` parameters (N, P) of faces in crops of the protocol's box.

    Args:
        count: how many, or the numbers of those that are wanted.
        face_model: whose parameters.
        seed: decides, with a face's number, its parameters.

    Raises:
        FaceModelError: the face model has other expressions than ARKit's.
    """
    decoder = _decoder_of(face_model)
    layout = decoder.layout
    numbers = range(count) if isinstance(count, int) else count
    params = np.zeros((len(numbers), layout.size), np.float32)
    for number, row in zip(numbers, params, strict=True):
        rng = np.random.default_rng((seed, number))
        layout.part(row, "rotation")[:] = _sample_rotation(rng)[:2].reshape(6)
        scale, translation = layout.part(row, "scale"), layout.part(row, "translation")
        scale[:] = 1.0
        identity = IDENTITY_STD * rng.standard_normal(face_model.identity_count)
        layout.part(row, "identity")[:] = identity.clip(-IDENTITY_LIMIT, IDENTITY_LIMIT)
        layout.part(row, "expression")[:] = sample_expression(face_model.expression_names, rng)
        box = landmark_box(decoder.landmarks(row[None])[0])
        scale[:] = CROP_SIZE_PX / (box[2] - box[0])
        translation[:] = (0.5 - box[:2]) * scale - 0.5
    return params


@lru_cache(maxsize=2)
def _decoder_of(face_model: FaceModel) -> Decoder:
    return Decoder(face_model, make_layout("rotation6d", face_model))


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

    shares = [share for share, _ in MIXTURE]
    movements = MIXTURE[int(rng.choice(len(MIXTURE), p=shares))][1]
    for group, probability, (a, b) in movements:
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
    glance, vergence = rng.beta(1, 2), 0.06 * rng.standard_normal(2)
    for name, own in zip(SIDEWAYS_GLANCES[rng.integers(2)], vergence, strict=True):
        move(name, glance + own)
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
