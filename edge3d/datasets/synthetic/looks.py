"""Drawing what a rendered person looks like: skin, hair, eyes, clothes, what is worn.

Nothing here is rendered: a look is a record of choices, decided by a random generator alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.synthetic.assets import Assets, Skin

# sRGB of hair, from black to white; and of what clothes, frames and masks are made of.
HAIR_SRGB = np.array(
    [[18, 15, 14], [38, 28, 22], [66, 46, 33], [104, 74, 48], [164, 128, 84], [126, 62, 34]]
)
GREY_SRGB = np.array([176, 172, 168])
LONG_HAIR = ("bob02", "long01", "ponytail01", "braid01", "toigo_blunt_bob_with_bangs")
BALD_SHARE = {"male": 0.22, "female": 0.03}
WORN = {"glasses": 0.15, "sunglasses": 0.04, "mask": 0.03, "hand": 0.06}
HIDING_HAIR = ("bob02", "toigo_blunt_bob_with_bangs")  # hangs over brows and eyes: less often
HATS = {"beanie": 0.06, "cap": 0.05, "hood": 0.05}
EXCLUDED_NOTES = ("tattoo",)  # skins that are drawn a tenth as often


@dataclass(frozen=True, eq=False)
class Look:
    """The choices of one person's look. Colours are linear RGB, strengths shares.

    Attributes:
        skins: numbers of two skins; skin_mix: share of the second.
        skin_gain: (3,). skin_contrast: exponent of what is painted on them; skin_colour: share
            of its colourfulness. skin_luminance: of
            the cheek as it becomes. bumps: roughness of normals.
        shine: strength, exponent, share of the surroundings, softness of light in skin.
        hair, beard, brow, lash: number of a part, or -1. hair_colour, brow_colour: (3,).
        hair_gloss: strength. hair_contrast: of its texture.
        stubble: strength, coarseness, patchiness, shift. stubble_colour: of it and of cropped hair.
        cropped: hair painted on the scalp: strength, edge in mm, softness in mm.
        lips: colour and strength of make-up.
        iris: number of a texture. iris_gain: (3,). iris_deg: half angle. pupil: exponent.
        white: colour and share of plain white in the eye.
        cloth: colour A, colour B, pattern. collar: height in mm, slope, thickness in mm.
        teeth: (3,) tint.
        worn: names of what is worn or held. hat: its name, or empty.
        worn_seed: decides its shape.
        body_turn: shares of the head's yaw, pitch and roll that the body does not share.
    """

    skins: tuple[int, int]
    skin_mix: float
    skin_gain: NDArray
    skin_contrast: float
    skin_colour: float
    skin_luminance: float
    bumps: float
    shine: NDArray
    hair: int
    beard: int
    brow: int
    lash: int
    hair_colour: NDArray
    brow_colour: NDArray
    hair_gloss: float
    hair_contrast: float
    stubble: NDArray
    stubble_colour: NDArray
    cropped: NDArray
    lips: NDArray
    iris: int
    iris_gain: NDArray
    iris_deg: float
    pupil: float
    white: NDArray
    cloth: tuple[NDArray, NDArray, NDArray]
    collar: NDArray
    teeth: NDArray
    worn: tuple[str, ...]
    hat: str
    worn_seed: int
    body_turn: NDArray


def draw_look(assets: Assets, rng: np.random.Generator) -> Look:
    """Draw a person's look."""
    first, second = _skins(assets.skins, rng)
    skin, other = assets.skins[first], assets.skins[second]
    mix = float(rng.beta(0.7, 1.0))
    cheek = (1 - mix) * skin.cheek + mix * other.cheek
    luminance = float(cheek @ [0.3, 0.59, 0.11])
    gain = np.exp(rng.normal(0, 0.12)) * np.exp(rng.normal(0, [0.05, 0.03, 0.07]))
    # The assets' pale skins are paler than most people: the palest get darker.
    gain = gain * np.exp(-rng.uniform(0.15, 0.9) * max(luminance - 0.18, 0) / 0.3)
    dark = float(np.clip(1.2 - 3.0 * luminance * gain.mean(), 0, 1))
    male, old = skin.sex == "male", skin.age == "old"
    hair_colour = _hair_colour(dark, old, rng)
    hair = _hair(assets, skin.sex, rng)
    hat = _pick(HATS, rng)
    if hat and (hat != "hood"):
        hair = -1
    worn = tuple(name for name, share in WORN.items() if rng.random() < share)
    beard = -1
    stubble = np.array([0.0, 0.5, 0.0, 0.0])
    if male and rng.random() < 0.12:
        beard = int(rng.integers(len(assets.parts["beard"])))
    if male and (beard >= 0 or rng.random() < 0.5):
        full = beard >= 0 or rng.random() < 0.35
        strength = rng.uniform(0.6, 1.0) if full else rng.uniform(0.1, 0.6)
        stubble = np.array(
            [strength, rng.uniform(0.2, 0.8), rng.uniform(0, 0.6), rng.normal(0, 0.1)]
        )
    painted = (rng.random() < 0.3) and not male
    lip = cheek * gain * [0.75, 0.38, 0.42] * np.exp(rng.normal(0, 0.15, 3))
    if painted:
        lip = np.array([rng.uniform(0.15, 0.55), 0.04, 0.07]) * np.exp(rng.normal(0, 0.3, 3))
    bald = hair < 0
    cropped_strength = rng.uniform(0.5, 1.0) if (not bald or rng.random() < 0.5) else 0.0
    return Look(
        skins=(first, second),
        skin_mix=mix,
        skin_gain=gain,
        skin_contrast=float(np.exp(rng.normal(0.0, 0.25))),
        skin_colour=float(np.clip(0.82 - 0.25 * dark + rng.normal(0, 0.08), 0.3, 1.0)),
        skin_luminance=max(luminance * float(gain.mean()), 0.01),
        bumps=float(rng.uniform(0.03, 0.2)),
        shine=np.array(
            [
                rng.gamma(1.5, 0.25),
                np.exp(rng.uniform(np.log(6), np.log(30))),
                rng.uniform(0.2, 1.3),
                rng.uniform(0.5, 1.2),
            ]
        ),
        hair=hair,
        beard=beard,
        brow=int(rng.integers(len(assets.parts["eyebrow"]))) if rng.random() < 0.95 else -1,
        lash=int(rng.integers(len(assets.parts["eyelashes"]))) if rng.random() < 0.8 else -1,
        hair_colour=hair_colour,
        brow_colour=np.minimum(hair_colour, 0.25) * np.exp(rng.normal(-0.2, 0.25)),
        hair_gloss=float(rng.uniform(0.05, 0.6)),
        hair_contrast=float(rng.uniform(0.6, 1.2)),
        stubble=stubble,
        stubble_colour=0.6 * np.minimum(hair_colour, 0.06 + 0.15 * (not dark > 0.6)),
        cropped=np.array(
            [cropped_strength, rng.normal(4, 6) + (12 if bald else 0), rng.uniform(4, 16)]
        ),
        lips=np.append(lip, rng.uniform(0.5, 0.9) if painted else rng.uniform(0, 0.35)),
        iris=_iris(len(assets.irises_rgba), dark, rng),
        iris_gain=np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.1, 3)) * (1 - 0.55 * dark),
        iris_deg=float(rng.uniform(24, 27.5)),
        pupil=float(np.exp(rng.normal(0.05, 0.2))),
        white=np.append(rng.uniform(0.42, 0.62) * np.array([1, 0.93, 0.88]), rng.uniform(0.2, 0.9)),
        cloth=(_dye(rng), _dye(rng), _pattern(rng)),
        collar=np.array([rng.uniform(-165, -115), rng.uniform(0.0, 0.5), rng.uniform(3, 9)]),
        teeth=np.array([1, 0.95, 0.85]) ** rng.uniform(0.3, 2.0) * rng.uniform(0.7, 1.0),
        worn=worn,
        hat=hat,
        worn_seed=int(rng.integers(1 << 31)),
        body_turn=rng.uniform(0, 1, 3) * [1, 0.8, 0.9],
    )


