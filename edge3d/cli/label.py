"""`edge3d label`: pseudo-labels for a folder of photographs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.markup import escape

from edge3d.cli import console
from edge3d.datasets import fairface
from edge3d.datasets.labels.face_landmarker import FaceLandmarker
from edge3d.datasets.labels.face_square import FaceSquare, detected_square
from edge3d.datasets.labels.mesh_labels import MeshLabels, pack_labels, save_mesh_labels
from edge3d.datasets.labels.photo_labels import Photo, folder_photos, label_photos
from edge3d.detector import FaceDetector

LABEL_FILE = "labels.npz"


def label(
    photos: Annotated[Path, typer.Argument(metavar="PHOTOS", help="Folder of photographs.")],
    task: Annotated[Path, typer.Option(help="MediaPipe's face_landmarker.task (version 1).")],
    out: Annotated[
        Path, typer.Option(help="Folder for the labels; an interrupted run in it is continued.")
    ] = Path("runs/labels"),
    views: Annotated[
        int, typer.Option(min=2, help="Views of each face, half of them mirrored.")
    ] = 16,
    fairface_index: Annotated[
        Path | None,
        typer.Option(help="index.csv, if PHOTOS holds FairFace's train_N.jpg and wide_N.jpg."),
    ] = None,
    licence: Annotated[
        str, typer.Option(help="Licence of the photographs, kept with the labels.")
    ] = "not stated",
) -> None:
    """Find 478 points and 52 blendshapes in each photograph, and how far they can be trusted."""
    landmarker = FaceLandmarker(task)
    pairs = (views + 1) // 2
    if fairface_index is None:
        found, copies = folder_photos(photos)
        if copies:
            console.out.print(f"{copies} copies of other files are left out")
        _run(found, landmarker, out, pairs, _largest_face(FaceDetector()))
        labels = pack_labels([out], {"name": photos.name, "licence": licence})
    else:
        people = fairface.read_index(fairface_index)
        for part in fairface.PARTS:
            # The narrow photographs hold less to see: half the views.
            part_pairs = pairs if part == "wide" else (pairs + 1) // 2
            found = fairface.fairface_photos(photos, people, part)
            _run(found, landmarker, out / part, part_pairs, None)
        folders = [out / part for part in fairface.PARTS]
        labels = pack_labels(folders, fairface.RECORD)
    save_mesh_labels(out / LABEL_FILE, labels)
    _tell(labels, out / LABEL_FILE)


def _run(
    photos: Sequence[Photo],
    landmarker: FaceLandmarker,
    out: Path,
    pairs: int,
    find_face: Callable[[NDArray[np.uint8]], FaceSquare | None] | None,
) -> None:
    with _progress("labelling", len(photos)) as progress:
        label_photos(photos, landmarker, out, pairs, find_face, progress)


def _largest_face(detector: FaceDetector) -> Callable[[NDArray[np.uint8]], FaceSquare | None]:
    def find(image: NDArray[np.uint8]) -> FaceSquare | None:
        faces = detector.detect(image)
        return detected_square(faces[0]) if faces else None

    return find


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int, int], None]]:
    with console.progress_bar(title, total) as bar:

        def tell(done: int, total: int) -> None:
            bar.update(bar.task_ids[0], completed=done, total=total)

        yield tell


def _tell(labels: MeshLabels, path: Path) -> None:
    record: Mapping[str, Any] = labels.record
    console.out.print(f"{len(labels.names)} photographs labelled: {escape(str(path))}")
    for reason, count in Counter(record["left_out"]).most_common():
        if count:
            console.out.print(f"{count} left out: {reason}")
