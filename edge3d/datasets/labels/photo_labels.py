"""Pseudo-labels of photographs: a folder of shards that an interrupted run continues."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.labels.face_landmarker import FaceLandmarker
from edge3d.datasets.labels.face_square import FaceSquare
from edge3d.datasets.labels.mesh_views import consensus_in_two_steps
from edge3d.errors import DatasetError, ImageError
from edge3d.io.files import atomic_path, sha256_of_file
from edge3d.io.image import list_images, read_image

VERSION = 1  # of the shards: raise it when the same photographs would come out differently
SHARD = 500  # photographs in a file
RUN_FILE = "run.json"
UNREADABLE, NO_FACE = "cannot be read", "no face found"

FindFace = Callable[[NDArray[np.uint8]], FaceSquare | None]
"""Finds the face in a photograph (H, W, 3) uint8 RGB."""


@dataclass(frozen=True)
class Photo:
    """A photograph to label.

    Attributes:
        name: under which its label is stored. path: of the file.
        square: where the face is; None has it searched for.
    """

    name: str
    path: Path
    square: FaceSquare | None = None


@dataclass
class LabelRun:
    """What a run did.

    Attributes:
        labelled: photographs with labels. left_out: how many were left out, by reason.
    """

    labelled: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def folder_photos(folder: str | Path) -> tuple[list[Photo], int]:
    """Return the photographs that lie directly in a folder, and how many copies were left out.

    Of files with the same bytes, the first by name is taken.

    Raises:
        ImageError: no such folder, or none of its files is an image.
    """
    files = list_images(folder)
    first_of = {sha256_of_file(path): path for path in reversed(files)}
    photos = [Photo(path.name, path) for path in sorted(first_of.values())]
    return photos, len(files) - len(photos)


def label_photos(
    photos: Sequence[Photo],
    landmarker: FaceLandmarker,
    out: str | Path,
    pairs: int = 8,
    find_face: FindFace | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LabelRun:
    """Label photographs; a folder with a part of the shards is completed.

    Args:
        photos: with different names.
        landmarker: the networks.
        out: folder of the shards.
        pairs: of views of each face, one plain and one mirrored, at least 1.
        find_face: used where a photograph has no square.
        progress: called with photographs done and in all.

    Raises:
        DatasetError: no photographs, names that repeat, or a folder that holds another run.
        OutputError: a shard cannot be written.
    """
    out = Path(out)
    names = [photo.name for photo in photos]
    if not names:
        raise DatasetError("no photographs to label; give a folder that holds some")
    if len(set(names)) != len(names):
        repeated = Counter(names).most_common(1)[0][0]
        raise DatasetError(f"two photographs are named {repeated}; rename one of them")
    _start_run(out, landmarker.sha256, names, pairs)
    result = LabelRun()
    for first in range(0, len(photos), SHARD):
        path = _shard_path(out, first)
        if not path.is_file():
            part = photos[first : first + SHARD]
            shard = _label_shard(
                part, landmarker, pairs, find_face, _progress_after(progress, first, len(photos))
            )
            with atomic_path(path) as temporary:
                np.savez(temporary, **shard)
        with np.load(path, allow_pickle=False) as content:
            result.labelled += len(content["names"])
            result.left_out.update(content["left_out_why"].tolist())
        if progress is not None:
            progress(min(first + SHARD, len(photos)), len(photos))
    return result


def read_shards(folder: str | Path) -> Iterator[dict[str, NDArray]]:
    """Yield the arrays of the finished shards, in order.

    For N photographs and L views: `names` (N), `size` (N, 2) height and width, `square` (N, 4),
    `points_px` (N, 478, 3), `asymmetry_px` (N, 478, 3), `spread` (N, 478), `presence` (N, L),
    `tongue` (N, L), `blendshapes` (N, L, 52) as in `Consensus`, and `left_out`, `left_out_why`
    (M). A shard without any face lacks all but the names.

    Raises:
        DatasetError: not a folder of `label_photos`, or a damaged shard.
    """
    folder = Path(folder)
    for first in range(0, int(read_run(folder)["photographs"]), SHARD):
        path = _shard_path(folder, first)
        if not path.is_file():
            continue
        try:
            with np.load(path, allow_pickle=False) as content:
                shard = dict(content)
        except (OSError, ValueError, EOFError) as error:
            raise DatasetError(f"{path} is damaged; delete it and label again") from error
        yield shard


def read_run(folder: str | Path) -> dict[str, Any]:
    """Return what a folder of labels was made of: `task_sha256`, `pairs`, `photographs`.

    Raises:
        DatasetError: not a folder of `label_photos`.
    """
    try:
        run = json.loads((Path(folder) / RUN_FILE).read_text())
        return {**run, "photographs": int(run["photographs"])}
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{folder} holds no labels; make them with edge3d label") from error


def _shard_path(folder: Path, first: int) -> Path:
    return folder / f"labels-{first:06d}.npz"


def _start_run(out: Path, task_sha256: str, names: list[str], pairs: int) -> None:
    """Note what is run in a new folder, or check that an old one holds the same run."""
    run = {
        "version": VERSION,
        "task_sha256": task_sha256,
        "pairs": pairs,
        "photographs": len(names),
        "names_sha256": hashlib.sha256("\n".join(names).encode()).hexdigest(),
    }
    if (out / RUN_FILE).is_file():
        known = read_run(out)
        other = [key for key, value in run.items() if known.get(key) != value]
        if other:
            raise DatasetError(
                f"{out} holds another run ({', '.join(other)} differ); choose an empty folder"
            )
        return
    with atomic_path(out / RUN_FILE) as temporary:
        temporary.write_text(json.dumps(run, indent=1) + "\n")


def _progress_after(
    progress: Callable[[int, int], None] | None, done: int, total: int
) -> Callable[[int], None]:
    def tell(more: int) -> None:
        if progress is not None:
            progress(done + more, total)

    return tell


def _label_shard(
    photos: Sequence[Photo],
    landmarker: FaceLandmarker,
    pairs: int,
    find_face: FindFace | None,
    tell: Callable[[int], None],
) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    left_out: list[tuple[str, str]] = []
    for done, photo in enumerate(photos):
        tell(done)
        try:
            image = read_image(photo.path)
        except ImageError:
            left_out.append((photo.name, UNREADABLE))
            continue
        square = photo.square
        if square is None and find_face is not None:
            square = find_face(image)
        if square is None:
            left_out.append((photo.name, NO_FACE))
            continue
        rows.append({"names": photo.name, **_label(image, square, landmarker, pairs)})
    columns: dict[str, Any] = {
        key: np.array([row[key] for row in rows]) for key in (rows[0] if rows else ())
    }
    columns.setdefault("names", np.array([], str))
    columns["left_out"] = np.array([name for name, _ in left_out], str)
    columns["left_out_why"] = np.array([why for _, why in left_out], str)
    return columns


def _label(
    image: NDArray[np.uint8], square: FaceSquare, landmarker: FaceLandmarker, pairs: int
) -> dict[str, Any]:
    seen = consensus_in_two_steps(landmarker, image, square, pairs)
    aimed = seen.square
    return {
        "size": image.shape[:2],
        "square": (*aimed.centre_px, aimed.side_px, aimed.roll_deg),
        "points_px": seen.points_px,
        "asymmetry_px": seen.asymmetry_px.astype(np.float16),
        "spread": seen.spread.astype(np.float16),
        "presence": seen.presence.astype(np.float16),
        "tongue": seen.tongue.astype(np.float16),
        "blendshapes": seen.blendshapes.astype(np.float16),
    }
