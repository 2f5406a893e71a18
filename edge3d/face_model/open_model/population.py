"""Random people from MakeHuman's targets, and their principal components."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.face_model.open_model.makehuman import Cage, read_target

IDENTITY_MODES = 80
RANDOM_PEOPLE = 2000
SEED = 20240601

DETAIL_FOLDERS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "nose")
DETAIL_SIGMA = 0.35
# Whole-head presets and one-sided shapes turn people into caricatures at the full sigma.
DAMPED_SIGMA = 0.20
DAMPED = re.compile(
    r"head-(diamond|invertedtriangular|oval|rectangular|round|square|triangular|age|angle|fat|"
    r"trans|back|scale)|ear-shape|nose-(trans|compression)|mouth-trans|eye-trans|chin-triangle"
)
SYMMETRIC_SHARE = 0.9  # of a left/right pair's variance that both sides share

# Opposite ends of one detail: (positive word, negative word).
OPPOSITES = (
    ("incr", "decr"),
    ("up", "down"),
    ("out", "in"),
    ("forward", "backward"),
    ("convex", "concave"),
    ("uncompress", "compress"),
)


def random_people(targets: Path, cage: Cage) -> NDArray[np.float32]:
    """Draw random identities: (RANDOM_PEOPLE, V, 3) in mm, not aligned yet."""
    rng = np.random.default_rng(SEED)
    shape = (RANDOM_PEOPLE, *cage.positions.shape)
    people = np.broadcast_to(cage.positions, shape).astype(np.float32)
    terms = [*_macro_weights(targets / "macrodetails", rng), *_detail_weights(targets, rng)]
    for weights, path in terms:
        displacement = read_target(path, cage).astype(np.float32)
        people += weights.astype(np.float32)[:, None, None] * displacement
    return people


def _detail_weights(
    targets: Path, rng: np.random.Generator
) -> list[tuple[NDArray[np.float64], Path]]:
    """Return the targets of local details and each random person's weights of them."""
    terms: list[tuple[NDArray[np.float64], Path]] = []
    for positive, negative, sigma in _details(targets):
        shared = rng.standard_normal(RANDOM_PEOPLE)
        for side in ("l-", "r-") if positive.name.startswith("l-") else ("",):
            value = sigma * shared
            if side:
                own = rng.standard_normal(RANDOM_PEOPLE)
                value = sigma * (
                    np.sqrt(SYMMETRIC_SHARE) * shared + np.sqrt(1 - SYMMETRIC_SHARE) * own
                )
            for path, amount in ((positive, value.clip(0, 1)), (negative, (-value).clip(0, 1))):
                if path is not None:
                    terms.append((amount, path.with_name(side + path.name.removeprefix("l-"))))
    return terms


def _macro_weights(
    folder: Path, rng: np.random.Generator
) -> list[tuple[NDArray[np.float64], Path]]:
    """Return MakeHuman's macro targets and each random person's weights of them.

    MakeHuman's rule: the weight of `universal-GENDER-AGE-MUSCLE-WEIGHT` is the product of the
    person's shares of each word, and of `ANCESTRY-GENDER-AGE` likewise.
    """
    count = RANDOM_PEOPLE
    male = rng.beta(0.6, 0.6, count)
    # Children are in pictures too; babies are left out, their heads are of another shape.
    age = rng.choice(3, count, p=(0.12, 0.60, 0.28))
    blend = rng.uniform(0, 1, count)
    shares = {
        "male": male,
        "female": 1 - male,
        "child": np.where(age == 0, blend, 0.0),
        "young": np.where(age == 0, 1 - blend, np.where(age == 1, 1 - 0.4 * blend, 1 - blend)),
        "old": np.where(age == 0, 0.0, np.where(age == 1, 0.4 * blend, blend)),
    }
    for word in ("muscle", "weight"):
        level = rng.normal(0, 0.5, count).clip(-1, 1)
        shares[f"max{word}"] = level.clip(0, 1)
        shares[f"min{word}"] = (-level).clip(0, 1)
        shares[f"average{word}"] = 1 - abs(level)
    ancestry = rng.dirichlet((0.5, 0.5, 0.5), count)
    for column, word in enumerate(("african", "asian", "caucasian")):
        shares[word] = ancestry[:, column]
    shares["universal"] = np.ones(count)
    result = []
    for path in sorted(folder.glob("*.target.gz")):
        words = path.name.removesuffix(".target.gz").split("-")
        if all(word in shares for word in words):
            result.append((np.prod([shares[word] for word in words], axis=0), path))
    return result


def _details(targets: Path) -> list[tuple[Path, Path | None, float]]:
    """Return local details as (positive end, negative end or None, sigma); left ones for both."""
    details: list[tuple[Path, Path | None, float]] = []
    for folder in DETAIL_FOLDERS:
        paths = {p.name.removesuffix(".target.gz"): p for p in (targets / folder).glob("*.gz")}
        for name in sorted(paths):
            if name.startswith("r-"):
                continue
            sigma = DAMPED_SIGMA if DAMPED.search(name) else DETAIL_SIGMA
            stem, _, end = name.rpartition("-")
            negative_words = dict(OPPOSITES)
            if end in negative_words.values() and any(
                f"{stem}-{positive}" in paths for positive, negative in OPPOSITES if negative == end
            ):
                continue  # reached from its positive end
            opposite = paths.get(f"{stem}-{negative_words.get(end, '')}")
            details.append((paths[name], opposite, sigma))
    return details


def principal_components(
    people: NDArray[np.float32], core: NDArray[np.bool_]
) -> tuple[NDArray, NDArray]:
    """Align people to their mean by similarities; return the mean and scaled PCA modes.

    Args:
        people: (N, V, 3) mm. core: (V,), the vertices that decide alignment and modes; the
            others follow.

    Returns:
        mean (V, 3) mm, and modes (V, 3, IDENTITY_MODES), each of one standard deviation.
    """
    centred = people - people[:, core].mean(axis=1, keepdims=True)
    reference = centred.mean(axis=0)
    for _ in range(2):
        known = centred[:, core]
        u, _, vt = np.linalg.svd(np.einsum("nvi,vj->nij", known, reference[core]))
        u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
        rotation = u @ vt
        rotated = known @ rotation
        scale = np.einsum("nvi,vi->n", rotated, reference[core]) / np.einsum(
            "nvi,nvi->n", rotated, rotated
        )
        # The mean size of people stays: only each one's own size is taken out.
        aligned = (centred @ rotation) * (scale / scale.mean())[:, None, None]
        reference = aligned.mean(axis=0)
    offset = aligned - reference
    flat = offset[:, core].reshape(len(people), -1).astype(np.float64)
    _values, vectors = np.linalg.eigh(flat @ flat.T / (len(people) - 1))
    vectors = vectors[:, ::-1][:, :IDENTITY_MODES]
    # Columns of length sqrt(value): the displacement at one standard deviation.
    weights = vectors / np.sqrt(len(people) - 1)
    modes = offset.reshape(len(people), -1).astype(np.float64).T @ weights
    # An eigenvector's sign is arbitrary: the largest displacement of the core is positive.
    inner = flat.T @ weights
    largest = abs(inner).argmax(axis=0)
    modes *= np.sign(inner[largest, np.arange(IDENTITY_MODES)])
    return reference.astype(np.float64), modes.reshape(*reference.shape, IDENTITY_MODES)