def linear(srgb: NDArray) -> NDArray[np.float64]:
    """Return linear RGB within 0..1 of sRGB within 0..255."""
    return (np.asarray(srgb, np.float64) / 255.0) ** 2.2


def _skins(skins: tuple[Skin, ...], rng: np.random.Generator) -> tuple[int, int]:
    """Draw two skins of the same sex and about the same tone; each ancestry as often as others."""
    groups: dict[str, list[int]] = {}
    for number, skin in enumerate(skins):
        kind = "mixed" if skin.ancestry in ("eurasian", "south asian") else skin.ancestry
        groups.setdefault(kind, []).append(number)
    group = groups[sorted(groups)[rng.integers(len(groups))]]
    weight = np.array(
        [0.1 if any(w in skins[n].note for w in EXCLUDED_NOTES) else 1.0 for n in group]
    )
    first = int(rng.choice(group, p=weight / weight.sum()))
    tone = np.log([s.cheek.mean() for s in skins])
    near = [
        n
        for n, s in enumerate(skins)
        if s.sex == skins[first].sex and abs(tone[n] - tone[first]) < 0.5
    ]
    return first, int(near[rng.integers(len(near))])


def _hair(assets: Assets, sex: str, rng: np.random.Generator) -> int:
    if rng.random() < BALD_SHARE.get(sex, 0.1):
        return -1
    names = [part.name for part in assets.parts["hair"]]
    weight = np.array([1.0 if (n in LONG_HAIR) == (sex == "female") else 0.25 for n in names])
    weight *= [0.5 if n in HIDING_HAIR else 1.0 for n in names]
    return int(rng.choice(len(names), p=weight / weight.sum()))


def _hair_colour(dark: float, old: bool, rng: np.random.Generator) -> NDArray[np.float64]:
    at = rng.beta(1.0, 1.0 + 4.0 * dark) * (len(HAIR_SRGB) - 1.01)
    low = int(at)
    colour = linear(HAIR_SRGB[low] + (at - low) * (HAIR_SRGB[low + 1] - HAIR_SRGB[low]))
    grey = rng.beta(2, 1.2) if old and rng.random() < 0.8 else rng.random() * (rng.random() < 0.08)
    colour = colour + grey * (linear(GREY_SRGB) * rng.uniform(0.4, 1.0) - colour)
    return colour * np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.05, 3))


def _iris(count: int, dark: float, rng: np.random.Generator) -> int:
    # The assets' order is alphabetic: brown is the third, light brown the fourth.
    if rng.random() < 0.45 + 0.5 * dark:
        return min(2 + int(rng.random() < 0.5), count - 1)
    return int(rng.integers(count))


def _dye(rng: np.random.Generator) -> NDArray[np.float64]:
    grey = rng.beta(0.7, 1.0)
    return np.clip(grey * np.exp(rng.normal(0, 0.5 * rng.random(), 3)), 0.01, 0.9)


def _pattern(rng: np.random.Generator) -> NDArray[np.float64]:
    stripes = rng.uniform(0.03, 0.4, 2) * (rng.random(2) < 0.25)
    return np.append(stripes, rng.uniform(0.1, 0.8))


def _pick(shares: dict[str, float], rng: np.random.Generator) -> str:
    draw = rng.random()
    for name, share in shares.items():
        draw -= share
        if draw < 0:
            return name
    return ""
