"""Writing tracked faces: overlay video, JSON lines, CSV."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.errors import Edge3dError
from edge3d.io.files import atomic_path
from edge3d.io.video import VideoWriter
from edge3d.reconstruct.reconstructor import FaceReconstructor
from edge3d.reconstruct.savers import draw_overlay
from edge3d.reconstruct.schema import face_to_dict
from edge3d.tracker import TrackedFace
from edge3d.viz import drawing

KINDS = ("overlay", "jsonl", "csv")


def draw_tracked(
    reconstructor: FaceReconstructor, image: NDArray[np.uint8], faces: list[TrackedFace]
) -> NDArray[np.uint8]:
    """Return a frame with meshes, landmarks and the faces' numbers, the farthest first."""
    picture = image
    for tracked in sorted(faces, key=lambda tracked: tracked.face.pose.scale_px):
        picture = draw_overlay(reconstructor, picture, tracked.face)
        picture = drawing.draw_landmarks(picture, tracked.face.landmarks_px)
        x, y = tracked.face.landmarks_px[:, :2].min(axis=0)
        place, font = (int(x), max(12, int(y) - 8)), cv2.FONT_HERSHEY_SIMPLEX
        picture = np.ascontiguousarray(picture)
        cv2.putText(picture, f"{tracked.id}", place, font, 0.6, (255, 255, 255), 2, cv2.LINE_AA)
    return picture


def tracked_to_dict(tracked: TrackedFace) -> dict[str, Any]:
    """Return what a JSON line says of a face: that of `edge3d reconstruct`, and who it is."""
    return {"id": tracked.id, "detected": tracked.detected, **face_to_dict(tracked.face)}


class _Overlay:
    def __init__(self, path: Path, _: FaceReconstructor, fps: float) -> None:
        self._video = VideoWriter(path, fps)

    def write(
        self, _number: int, _time_s: float, _faces: list[TrackedFace],
        picture: NDArray[np.uint8] | None,
    ) -> None:  # fmt: skip
        assert picture is not None
        self._video.write(picture)

    def close(self) -> None:
        self._video.close()


class _JsonLines:
    def __init__(self, path: Path, _: FaceReconstructor, __: float) -> None:
        self._file: IO[str] = open(path, "w", encoding="utf-8")  # noqa: SIM115 - see close

    def write(self, number: int, time_s: float, faces: list[TrackedFace], _: object) -> None:
        content = [tracked_to_dict(tracked) for tracked in faces]
        row = {"frame": number, "time_s": round(time_s, 6), "faces": content}
        self._file.write(json.dumps(row) + "\n")

    def close(self) -> None:
        self._file.close()


class _Csv:
    def __init__(self, path: Path, reconstructor: FaceReconstructor, _: float) -> None:
        self._file: IO[str] = open(path, "w", encoding="utf-8", newline="")  # noqa: SIM115
        self._names = reconstructor.face_model.expression_names
        self._rows = csv.writer(self._file, lineterminator="\n")
        points = [f"{axis}{number}" for number in range(68) for axis in "xyz"]
        pose = ["yaw_deg", "pitch_deg", "roll_deg", "translation_x", "translation_y", "scale"]
        self._rows.writerow(["frame", "time_s", "id", *pose, *self._names, *points])

    def write(self, number: int, time_s: float, faces: list[TrackedFace], _: object) -> None:
        for tracked in faces:
            content = face_to_dict(tracked.face)
            pose = content["pose"]
            angles = [pose[f"{name}_deg"] for name in ("yaw", "pitch", "roll")]
            shapes = [content["blendshapes"][name] for name in self._names]
            points = [value for point in content["landmarks_px"] for value in point]
            place = [*pose["translation_px"], pose["scale_px"]]
            start = [number, round(time_s, 6), tracked.id]
            self._rows.writerow([*start, *angles, *place, *shapes, *points])

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def _writer(
    kind: type[_Overlay | _JsonLines | _Csv], name: str, out: Path,
    reconstructor: FaceReconstructor, fps: float,
) -> Iterator[_Overlay | _JsonLines | _Csv]:  # fmt: skip
    with atomic_path(out / name) as temporary:
        writer = kind(temporary, reconstructor, fps)
        try:
            yield writer
        finally:
            writer.close()


WRITERS = {
    "overlay": lambda *rest: _writer(_Overlay, "overlay.mp4", *rest),
    "jsonl": lambda *rest: _writer(_JsonLines, "faces.jsonl", *rest),
    "csv": lambda *rest: _writer(_Csv, "faces.csv", *rest),
}


def parse_kinds(text: str) -> tuple[str, ...]:
    """Return the kinds of results that a comma-separated list names; `none` gives none.

    Raises:
        Edge3dError: an unknown kind, or an empty list.
    """
    if text.strip() == "none":
        return ()
    kinds = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise Edge3dError(
            f"--save {text}: {', '.join(unknown) or 'nothing'} cannot be saved; choose from "
            f"{', '.join(KINDS)}, or none"
        )
    return kinds
