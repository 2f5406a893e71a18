"""Labels of photographs in one file: meshes, blendshapes, and how far both can be trusted.

`pack_labels` makes it of the shards of `label_photos`, without photographs whose views disagree.
Decoded, it gives a fit of a face model's parameters its points, weights and blendshapes.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.labels.face_landmarker import BLENDSHAPES, RECORD
from edge3d.datasets.labels.face_square import face_size
from edge3d.datasets.labels.mesh_codes import MeshCodes, encode_meshes
from edge3d.datasets.labels.mesh_topology import REGIONS, point_regions
from edge3d.datasets.labels.mesh_views import agreed_scores
from edge3d.datasets.labels.photo_labels import read_run, read_shards
from edge3d.errors import DatasetError
from edge3d.io.files import atomic_path

FORMAT = "edge3d-mesh-labels-1"
LEAST_PRESENCE = 0.5
MOST_SPREAD = 0.03  # of the face's size, median over points
SPREAD_FLOOR = 0.005  # of the face's size, a frontal face's: a point with it has half the weight
SCORE_STEPS = 255.0  # uint8 for 0..1
SCORE_SPREAD_STEPS = 100.0
SPREAD_STEPS = 2000.0  # uint8 for 0..12.75 %; larger ones are cut
NO_PRESENCE, DISAGREE = "no face in its views", "views disagree"


@dataclass(frozen=True, eq=False)
class DecodedLabels:
    """Labels of n photographs, as a fit takes them.

    Attributes:
        points_px: (n, 478, 3) float32, pixels of the photograph, pixel centres at whole numbers;
            x right, y down, z away from the camera in the scale of x (its origin means nothing).
        weights: (n, 478) float32, 0..1: presence times a / (a + spread^2), a = SPREAD_FLOOR^2.
        blendshapes: (n, 52) float32, 0..1, in the order of `BLENDSHAPES`; left and right as the
            subject's.
        blendshape_spread: (n, 52) float32, standard deviation over the views.
        presence: (n,) float32, mean probability of a face over the views.
    """

    points_px: NDArray[np.float32]
    weights: NDArray[np.float32]
    blendshapes: NDArray[np.float32]
    blendshape_spread: NDArray[np.float32]
    presence: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MeshLabels:
    """Labels of N photographs.

    Attributes:
        names: (N,) of the photographs. size_px: (N, 2) uint16, height and width.
        meshes: the N meshes.
        spread: (N, R) uint8, for each of `REGIONS` the root mean square distance of the views'
            points from the label's in the image plane, in 1/2000 of the face's size.
        asymmetry: (N,) float16, median distance of mirrored from plain views, as a fraction of
            the face's size.
        presence: (N,) float16, mean probability of a face. tongue: (N,) float16, mean score.
        blendshapes: (N, 52) uint8, in 1/255. blendshape_spread: (N, 52) uint8, standard
            deviation over the views in 1/100.
        views: (N,) uint8, views of each photograph.
        record: `photographs` and `labeller` with name, source, licence and attribution, the
            labeller's `sha256`, and `left_out`, counts by reason.
    """

    names: NDArray[np.str_]
    size_px: NDArray[np.uint16]
    meshes: MeshCodes
    spread: NDArray[np.uint8]
    asymmetry: NDArray[np.float16]
    presence: NDArray[np.float16]
    tongue: NDArray[np.float16]
    blendshapes: NDArray[np.uint8]
    blendshape_spread: NDArray[np.uint8]
    views: NDArray[np.uint8]
    record: Mapping[str, Any]

    def rows_of(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the rows of photographs.

        Raises:
            DatasetError: one has no label.
        """
        known = {name: row for row, name in enumerate(self.names.tolist())}
        missing = [name for name in names if name not in known]
        if missing:
            raise DatasetError(
                f"{len(missing)} photographs have no label, such as {missing[0]}; label them "
                "with edge3d label, or leave them out"
            )
        return np.array([known[name] for name in names], np.int64)

    def decode(self, rows: NDArray | slice = slice(None)) -> DecodedLabels:
        """Return the labels of rows (indices, a mask or a slice); 8 KB for each photograph."""
        spread = (self.spread[rows] / SPREAD_STEPS)[:, point_regions()]
        presence = self.presence[rows].astype(np.float32)
        weights = presence[:, None] * SPREAD_FLOOR**2 / (SPREAD_FLOOR**2 + spread**2)
        return DecodedLabels(
            self.meshes.points_px(rows),
            weights.astype(np.float32),
            (self.blendshapes[rows] / SCORE_STEPS).astype(np.float32),
            (self.blendshape_spread[rows] / SCORE_SPREAD_STEPS).astype(np.float32),
            presence,
        )


def pack_labels(folders: Iterable[str | Path], photographs: Mapping[str, Any]) -> MeshLabels:
    """Pack the finished shards of folders, without photographs whose views disagree.

    Left out are those with a mean presence below `LEAST_PRESENCE`, and those whose median spread
    is above `MOST_SPREAD`; `record["left_out"]` of the result counts them.

    Args:
        folders: of `label_photos`, with different photographs, made with the same task file.
        photographs: their name, source, licence and attribution, kept in the record.

    Raises:
        DatasetError: not such folders, made with different task files, photographs that two of
            them share, or fewer than two photographs are left.
    """
    folders = list(folders)
    hashes = {read_run(folder)["task_sha256"] for folder in folders}
    if len(hashes) != 1:
        raise DatasetError(f"labels of {len(hashes)} different task files; pack one at a time")
    left_out: Counter[str] = Counter()
    parts = [
        part
        for folder in folders
        for shard in read_shards(folder)
        if (part := _kept(shard, left_out)) is not None
    ]
    count = sum(len(part["names"]) for part in parts)
    if count < 2:
        raise DatasetError(
            f"{count} photographs have usable labels; left out: {dict(left_out) or 'none'}"
        )
    columns = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    if len(np.unique(columns["names"])) != count:
        raise DatasetError("the folders share photographs; pack each photograph once")
    points = columns.pop("points_px")
    record = {
        "photographs": dict(photographs),
        "labeller": {**RECORD, "sha256": hashes.pop()},
        "left_out": dict(sorted(left_out.items())),
    }
    return MeshLabels(meshes=encode_meshes(points), record=record, **columns)


def _kept(shard: Mapping[str, NDArray], left_out: Counter[str]) -> dict[str, NDArray] | None:
    """Return a shard's columns for the photographs that are kept, and count the others."""
    left_out.update(shard["left_out_why"].tolist())
    if len(shard["names"]) == 0:
        return None
    spread = shard["spread"].astype(np.float32)
    present = shard["presence"].astype(np.float32).mean(axis=1) >= LEAST_PRESENCE
    agreed = np.median(spread, axis=1) <= MOST_SPREAD
    left_out.update({NO_PRESENCE: int((~present).sum()), DISAGREE: int((present & ~agreed).sum())})
    keep = present & agreed
    if not keep.any():
        return None
    shard = {key: value[keep] for key, value in shard.items() if not key.startswith("left_out")}
    away = np.linalg.norm(shard["asymmetry_px"][..., :2].astype(np.float32), axis=-1)
    scores = shard["blendshapes"].astype(np.float32)
    regions = point_regions()
    squared = spread[keep] ** 2
    by_region = [squared[:, regions == region].mean(axis=1) for region in range(len(REGIONS))]
    return {
        "names": shard["names"],
        "size_px": shard["size"].astype(np.uint16),
        "points_px": shard["points_px"],
        "spread": _steps(np.sqrt(np.column_stack(by_region)), SPREAD_STEPS),
        "asymmetry": (np.median(away, axis=1) / face_size(shard["points_px"])).astype(np.float16),
        "presence": shard["presence"].astype(np.float32).mean(axis=1).astype(np.float16),
        "tongue": shard["tongue"].astype(np.float32).mean(axis=1).astype(np.float16),
        "blendshapes": _steps(agreed_scores(scores), SCORE_STEPS),
        "blendshape_spread": _steps(scores.std(axis=1), SCORE_SPREAD_STEPS),
        "views": np.full(int(keep.sum()), scores.shape[1], np.uint8),
    }


def _steps(values: NDArray, steps: float) -> NDArray[np.uint8]:
    return np.clip(np.round(values * steps), 0, 255).astype(np.uint8)


def save_mesh_labels(path: str | Path, labels: MeshLabels) -> None:
    """Write labels as a compressed .npz.

    Raises:
        OutputError: the file cannot be written.
    """
    arrays = {f.name: getattr(labels, f.name) for f in fields(labels)}
    record, meshes = arrays.pop("record"), arrays.pop("meshes")
    arrays |= {f"mesh_{f.name}": getattr(meshes, f.name) for f in fields(meshes)}
    head = {"format": FORMAT, "blendshapes": BLENDSHAPES, "regions": REGIONS, **record}
    arrays["head"] = np.array(json.dumps(head))
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def load_mesh_labels(path: str | Path) -> MeshLabels:
    """Read a file of `save_mesh_labels`.

    Raises:
        DatasetError: it cannot be read, is damaged, is another file or one of another version.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = dict(content)
        head = json.loads(str(arrays.pop("head")))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} holds no mesh labels ({error}); get the file again") from error
    found = {key: head.pop(key, None) for key in ("format", "blendshapes", "regions")}
    expected = {"format": FORMAT, "blendshapes": list(BLENDSHAPES), "regions": list(REGIONS)}
    if found != expected:
        raise DatasetError(
            f"{path} has format {found['format']}, expected {FORMAT}; label the photographs again"
        )
    meshes = {f.name: arrays.pop(f"mesh_{f.name}", None) for f in fields(MeshCodes)}
    names = {f.name for f in fields(MeshLabels)} - {"meshes", "record"}
    if set(arrays) != names or any(value is None for value in meshes.values()):
        raise DatasetError(f"{path} lacks arrays of {FORMAT}; get the file again")
    rows = {len(arrays[name]) for name in names} | {len(meshes["codes"])}
    if len(rows) != 1:
        raise DatasetError(f"{path}: arrays differ in length; get the file again")
    return MeshLabels(meshes=MeshCodes(**meshes), record=head, **arrays)
